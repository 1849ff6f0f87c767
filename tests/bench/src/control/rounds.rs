//! The run: warms up, then takes every figure once a round, all callers taking turns.

use std::time::{Duration, Instant};

use super::{caller::Caller, figure::Figure, results::Measured, setup::Setup, table};
use crate::{
    config::RunArgs,
    error::{Error, Result},
    hop::load::median,
};

/// Calls whose median is the figure of a round.
pub(super) const CALLS: usize = 2_000;
/// Of these, how many a caller makes before it is the next one's turn: what disturbs the machine
/// for a moment disturbs all of them.
pub(super) const TURN: usize = 100;
/// Calls of each caller before any counts.
const WARM_UP: usize = 500;
/// No round begins after this; what was measured until then counts.
const BUDGET: Duration = Duration::from_secs(90);

/// Takes the figures; their table.
pub(crate) async fn run(args: &RunArgs, figures: Vec<Figure>) -> Result<String> {
    let mut setup = Setup::start(args, &figures).await?;
    // In a task: the main thread of the runtime hands every wake-up to another thread.
    let (callers, rounds) = (setup.take_callers(), args.rounds);
    let measured = tokio::spawn(measure(callers, rounds)).await;
    setup.stop().await;
    let measured = measured.map_err(|_| Error::Late("the measurement"))??;
    Ok(table::render(&measured))
}

async fn measure(mut callers: Vec<Caller>, rounds: u32) -> Result<Vec<Measured>> {
    let none = |caller: &Caller| Measured {
        calls: caller.calls,
        rounds: Vec::new(),
    };
    let mut measured: Vec<Measured> = callers.iter().map(none).collect();
    for caller in &mut callers {
        caller.turn(WARM_UP).await?;
    }
    let begun = Instant::now();
    for number in 1..=rounds {
        if begun.elapsed() > BUDGET {
            eprintln!("out of time after {} rounds", number - 1);
            break;
        }
        let medians = round(&mut callers).await?;
        for (one, median) in measured.iter_mut().zip(medians) {
            one.rounds.push(median);
        }
        eprintln!("authorisation and lookup: round {number} of {rounds}");
    }
    Ok(measured)
}

/// The median of each caller.
async fn round(callers: &mut [Caller]) -> Result<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(CALLS); callers.len()];
    for _ in 0..CALLS / TURN {
        for (caller, times) in callers.iter_mut().zip(&mut times) {
            times.extend(caller.turn(TURN).await?);
        }
    }
    Ok(times.into_iter().map(median).collect())
}
