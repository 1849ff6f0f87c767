//! The run: warms up, takes every figure once a round over each way in turn.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{
    load::{Road, Taken},
    samples::{Sample, Samples},
    setup::Setup,
    table,
};
use crate::{
    config::{Figure, RunArgs},
    error::{Error, Result},
};

/// Unary calls whose median is one latency.
pub(crate) const CALLS: usize = 2_000;
/// Calls in flight for one rate.
pub(crate) const IN_FLIGHT: usize = 64;
/// How long one rate is measured.
const RATE_TIME: Duration = Duration::from_secs(1);
/// Pieces of output in one stream: 256 MiB.
pub(crate) const CHUNKS: u32 = 4_096;
/// No figure takes as long as this.
const PATIENCE: Duration = Duration::from_secs(30);
/// No round begins after this; what was measured until then counts.
const BUDGET: Duration = Duration::from_secs(140);

/// Takes the figures; their table.
pub(crate) async fn run(args: &RunArgs, figures: Vec<Figure>) -> Result<String> {
    let setup = Setup::start(args).await?;
    // In a task: the main thread of the runtime hands every wake-up to another thread.
    let roads = setup.roads.clone();
    let rounds = args.rounds;
    let measured = tokio::spawn(async move { measure(&roads, rounds, &figures).await }).await;
    setup.stop().await;
    let measured = measured.map_err(|_| Error::Late("the measurement"))??;
    Ok(table::render(&measured, args).await)
}

async fn measure(roads: &[Road; 3], rounds: u32, figures: &[Figure]) -> Result<Vec<Samples>> {
    let mut measured: Vec<Samples> = figures
        .iter()
        .map(|&figure| Samples {
            figure,
            rounds: Vec::new(),
        })
        .collect();
    for road in roads {
        for samples in &measured {
            take(road, samples.figure, true).await?;
        }
    }
    let begun = Instant::now();
    for round in 1..=rounds {
        if begun.elapsed() > BUDGET {
            eprintln!("out of time after {} rounds", round - 1);
            break;
        }
        for samples in &mut measured {
            let [direct, nginx, gateway] = roads;
            let (direct, _) = take(direct, samples.figure, false).await?;
            let (nginx, nginx_cpu) = take(nginx, samples.figure, false).await?;
            let (gateway, gateway_cpu) = take(gateway, samples.figure, false).await?;
            let sample = Sample {
                direct,
                nginx,
                gateway,
                nginx_cpu,
                gateway_cpu,
            };
            samples.rounds.push(sample);
        }
        eprintln!("round {round} of {rounds}");
    }
    Ok(measured)
}

/// One figure over one way, and the processor time of the hop for each call or megabyte, in
/// microseconds; a shorter one to warm up.
async fn take(road: &Road, figure: Figure, warm_up: bool) -> Result<(f64, f64)> {
    let part: u32 = if warm_up { 4 } else { 1 };
    let before = road.hop_used();
    let taken = match figure {
        Figure::Latency => patiently(road.latency(CALLS / part as usize)).await,
        Figure::Rate => patiently(road.rate(IN_FLIGHT, RATE_TIME / part)).await,
        Figure::Stream => patiently(road.stream(CHUNKS / part)).await,
    }?;
    let used = road.hop_used().saturating_sub(before);
    Ok((taken.value, used.as_secs_f64() * 1e6 / taken.units))
}

async fn patiently(figure: impl Future<Output = Result<Taken>>) -> Result<Taken> {
    timeout(PATIENCE, figure)
        .await
        .map_err(|_| Error::Late("a figure"))?
}
