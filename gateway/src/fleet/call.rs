//! The life-cycle calls that the gateway itself makes to a provider.

use std::{error::Error as _, future::Future, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::HeaderValue;
use prost::Message as _;
use sandgate_proto::{
    Outcome, Problem, STATE_METADATA, limits,
    provider::v1::{ProviderContext, ProviderState},
    v1::{self, Capabilities, Sandbox, SandboxSpec, sandbox_service_client::SandboxServiceClient},
};
use sandgate_service::Wire;
use tokio::time::timeout;
use tonic::{
    Code, Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

use super::{Lane, failure};
use crate::{clock, problem, problem::Result};

/// A provider context, encoded once for all calls about one sandbox.
#[derive(Clone)]
pub(crate) struct Context {
    pub(super) encoded: Vec<u8>,
    header: HeaderValue,
}

/// What a provider answers a renewal with.
pub(crate) struct Renewed {
    pub(crate) answer: Answer,
    /// Executions that run.
    pub(crate) running: u32,
    /// When something last happened inside, milliseconds since the Unix epoch.
    pub(crate) last_activity: Option<i64>,
    /// Executions that ended since the cursor, oldest first.
    pub(crate) ended: Vec<v1::EndedExecution>,
    /// Where to go on; empty where the sandbox does not run.
    pub(crate) ended_cursor: String,
    /// More have ended than fit.
    pub(crate) more_ended: bool,
    /// All executions were ended, as was asked.
    pub(crate) closed: bool,
}

/// What a provider answers a life-cycle call with.
pub(crate) struct Answer {
    pub(crate) sandbox: Sandbox,
    pub(crate) state: Option<ProviderState>,
}

impl Context {
    pub(crate) fn new(context: &ProviderContext) -> Result<Self> {
        let encoded = context.encode_to_vec();
        if encoded.len() > limits::CONTEXT_BYTES {
            return Err(problem::internal("provider context", &"larger than 6 KiB"));
        }
        let mut header = HeaderValue::try_from(STANDARD_NO_PAD.encode(&encoded))
            .map_err(|error| problem::internal("provider context", &error))?;
        // Never indexed by HPACK: it holds keys.
        header.set_sensitive(true);
        Ok(Self { encoded, header })
    }

    /// The value of the metadata entry `sandgate-context-bin`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl Lane {
    /// Asks what the provider can do.
    pub(crate) async fn capabilities(
        &self,
        context: Option<&Context>,
        patience: Duration,
    ) -> Result<Capabilities> {
        let request = self.request(v1::GetCapabilitiesRequest::default(), context, patience);
        let reply = self.call(patience, |mut client| async move {
            client.get_capabilities(request).await
        });
        Ok(reply.await?.into_inner().capabilities.unwrap_or_default())
    }

    /// Makes the sandbox that the context names.
    pub(crate) async fn create(
        &self,
        context: &Context,
        spec: SandboxSpec,
        patience: Duration,
    ) -> Result<Answer> {
        let body = v1::CreateSandboxRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let request = self.request(body, Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.create_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// Looks at the sandbox.
    pub(crate) async fn get(&self, context: &Context, patience: Duration) -> Result<Answer> {
        let request = self.request(v1::GetSandboxRequest::default(), Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.get_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// One page of the sandboxes that the context's owner has at the upstream.
    pub(crate) async fn list(
        &self,
        context: &Context,
        page_size: u32,
        page_token: &str,
        patience: Duration,
    ) -> Result<v1::ListSandboxesResponse> {
        let body = v1::ListSandboxesRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let request = self.request(body, Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.list_sandboxes(request).await
        });
        Ok(reply.await?.into_inner())
    }

    /// Starts the sandbox.
    pub(crate) async fn start(&self, context: &Context, patience: Duration) -> Result<Answer> {
        let request = self.request(v1::StartSandboxRequest::default(), Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.start_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// Stops the sandbox.
    pub(crate) async fn stop(
        &self,
        context: &Context,
        grace: Option<prost_types::Duration>,
        patience: Duration,
    ) -> Result<Answer> {
        let body = v1::StopSandboxRequest {
            grace_timeout: grace,
            ..Default::default()
        };
        let request = self.request(body, Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.stop_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// Freezes the sandbox.
    pub(crate) async fn pause(
        &self,
        context: &Context,
        hibernate: bool,
        patience: Duration,
    ) -> Result<Answer> {
        let body = v1::PauseSandboxRequest {
            hibernate,
            ..Default::default()
        };
        let request = self.request(body, Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.pause_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// Lets a frozen sandbox go on.
    pub(crate) async fn resume(&self, context: &Context, patience: Duration) -> Result<Answer> {
        let request = self.request(v1::ResumeSandboxRequest::default(), Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.resume_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        self.answer(&metadata, body.sandbox)
    }

    /// Asks what the sandbox does, and did since a cursor of an earlier answer.
    pub(crate) async fn renew(
        &self,
        context: &Context,
        body: v1::RenewSandboxRequest,
        patience: Duration,
    ) -> Result<Renewed> {
        let request = self.request(body, Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.renew_sandbox(request).await
        });
        let (metadata, body, _) = reply.await?.into_parts();
        Ok(Renewed {
            answer: self.answer(&metadata, body.sandbox)?,
            running: body.running_executions,
            last_activity: body.last_activity_time.and_then(clock::millis),
            ended: body.ended,
            ended_cursor: body.ended_cursor,
            more_ended: body.more_ended,
            closed: body.closed,
        })
    }

    /// Deletes the sandbox; one that is gone is deleted.
    pub(crate) async fn delete(&self, context: &Context, patience: Duration) -> Result<()> {
        let request = self.request(v1::DeleteSandboxRequest::default(), Some(context), patience);
        let reply = self.call(patience, |mut client| async move {
            client.delete_sandbox(request).await
        });
        match reply.await {
            Err(problem) if problem.reason() != sandgate_proto::Reason::SandboxNotFound => {
                Err(problem)
            }
            _ => Ok(()),
        }
    }

    async fn call<T, F>(
        &self,
        patience: Duration,
        send: impl FnOnce(SandboxServiceClient<Wire>) -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let client = SandboxServiceClient::new(self.wire.clone());
        match timeout(patience, send(client)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(status)) => Err(self.problem(&status)),
            Err(_) => Err(problem::provider_unavailable(
                &self.provider,
                Outcome::Ambiguous,
            )),
        }
    }

    /// A provider's own problem as it said it; everything else is a failure of the way to it.
    pub(super) fn problem(&self, status: &Status) -> Problem {
        if status.code() == Code::Unauthenticated {
            return problem::not_let_in(&self.provider);
        }
        Problem::from_status(status).unwrap_or_else(|| match status.source() {
            Some(source) => failure(&self.provider, source),
            None => failure(&self.provider, status),
        })
    }

    fn answer(&self, metadata: &MetadataMap, sandbox: Option<Sandbox>) -> Result<Answer> {
        let malformed =
            |what| problem::internal("provider answer", &format!("{}: {what}", self.provider));
        let state = match metadata
            .get_bin(STATE_METADATA)
            .map(MetadataValue::to_bytes)
        {
            None => None,
            Some(Ok(bytes)) => {
                let state = ProviderState::decode(bytes).map_err(|_| malformed("bad state"))?;
                if state.state.len() > limits::STATE_BYTES {
                    return Err(malformed("state over 4 KiB"));
                }
                Some(state)
            }
            Some(Err(_)) => return Err(malformed("bad state")),
        };
        let sandbox = sandbox.ok_or_else(|| malformed("no sandbox"))?;
        Ok(Answer { sandbox, state })
    }
}
