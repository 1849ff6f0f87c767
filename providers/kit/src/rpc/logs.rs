//! `GetSandboxLogs`: the lines, with signs of life in silence.

use futures::stream;
use sandgate_proto::v1::{
    GetSandboxLogsRequest, GetSandboxLogsResponse, KeepAlive, get_sandbox_logs_response::Event,
};
use tokio::time::{Instant, sleep_until};
use tonic::{Response, Status, codegen::BoxStream};

use super::{Service, stream::KEEP_ALIVE};
use crate::{CallContext, Provider, ProviderError, logs::Logs};

impl<P: Provider> Service<P> {
    pub(super) async fn logs(
        &self,
        context: CallContext,
        request: GetSandboxLogsRequest,
    ) -> Result<Response<BoxStream<GetSandboxLogsResponse>>, Status> {
        let (provider, sandbox_id) = (self.provider.id(), context.sandbox_id.clone());
        let opened = Logs::open(&*self.provider, self.executions.clone(), context, request).await;
        let logs = opened.map_err(|error| self.problem(error, &sandbox_id))?;
        let lines = stream::unfold(Some(logs), move |logs| {
            let sandbox_id = sandbox_id.clone();
            async move {
                let mut logs = logs?;
                match next(&mut logs).await {
                    Ok(event) => {
                        let event = Some(event?);
                        Some((Ok(GetSandboxLogsResponse { event }), Some(logs)))
                    }
                    Err(error) => {
                        Some((Err(error.into_problem(provider, &sandbox_id).into()), None))
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(lines)))
    }
}

async fn next<P: Provider>(logs: &mut Logs<P>) -> Result<Option<Event>, ProviderError> {
    let silence = Instant::now() + KEEP_ALIVE;
    tokio::select! {
        biased;
        entry = logs.next() => Ok(entry?.map(Event::Entry)),
        () = sleep_until(silence) => Ok(Some(Event::KeepAlive(KeepAlive {}))),
    }
}
