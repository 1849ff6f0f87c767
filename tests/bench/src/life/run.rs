//! The run: first among sandboxes that are stopped, then among sandboxes that run.

use sandgate_proto::v1::SandboxState;

use super::{
    exec,
    figure::Figure,
    lease, reconcile,
    results::{Results, Work},
    stand::Stand,
    table,
};
use crate::{
    config::RunArgs,
    error::{Error, Result},
};

/// Most rounds of what takes seconds each.
const MOST: u32 = 5;

/// Takes the figures; their tables.
pub(crate) async fn run(args: &RunArgs, figures: Vec<Figure>) -> Result<String> {
    let mut results = Results::default();
    for state in [SandboxState::Stopped, SandboxState::Running] {
        let wanted: Vec<Figure> = figures
            .iter()
            .copied()
            .filter(|figure| figure.state() == state)
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut stand = Stand::start(args, state).await?;
        // In a task: the main thread of the runtime hands every wake-up to another thread.
        let rounds = args.rounds;
        let measured = tokio::spawn(async move {
            let measured = measure(&wanted, &mut stand, rounds, results).await;
            stand.stop().await;
            measured
        });
        results = measured
            .await
            .map_err(|_| Error::Late("the measurement"))??;
    }
    Ok(table::render(&results, args.sandboxes))
}

async fn measure(
    figures: &[Figure],
    stand: &mut Stand,
    rounds: u32,
    mut results: Results,
) -> Result<Results> {
    for &figure in figures {
        match figure {
            Figure::Stopped | Figure::Running => {
                let execs = exec::measure(figure, stand, rounds).await?;
                results.execs.push(execs);
                let [_, many] = &mut stand.sides;
                many.begin().await;
                many.database.nothing_due().await?;
                many.end();
            }
            Figure::Pass | Figure::Looks | Figure::Reconcile => {
                results.work.push(work(figure, stand, rounds).await?);
            }
        }
    }
    Ok(results)
}

async fn work(figure: Figure, stand: &mut Stand, rounds: u32) -> Result<Work> {
    let rounds = rounds.min(MOST);
    let mut work = Work {
        figure,
        rounds: Vec::new(),
    };
    for number in 1..=rounds {
        let [_, many] = &mut stand.sides;
        let sample = match figure {
            Figure::Looks => lease::looks(many).await?,
            Figure::Reconcile => reconcile::sample(many).await?,
            _ => lease::pass(stand).await?,
        };
        work.rounds.push(sample);
        eprintln!("many sandboxes, {figure:?}: round {number} of {rounds}");
    }
    Ok(work)
}
