//! The client: the same calls over every way, each giving one figure.

use std::{
    iter::repeat_n,
    time::{Duration, Instant},
};

use sandgate_proto::v1::{
    ExecRequest, GetExecutionRequest, exec_response::Event,
    execution_service_client::ExecutionServiceClient, sandbox_service_client::SandboxServiceClient,
};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::{cpu, provider::CHUNK};
use crate::{
    error::{Error, Result},
    way::Way,
};

/// The sandbox that is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    /// Its session.
    pub(crate) session_id: String,
    /// Its id.
    pub(crate) sandbox_id: String,
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The figure, in the unit of its column.
    pub(crate) value: f64,
    /// How many calls, or megabytes of a stream, it took.
    pub(crate) units: f64,
}

/// One way to the provider, with the sandbox that is called over it.
#[derive(Clone)]
pub(crate) struct Road {
    way: Way,
    hop: Option<u32>,
    ids: Ids,
}

impl Road {
    /// With no process between client and provider.
    pub(crate) fn new(way: Way, ids: &Ids) -> Self {
        Self {
            way,
            hop: None,
            ids: ids.clone(),
        }
    }

    /// Says which process is between client and provider.
    pub(crate) fn through(mut self, hop: Option<u32>) -> Self {
        self.hop = hop;
        self
    }

    /// Processor time that the process between has used so far.
    pub(crate) fn hop_used(&self) -> Duration {
        self.hop.map(cpu::used).unwrap_or_default()
    }

    /// Median time of `calls` unary calls, one after the other, in microseconds.
    pub(crate) async fn latency(&self, calls: usize) -> Result<Taken> {
        let times = times(&self.way, repeat_n(&self.ids, calls)).await?;
        Ok(Taken {
            value: median(times),
            units: calls as f64,
        })
    }

    /// Unary calls a second, with `in_flight` at a time for `time`.
    pub(crate) async fn rate(&self, in_flight: usize, time: Duration) -> Result<Taken> {
        let begun = Instant::now();
        let end = begun + time;
        let mut tasks = JoinSet::new();
        for index in 0..in_flight {
            let road = self.clone();
            let mut client = ExecutionServiceClient::new(self.way.channel(index));
            tasks.spawn(async move {
                let mut calls = 0u32;
                while Instant::now() < end {
                    get_execution(&road.way, &mut client, &road.ids).await?;
                    calls += 1;
                }
                Ok::<_, Error>(calls)
            });
        }
        let mut calls = 0u32;
        while let Some(done) = tasks.join_next().await {
            let done = done.map_err(|error| self.way.wrong(error.to_string()))?;
            calls += done?;
        }
        let units = f64::from(calls);
        Ok(Taken {
            value: units / begun.elapsed().as_secs_f64(),
            units,
        })
    }

    /// Megabytes (10^6) a second of one server stream of `chunks` pieces of output.
    pub(crate) async fn stream(&self, chunks: u32) -> Result<Taken> {
        let mut client = SandboxServiceClient::new(self.way.channel(0));
        let begun = Instant::now();
        exec(&self.way, &mut client, &self.ids, chunks).await?;
        let units = (chunks as usize * CHUNK) as f64 / 1e6;
        Ok(Taken {
            value: units / begun.elapsed().as_secs_f64(),
            units,
        })
    }
}

/// How long a unary call about each of these sandboxes took, one after the other.
pub(crate) async fn times<'a>(
    way: &Way,
    sandboxes: impl Iterator<Item = &'a Ids>,
) -> Result<Vec<Duration>> {
    let mut client = ExecutionServiceClient::new(way.channel(0));
    let mut times = Vec::with_capacity(sandboxes.size_hint().0);
    for ids in sandboxes {
        let begun = Instant::now();
        get_execution(way, &mut client, ids).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// How long so many `Exec` without output took, one after the other.
pub(crate) async fn exec_times(way: &Way, ids: &Ids, calls: usize) -> Result<Vec<Duration>> {
    let mut client = SandboxServiceClient::new(way.channel(0));
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        exec(way, &mut client, ids, 0).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// The middle of them, in microseconds; there has to be one.
pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// One `Exec` with so many pieces of output, read to its end.
async fn exec(
    way: &Way,
    client: &mut SandboxServiceClient<Channel>,
    ids: &Ids,
    chunks: u32,
) -> Result<()> {
    let asked = way.request(ExecRequest {
        session_id: ids.session_id.clone(),
        sandbox_id: ids.sandbox_id.clone(),
        command: chunks.to_string(),
        ..Default::default()
    });
    let answer = client.exec(asked).await;
    let mut events = answer.map_err(|status| way.failed(status))?.into_inner();
    let (mut bytes, mut ended) = (0, false);
    while let Some(event) = events
        .message()
        .await
        .map_err(|status| way.failed(status))?
    {
        match event.event {
            Some(Event::Output(output)) => bytes += output.data.len(),
            Some(Event::Ended(_)) => ended = true,
            _ => {}
        }
    }
    let wanted = chunks as usize * CHUNK;
    if !ended || bytes != wanted {
        return Err(way.wrong(format!("{bytes} bytes of {wanted}, ended: {ended}")));
    }
    Ok(())
}

async fn get_execution(
    way: &Way,
    client: &mut ExecutionServiceClient<Channel>,
    ids: &Ids,
) -> Result<()> {
    let asked = way.request(GetExecutionRequest {
        session_id: ids.session_id.clone(),
        sandbox_id: ids.sandbox_id.clone(),
        execution_id: "bench".to_owned(),
    });
    let answer = client
        .get_execution(asked)
        .await
        .map_err(|status| way.failed(status))?;
    match answer.into_inner().execution {
        Some(execution) if execution.execution_id == "bench" => Ok(()),
        _ => Err(way.wrong("not the execution that was asked for")),
    }
}
