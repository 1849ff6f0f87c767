//! A client that repeats what a kill cut off, as the contract lets every client do.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sandgate_proto::v1::{
    connection_service_client::ConnectionServiceClient,
    execution_service_client::ExecutionServiceClient, sandbox_service_client::SandboxServiceClient,
    session_service_client::SessionServiceClient,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    failure::{Failure, Result, broken, describe, is_from_here, reason, setup},
    tally::Tally,
};

/// For one attempt.
const ATTEMPT: Duration = Duration::from_secs(60);
/// For all attempts of a call together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Between attempts.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A client of the gateway. Clones share its connection.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    blows: Arc<AtomicU64>,
    /// Where figures go.
    pub(crate) tally: Arc<Tally>,
}

/// A connection to this address, made when it is needed.
pub(crate) fn channel(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| setup(error.to_string()))?;
    // Windows so wide that a slow reader holds up no other on the connection.
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1 << 30)
        .connect_lazy())
}

impl Client {
    /// A client of the gateway at this address, which need not be there yet.
    pub(crate) fn new(
        address: SocketAddr,
        blows: Arc<AtomicU64>,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        Ok(Self {
            channel: channel(address)?,
            blows,
            tally,
        })
    }

    /// SessionService.
    pub(crate) fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel.clone())
    }

    /// ConnectionService.
    pub(crate) fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// SandboxService.
    pub(crate) fn sandboxes(&self) -> SandboxServiceClient<Channel> {
        SandboxServiceClient::new(self.channel.clone())
    }

    /// ExecutionService.
    pub(crate) fn executions(&self) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.channel.clone())
    }

    /// How often the gateway was hit so far.
    pub(crate) fn blows(&self) -> u64 {
        self.blows.load(Ordering::SeqCst)
    }

    /// Makes a call that is safe to repeat until it is answered.
    pub(crate) async fn call<Q, A, C>(
        &self,
        rpc: &str,
        request: Q,
        call: impl Fn(Request<Q>) -> C,
    ) -> Result<A>
    where
        Q: Clone,
        C: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        self.attempt(rpc, request, call)
            .await?
            .map_err(|status| Failure::Broken(format!("{rpc} answered {}", describe(&status))))
    }

    /// The same, where a refusal is an answer too.
    pub(crate) async fn attempt<Q, A, C>(
        &self,
        rpc: &str,
        request: Q,
        call: impl Fn(Request<Q>) -> C,
    ) -> Result<std::result::Result<A, Status>>
    where
        Q: Clone,
        C: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        let begin = Instant::now();
        loop {
            let status = match timeout(ATTEMPT, call(Request::new(request.clone()))).await {
                Err(_) => return broken(format!("{rpc} gave no answer within {ATTEMPT:?}")),
                Ok(Ok(answer)) => return Ok(Ok(answer.into_inner())),
                Ok(Err(status)) => status,
            };
            if !self.is_passing(rpc, &status) {
                return Ok(Err(status));
            }
            if begin.elapsed() > PATIENCE {
                return broken(format!(
                    "{rpc} still answers {} after {PATIENCE:?}",
                    describe(&status)
                ));
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether a failure may be gone with the next attempt; counts it, if so.
    pub(crate) fn is_passing(&self, rpc: &str, status: &Status) -> bool {
        let what = if is_from_here(status) {
            "connection".to_owned()
        } else if status.code() == Code::Unavailable {
            reason(status)
        } else {
            return false;
        };
        let mut figures = self.tally.add();
        *figures.repeats.entry(format!("{rpc} {what}")).or_default() += 1;
        true
    }
}
