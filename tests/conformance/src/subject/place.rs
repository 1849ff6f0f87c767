//! One sandbox, and the calls of SandboxService about it. Ids that a request leaves empty are filled in.

use std::time::Duration;

use sandgate_proto::v1::{self, LogEntry, get_sandbox_logs_response::Event as LogEvent};
use tokio::time::timeout;
use uuid::Uuid;

use super::{QUICK, SLOW, Subject, Watch, watch::Source};
use crate::{
    collect::{Collected, Expect},
    failure::{Failure, broken},
};

/// A sandbox of the session.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(super) subject: &'a Subject,
    pub(super) id: String,
}

/// A process to start on pipes, by a shell line.
pub(crate) fn shell(command: impl Into<String>) -> v1::StartExecutionRequest {
    v1::StartExecutionRequest {
        command: command.into(),
        ..Default::default()
    }
}

/// The same for Exec.
pub(crate) fn line(command: impl Into<String>) -> v1::ExecRequest {
    v1::ExecRequest {
        command: command.into(),
        ..Default::default()
    }
}

/// A new execution id.
pub(crate) fn new_execution() -> String {
    format!("conf-{}", Uuid::new_v4())
}

impl<'a> Place<'a> {
    pub(super) fn new(subject: &'a Subject, id: &str) -> Self {
        let id = id.to_owned();
        Self { subject, id }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn fill(&self, session_id: &mut String, sandbox_id: &mut String) {
        if session_id.is_empty() {
            *session_id = self.subject.session_id();
        }
        if sandbox_id.is_empty() {
            sandbox_id.clone_from(&self.id);
        }
    }

    /// CreateSandbox.
    pub(crate) async fn create(
        &self,
        mut request: v1::CreateSandboxRequest,
    ) -> Result<v1::CreateSandboxResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.create_sandbox(request).await };
        self.unary("CreateSandbox", SLOW, request, call).await
    }

    /// GetSandbox.
    pub(crate) async fn get(&self) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::GetSandboxRequest::default();
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.get_sandbox(request).await };
        let answer = self.unary("GetSandbox", QUICK, request, call).await?;
        sandbox("GetSandbox", answer.sandbox)
    }

    /// StartSandbox.
    pub(crate) async fn start_sandbox(&self) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::StartSandboxRequest::default();
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.start_sandbox(request).await };
        let answer = self.unary("StartSandbox", SLOW, request, call).await?;
        sandbox("StartSandbox", answer.sandbox)
    }

    /// StopSandbox.
    pub(crate) async fn stop_sandbox(&self) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::StopSandboxRequest::default();
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.stop_sandbox(request).await };
        let answer = self.unary("StopSandbox", SLOW, request, call).await?;
        sandbox("StopSandbox", answer.sandbox)
    }

    /// PauseSandbox.
    pub(crate) async fn pause_sandbox(&self, hibernate: bool) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::PauseSandboxRequest {
            hibernate,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.pause_sandbox(request).await };
        let answer = self.unary("PauseSandbox", SLOW, request, call).await?;
        sandbox("PauseSandbox", answer.sandbox)
    }

    /// ResumeSandbox.
    pub(crate) async fn resume_sandbox(&self) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::ResumeSandboxRequest::default();
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.resume_sandbox(request).await };
        let answer = self.unary("ResumeSandbox", SLOW, request, call).await?;
        sandbox("ResumeSandbox", answer.sandbox)
    }

    /// DeleteSandbox.
    pub(crate) async fn delete(&self) -> Result<v1::Sandbox, Failure> {
        let mut request = v1::DeleteSandboxRequest::default();
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.delete_sandbox(request).await };
        let answer = self.unary("DeleteSandbox", SLOW, request, call).await?;
        sandbox("DeleteSandbox", answer.sandbox)
    }

    /// RenewSandbox.
    pub(crate) async fn renew(&self, cursor: &str) -> Result<v1::RenewSandboxResponse, Failure> {
        self.renew_as(v1::RenewSandboxRequest {
            ended_cursor: cursor.to_owned(),
            ..Default::default()
        })
        .await
    }

    /// RenewSandbox with more than a cursor.
    pub(crate) async fn renew_as(
        &self,
        mut request: v1::RenewSandboxRequest,
    ) -> Result<v1::RenewSandboxResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.renew_sandbox(request).await };
        self.unary("RenewSandbox", QUICK, request, call).await
    }

    /// Exec.
    pub(crate) async fn exec(&self, mut request: v1::ExecRequest) -> Result<Watch, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let expect = Expect {
            sandbox_id: self.id.clone(),
            execution_id: request.execution_id.clone(),
            ..Expect::default()
        };
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.exec(request).await };
        let stream = self
            .subject
            .streaming("Exec", &self.id, request, call)
            .await?;
        Ok(Watch::new(Source::Exec(stream), expect))
    }

    /// Exec to its end.
    pub(crate) async fn finish(&self, request: v1::ExecRequest) -> Result<Collected, Failure> {
        self.exec(request).await?.finish().await
    }

    /// Exec of a shell line to its end.
    pub(crate) async fn sh(&self, command: impl Into<String>) -> Result<Collected, Failure> {
        self.finish(line(command)).await
    }

    /// What a shell line that works prints.
    pub(crate) async fn text(&self, command: impl Into<String>) -> Result<String, Failure> {
        let seen = self.sh(command).await?;
        seen.exited(0)?;
        Ok(seen.stdout.text())
    }

    /// RunCommand.
    pub(crate) async fn run(
        &self,
        mut request: v1::RunCommandRequest,
    ) -> Result<v1::RunCommandResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let call = |request| async move { client.run_command(request).await };
        let limit = QUICK * 2;
        self.unary("RunCommand", limit, request, call).await
    }

    /// Entries of GetSandboxLogs, which must not be asked to follow.
    pub(crate) async fn logs(
        &self,
        mut request: v1::GetSandboxLogsRequest,
    ) -> Result<Vec<LogEntry>, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.sandboxes();
        let rpc = "GetSandboxLogs";
        let call = |request| async move { client.get_sandbox_logs(request).await };
        let mut stream = self.subject.streaming(rpc, &self.id, request, call).await?;
        let read = async {
            let mut entries = Vec::new();
            while let Some(message) = stream.message().await? {
                if let Some(LogEvent::Entry(entry)) = message.event {
                    entries.push(entry);
                }
            }
            Ok::<_, tonic::Status>(entries)
        };
        match timeout(QUICK, read).await {
            Err(_) => Err(Failure::Late { rpc, limit: QUICK }),
            Ok(Ok(entries)) => Ok(entries),
            Ok(Err(status)) => {
                let status = Box::new(status);
                Err(Failure::Call { rpc, status })
            }
        }
    }

    pub(super) async fn unary<M, R, F>(
        &self,
        rpc: &'static str,
        limit: Duration,
        message: M,
        call: impl FnOnce(tonic::Request<M>) -> F,
    ) -> Result<R, Failure>
    where
        F: Future<Output = Result<tonic::Response<R>, tonic::Status>>,
    {
        self.subject
            .unary(rpc, &self.id, limit, message, call)
            .await
    }
}

/// The sandbox of an answer.
fn sandbox(rpc: &str, seen: Option<v1::Sandbox>) -> Result<v1::Sandbox, Failure> {
    seen.ok_or_else(|| broken(format!("{rpc} answered without a sandbox")))
}
