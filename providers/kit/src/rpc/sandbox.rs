//! `SandboxService`: the life of a sandbox, and the commands that answer on their own stream.

use std::time::Duration;

use sandgate_proto::{
    Problem,
    v1::{self, SandboxSpec, sandbox_service_server::SandboxService},
};
use sandgate_service::timeout_of;
use tokio::time::Instant;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Service, answer, context, requests, run, stream::stream};
use crate::{CallContext, Page, Provider, ProviderError, Spec, spec::check_required};

#[tonic::async_trait]
impl<P: Provider> SandboxService for Service<P> {
    async fn get_capabilities(
        &self,
        _request: Request<v1::GetCapabilitiesRequest>,
    ) -> Result<Response<v1::GetCapabilitiesResponse>, Status> {
        let capabilities = self
            .provider
            .capabilities()
            .await
            .map_err(|error| self.problem(error, ""))?;
        Ok(Response::new(v1::GetCapabilitiesResponse {
            capabilities: Some(capabilities),
        }))
    }

    async fn create_sandbox(
        &self,
        request: Request<v1::CreateSandboxRequest>,
    ) -> Result<Response<v1::CreateSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let version = context.state_version;
        let asked: SandboxSpec = request.into_inner().spec.unwrap_or_default();
        let resolved = self.provider.resolved(asked.clone());
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        let required = asked.required_capabilities.clone();
        let spec = Spec::try_from(asked).map_err(failed)?;
        if !required.is_empty() {
            let has = self.provider.capabilities().await.map_err(failed)?;
            check_required(&required, &has).map_err(failed)?;
        }
        let instance = self
            .to_the_end(context, move |provider, context| async move {
                provider.create(&context, spec).await
            })
            .await?;
        let mut sandbox = self.sandbox(&instance);
        sandbox.spec = Some(resolved);
        let reply = v1::CreateSandboxResponse {
            sandbox: Some(sandbox),
            ..Default::default()
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn get_sandbox(
        &self,
        request: Request<v1::GetSandboxRequest>,
    ) -> Result<Response<v1::GetSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let instance = self
            .provider
            .get(&context)
            .await
            .map_err(|error| self.problem(error, &context.sandbox_id))?;
        let reply = v1::GetSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, context.state_version))
    }

    async fn list_sandboxes(
        &self,
        request: Request<v1::ListSandboxesRequest>,
    ) -> Result<Response<v1::ListSandboxesResponse>, Status> {
        let context = CallContext::read(request.metadata())?;
        let body = request.into_inner();
        let size = match body.page_size {
            0 => 50,
            asked => asked.min(1000) as usize,
        };
        let page = Page {
            after: body.page_token,
            size,
        };
        let instances = self
            .provider
            .list(&context, page)
            .await
            .map_err(|error| self.problem(error, ""))?;
        let next_page_token = match instances.last() {
            Some(last) if instances.len() >= size => last.sandbox_id.clone(),
            _ => String::new(),
        };
        let sandboxes = instances
            .iter()
            .map(|instance| self.sandbox(instance))
            .collect();
        Ok(Response::new(v1::ListSandboxesResponse {
            sandboxes,
            next_page_token,
        }))
    }

    async fn start_sandbox(
        &self,
        request: Request<v1::StartSandboxRequest>,
    ) -> Result<Response<v1::StartSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let version = context.state_version;
        let instance = self
            .bring_up(context, |provider, context| async move {
                provider.start(&context).await
            })
            .await?;
        let reply = v1::StartSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn stop_sandbox(
        &self,
        request: Request<v1::StopSandboxRequest>,
    ) -> Result<Response<v1::StopSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (version, sandbox_id) = (context.state_version, context.sandbox_id.clone());
        let ports = self.ports.clone();
        let instance = self
            .to_the_end(context, |provider, context| async move {
                let stopped = provider.stop(&context).await?;
                ports.close(&context.sandbox_id).await;
                Ok(stopped)
            })
            .await?;
        self.executions.ended(&sandbox_id);
        let reply = v1::StopSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn pause_sandbox(
        &self,
        request: Request<v1::PauseSandboxRequest>,
    ) -> Result<Response<v1::PauseSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (version, sandbox_id) = (context.state_version, context.sandbox_id.clone());
        let hibernate = body.hibernate;
        let instance = self
            .to_the_end(context, move |provider, context| async move {
                provider.pause(&context, hibernate).await
            })
            .await?;
        self.executions.paused(&sandbox_id);
        let reply = v1::PauseSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn resume_sandbox(
        &self,
        request: Request<v1::ResumeSandboxRequest>,
    ) -> Result<Response<v1::ResumeSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let version = context.state_version;
        let instance = self
            .bring_up(context, |provider, context| async move {
                provider.resume(&context).await
            })
            .await?;
        let reply = v1::ResumeSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
        };
        Ok(answer::with_state(reply, &instance, version))
    }

    async fn delete_sandbox(
        &self,
        request: Request<v1::DeleteSandboxRequest>,
    ) -> Result<Response<v1::DeleteSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (session_id, sandbox_id) =
            (context.owner.session_id.clone(), context.sandbox_id.clone());
        let ports = self.ports.clone();
        self.to_the_end(context, |provider, context| async move {
            // First, since nobody may reach what is half gone.
            ports.close(&context.sandbox_id).await;
            provider.delete(&context).await
        })
        .await?;
        self.executions.ended(&sandbox_id);
        let sandbox = Some(answer::tombstone(
            self.provider.id(),
            session_id,
            sandbox_id,
        ));
        Ok(Response::new(v1::DeleteSandboxResponse { sandbox }))
    }

    async fn renew_sandbox(
        &self,
        request: Request<v1::RenewSandboxRequest>,
    ) -> Result<Response<v1::RenewSandboxResponse>, Status> {
        self.renew(request).await
    }

    async fn exec(
        &self,
        request: Request<v1::ExecRequest>,
    ) -> Result<Response<BoxStream<v1::ExecResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let provider = self.provider.id();
        let sandbox_id = context.sandbox_id.clone();
        let failed = |error: ProviderError| self.problem(error, &sandbox_id);
        let start = self.checked(request.into_inner()).await.map_err(failed)?;
        let begun = self.executions.start_followed(context, start).await;
        let follow = begun.map_err(failed)?;
        Ok(Response::new(Box::pin(stream(
            follow, provider, sandbox_id,
        ))))
    }

    async fn run_command(
        &self,
        request: Request<v1::RunCommandRequest>,
    ) -> Result<Response<v1::RunCommandResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let answer_by = answer_by(&request)?;
        let sandbox_id = context.sandbox_id.clone();
        let failed = |error: ProviderError| self.problem(error, &sandbox_id);
        let kept = run::Keep::of(request.get_ref()).map_err(failed)?;
        let start = requests::from_run(request.into_inner());
        let start = self.checked(start).await.map_err(failed)?;
        let begun = self.executions.start_followed(context, start).await;
        let follow = begun.map_err(failed)?;
        let answer = run::run(follow, kept, answer_by).await.map_err(failed)?;
        Ok(Response::new(answer))
    }

    async fn get_sandbox_logs(
        &self,
        request: Request<v1::GetSandboxLogsRequest>,
    ) -> Result<Response<BoxStream<v1::GetSandboxLogsResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        self.logs(context, request.into_inner()).await
    }
}

/// When a call with a deadline has to be answered, so that the answer still arrives.
fn answer_by<T>(request: &Request<T>) -> Result<Option<Instant>, Problem> {
    let headers = request.metadata().clone().into_headers();
    Ok(timeout_of(&headers)?.map(|timeout| {
        let margin = Duration::from_secs(1).min(timeout / 4);
        Instant::now() + (timeout - margin)
    }))
}
