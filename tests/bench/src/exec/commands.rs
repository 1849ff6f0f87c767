//! Commands in containers, beside the Docker exec API in the same containers.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    client::Client,
    engine::Engine,
    figure::{Figure, Pair},
    phase::Phase,
};
use crate::{
    error::{Error, Result},
    spread::Spread,
};

/// Commands in flight.
pub(super) const IN_FLIGHT: usize = 8;
/// Containers that they are spread over.
pub(super) const CONTAINERS: usize = 4;
/// Commands whose median is one latency: ours, and the engine's, which are slower.
pub(super) const CALLS: [usize; 2] = [200, 16];
/// How long a rate is measured: ours, the engine's.
const TIMES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// Bytes of the long output.
pub(super) const OUTPUT: u64 = 512 * 1024 * 1024;
const TRUE: &[&str] = &["true"];

/// What the commands run in.
pub(super) struct Commands {
    client: Client,
    engine: Engine,
    /// Ids of the sandboxes, each with that of its container.
    places: Vec<(String, String)>,
}

impl Commands {
    /// Makes the containers.
    pub(super) async fn prepare(client: &Client, engine: Engine) -> Result<Self> {
        let mut places = Vec::new();
        for _ in 0..CONTAINERS {
            let made = client.create().await?;
            places.push((made.sandbox_id, made.provider_sandbox_id));
        }
        Ok(Self {
            client: client.clone(),
            engine,
            places,
        })
    }

    async fn ours(&self, index: usize, argv: &[&str]) -> Result<u64> {
        let (sandbox, _) = &self.places[index % self.places.len()];
        self.client.run(index, sandbox, argv).await
    }

    async fn theirs(&self, argv: &[&str]) -> Result<u64> {
        self.engine.run(&self.places[0].1, argv).await
    }

    /// Commands a second of ours, over the first containers.
    async fn rate(&self, containers: usize, time: Duration) -> Result<f64> {
        let (client, places) = (self.client.clone(), Arc::new(self.places.clone()));
        in_flight(time, move |index| {
            let (client, places) = (client.clone(), places.clone());
            async move {
                let (sandbox, _) = &places[index % containers];
                client.run(index, sandbox, TRUE).await
            }
        })
        .await
    }

    async fn engine_rate(&self, time: Duration) -> Result<f64> {
        let (engine, container) = (self.engine.clone(), self.places[0].1.clone());
        in_flight(time, move |_| {
            let (engine, container) = (engine.clone(), container.clone());
            async move { engine.run(&container, TRUE).await }
        })
        .await
    }

    async fn stdout(&self, bytes: u64) -> Result<Pair> {
        let count = bytes.to_string();
        let argv = ["head", "-c", &count, "/dev/zero"];
        let ours = self.speed(bytes, self.ours(0, &argv)).await?;
        let other = self.speed(bytes, self.theirs(&argv)).await?;
        Ok(Pair { ours, other })
    }

    /// Megabytes (10^6) a second.
    async fn speed(&self, wanted: u64, run: impl Future<Output = Result<u64>>) -> Result<f64> {
        let begun = Instant::now();
        let bytes = run.await?;
        if bytes != wanted {
            let what = format!("{bytes} bytes of output, not {wanted}");
            return Err(self.client.wrong(what));
        }
        Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }
}

impl Phase for Commands {
    async fn take(&self, figure: Figure, warm_up: bool) -> Result<Pair> {
        let part: u32 = if warm_up { 4 } else { 1 };
        let [calls, their_calls] = CALLS.map(|calls| calls / part as usize);
        let [time, their_time] = TIMES.map(|time| time / part);
        let (ours, other) = match figure {
            Figure::True => (
                median(calls, || self.ours(0, TRUE)).await?,
                median(their_calls, || self.theirs(TRUE)).await?,
            ),
            Figure::InFlight => (
                self.rate(1, time).await?,
                self.engine_rate(their_time).await?,
            ),
            Figure::Containers => (
                self.rate(CONTAINERS, time).await?,
                self.rate(1, time).await?,
            ),
            _ => return self.stdout(OUTPUT / u64::from(part)).await,
        };
        Ok(Pair { ours, other })
    }
}

/// Median time of a call, one at a time, in milliseconds.
pub(super) async fn median<F: Future<Output = Result<u64>>>(
    calls: usize,
    call: impl Fn() -> F,
) -> Result<f64> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        call().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Spread::of(times).median)
}

/// Calls a second with some in flight all the time.
async fn in_flight<F>(
    time: Duration,
    call: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<u64>> + Send,
{
    let begun = Instant::now();
    let end = begun + time;
    let mut tasks = JoinSet::new();
    for index in 0..IN_FLIGHT {
        let call = call.clone();
        tasks.spawn(async move {
            let mut calls = 0u32;
            while Instant::now() < end {
                call(index).await?;
                calls += 1;
            }
            Ok::<_, Error>(calls)
        });
    }
    let mut calls = 0;
    while let Some(done) = tasks.join_next().await {
        calls += done.map_err(|_| Error::Late("a command"))??;
    }
    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
}
