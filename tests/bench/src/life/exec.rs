//! Exec with few and with many sandboxes in the store, in turns.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    figure::Figure,
    results::{Execs, Turn},
    stand::{Side, Stand},
    store::{millis, now},
};
use crate::{
    error::{Error, Result},
    hop::load,
};

/// Calls of a turn.
pub(super) const CALLS: usize = 2_000;
/// Calls before any counts.
const WARM_UP: usize = 500;
/// No turn takes as long as this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a sandbox with the usual clocks is looked at.
const BEAT: Duration = Duration::from_secs(200);
/// No round begins after this; what was measured until then counts.
const BUDGET: Duration = Duration::from_secs(100);

/// Takes a figure.
pub(super) async fn measure(figure: Figure, stand: &mut Stand, rounds: u32) -> Result<Execs> {
    let mut execs = Execs {
        figure,
        rounds: Vec::new(),
    };
    let mut later = i64::MAX;
    if figure == Figure::Running {
        let [_, many] = &mut stand.sides;
        // It must not stand still with the database locked.
        many.begin().await;
        many.database.spread(BEAT).await?;
        // What is looked at from now on is due after this, all else before.
        later = now() + millis(BEAT);
        many.end();
    }
    for side in &stand.sides {
        side.begin().await;
        calls(side, WARM_UP).await?;
        side.end();
    }
    let begun = Instant::now();
    for number in 1..=rounds {
        if begun.elapsed() > BUDGET {
            eprintln!("out of time after {} rounds", number - 1);
            break;
        }
        let mut turns = [Turn::default(); 2];
        let order = if number % 2 == 0 { [1, 0] } else { [0, 1] };
        for index in order {
            turns[index] = turn(&mut stand.sides[index], later).await?;
        }
        execs.rounds.push(turns);
        eprintln!("many sandboxes, {figure:?}: round {number} of {rounds}");
    }
    Ok(execs)
}

async fn turn(side: &mut Side, later: i64) -> Result<Turn> {
    side.begin().await;
    let before = side.database.due_after(later).await?;
    let begun = Instant::now();
    let times = calls(side, CALLS).await?;
    let looks = side.database.due_after(later).await? - before;
    let looks = f64::from(looks) / begun.elapsed().as_secs_f64();
    side.end();
    Ok(Turn::of(times, looks))
}

async fn calls(side: &Side, calls: usize) -> Result<Vec<Duration>> {
    let times = load::exec_times(&side.way, &side.ids, calls);
    let times = timeout(PATIENCE, times).await;
    times.map_err(|_| Error::Late("a turn of calls"))?
}
