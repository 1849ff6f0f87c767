//! `GitService`: each call is an execution of the runner's own program, read to its end.

use sandgate_proto::v1::{
    CloneRepositoryRequest, CloneRepositoryResponse, ConfigureGitCredentialsRequest,
    ConfigureGitCredentialsResponse, ExecutionEnded, execution_ended::Outcome,
    git_service_server::GitService,
};
use sandgate_runner_proto::v1::Start;
use tonic::{Request, Response, Status};

use super::{Service, context, kept::Kept};
use crate::{
    CallContext, Provider, ProviderError,
    executions::Message,
    git::{self, Credentials, Report},
    runner::place,
    spec::check_not_denied,
};

/// Most that the program says of itself, in bytes.
const REPORT: usize = 64 * 1024;
/// Read of git's output, in bytes, so that enough is left when lines that were written over are gone.
const OUTPUT: usize = 64 * 1024;

/// How it ended, and what it said.
struct Done {
    sandbox_id: String,
    execution_id: String,
    report: Report,
    output: Vec<u8>,
    ended: ExecutionEnded,
}

#[tonic::async_trait]
impl<P: Provider> GitService for Service<P> {
    async fn clone_repository(
        &self,
        request: Request<CloneRepositoryRequest>,
    ) -> Result<Response<CloneRepositoryResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let cloned = self.clone(&context, request.into_inner()).await;
        let cloned = cloned.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(cloned))
    }

    async fn configure_git_credentials(
        &self,
        request: Request<ConfigureGitCredentialsRequest>,
    ) -> Result<Response<ConfigureGitCredentialsResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let configured = self.configure(&context, request.into_inner()).await;
        let configured = configured.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(configured))
    }
}

impl<P: Provider> Service<P> {
    async fn clone(
        &self,
        context: &CallContext,
        request: CloneRepositoryRequest,
    ) -> Result<CloneRepositoryResponse, ProviderError> {
        self.check_git("git").await?;
        let Done {
            sandbox_id,
            execution_id,
            report,
            output,
            ended,
        } = self.to_its_end(context, git::clone(request)?).await?;
        report
            .check()
            .map_err(|error| error.with("execution_id", &execution_id))?;
        let is_good = ended.outcome == Some(Outcome::ExitCode(0));
        let only_if_good = |text: String| if is_good { text } else { String::new() };
        Ok(CloneRepositoryResponse {
            sandbox_id,
            execution_id,
            path: report.path,
            r#ref: only_if_good(report.reference),
            commit: only_if_good(report.commit),
            authenticated: report.authenticated,
            ended: Some(ended),
            output_tail: git::tail(&output),
        })
    }

    async fn configure(
        &self,
        context: &CallContext,
        request: ConfigureGitCredentialsRequest,
    ) -> Result<ConfigureGitCredentialsResponse, ProviderError> {
        self.check_git("git_credentials").await?;
        let credentials = Credentials::of(request)?;
        if credentials.names_user() {
            self.check_git("exec_user").await?;
        }
        let done = self.to_its_end(context, credentials.start()).await?;
        done.report.check_lent()?;
        match done.ended.outcome {
            Some(Outcome::ExitCode(0)) => Ok(credentials.answer()),
            _ => Err(git::failed(&done.output)),
        }
    }

    async fn check_git(&self, capability: &'static str) -> Result<(), ProviderError> {
        check_not_denied(capability, &self.provider.capabilities().await?)
    }

    /// Starts it, or finds it, and waits for its end. Whoever goes away meanwhile ends nothing.
    async fn to_its_end(&self, context: &CallContext, start: Start) -> Result<Done, ProviderError> {
        let mut follow = self
            .executions
            .start_followed(context.clone(), start)
            .await?;
        let started = follow.started();
        let mut channels = [Kept::new(REPORT, 0), Kept::new(0, OUTPUT), Kept::new(0, 0)];
        let ended = loop {
            match follow.next().await? {
                Message::Output(chunk) => channels[place(chunk.channel)].output(&chunk.data),
                Message::Gap(gap) => channels[place(gap.channel)].gap(gap.end_offset, gap.reason),
                Message::Ended(ended) => break ended,
                Message::Started(_) | Message::KeepAlive | Message::SnapshotEnd(_) => {}
            }
        };
        let [stdout, stderr, _] = channels.map(|kept| kept.bytes());
        Ok(Done {
            sandbox_id: started.sandbox_id,
            execution_id: started.execution_id,
            report: Report::read(&stdout),
            output: stderr,
            ended,
        })
    }
}
