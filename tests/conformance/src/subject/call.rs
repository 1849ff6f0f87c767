//! How a call is made: what goes beside it, its deadline, and what comes beside its answer.

use std::{future::Future, time::Duration};

use sandgate_proto::v1::{
    execution_service_client::ExecutionServiceClient, file_service_client::FileServiceClient,
    git_service_client::GitServiceClient, port_service_client::PortServiceClient,
    sandbox_service_client::SandboxServiceClient,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status, transport::Channel};

use super::{QUICK, Subject};
use crate::failure::Failure;

impl Subject {
    /// SandboxService.
    pub(crate) fn sandboxes(&self) -> SandboxServiceClient<Channel> {
        SandboxServiceClient::new(self.channel.clone())
    }

    /// ExecutionService.
    pub(crate) fn executions(&self) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.channel.clone())
    }

    /// FileService.
    pub(crate) fn files(&self) -> FileServiceClient<Channel> {
        FileServiceClient::new(self.channel.clone())
    }

    /// GitService.
    pub(crate) fn git(&self) -> GitServiceClient<Channel> {
        GitServiceClient::new(self.channel.clone())
    }

    /// PortService.
    pub(crate) fn ports(&self) -> PortServiceClient<Channel> {
        PortServiceClient::new(self.channel.clone())
    }

    /// A call of one answer, with its deadline.
    pub(crate) async fn unary<M, R, F>(
        &self,
        rpc: &'static str,
        sandbox_id: &str,
        limit: Duration,
        message: M,
        call: impl FnOnce(Request<M>) -> F,
    ) -> Result<R, Failure>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut request = Request::new(message);
        request.set_timeout(limit);
        self.send(rpc, sandbox_id, limit, request, call).await
    }

    /// A call with many answers: the deadline is for the first sign of one.
    pub(crate) async fn streaming<M, R, F>(
        &self,
        rpc: &'static str,
        sandbox_id: &str,
        message: M,
        call: impl FnOnce(Request<M>) -> F,
    ) -> Result<R, Failure>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let request = Request::new(message);
        self.send(rpc, sandbox_id, QUICK, request, call).await
    }

    async fn send<M, R, F>(
        &self,
        rpc: &'static str,
        sandbox_id: &str,
        limit: Duration,
        mut request: Request<M>,
        call: impl FnOnce(Request<M>) -> F,
    ) -> Result<R, Failure>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.road.dress(sandbox_id, request.metadata_mut());
        // The other side has the same deadline; its own word about it is worth the moment more.
        let patience = limit + Duration::from_secs(2);
        match timeout(patience, call(request)).await {
            Err(_) => Err(Failure::Late { rpc, limit }),
            Ok(Ok(response)) => {
                self.road.learn(sandbox_id, response.metadata());
                Ok(response.into_inner())
            }
            Ok(Err(status)) => {
                self.road.learn(sandbox_id, status.metadata());
                let status = Box::new(status);
                Err(Failure::Call { rpc, status })
            }
        }
    }
}
