//! The sandbox that all is run in, and the calls about it.

use sandgate_proto::v1::{
    self, CreateSandboxRequest, CreateSessionRequest, DeleteSandboxRequest, DeleteSessionRequest,
    Execution, GetExecutionRequest, GetSandboxRequest, ListExecutionsRequest, ListSandboxesRequest,
    RunCommandRequest, SandboxSpec, SignalExecutionRequest, StartExecutionRequest,
    StartExecutionResponse, StartSandboxRequest, WriteStdinRequest, execution_ended::Outcome,
    sandbox_spec::Source,
};
use tonic::Status;

use crate::{
    Options,
    client::Client,
    failure::{Result, broken, ensure, same, some},
    plan::Work,
};

/// A sandbox in a session of its own. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Sandbox {
    /// Calls are made with it.
    pub(crate) client: Client,
    /// The session.
    pub(crate) session_id: String,
    /// The sandbox.
    pub(crate) sandbox_id: String,
}

/// One input of an execution.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// Place of the first byte.
    pub(crate) offset: usize,
    /// The bytes.
    pub(crate) data: &'a [u8],
    /// Nothing follows.
    pub(crate) eof: bool,
}

impl Sandbox {
    /// Makes session and sandbox.
    pub(crate) async fn create(client: Client, options: &Options) -> Result<Self> {
        let request = CreateSessionRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            title: "chaos".to_owned(),
            ..Default::default()
        };
        let mut calls = client.sessions();
        let made = calls.create_session(request).await;
        let made = made.map_err(|status| crate::failure::setup(status.to_string()))?;
        let session_id = some("session", made.into_inner().session)?.session_id;
        Self::create_in(client, session_id, options).await
    }

    /// Makes a sandbox in a session.
    async fn create_in(client: Client, session_id: String, options: &Options) -> Result<Self> {
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            request_id: uuid::Uuid::new_v4().to_string(),
            spec: Some(SandboxSpec {
                provider: options.provider.id().to_owned(),
                title: "chaos".to_owned(),
                source: options.image.clone().map(Source::Image),
                ..Default::default()
            }),
            ..Default::default()
        };
        let call = |request| {
            let mut calls = client.sandboxes();
            async move { calls.create_sandbox(request).await }
        };
        let made = client.call("CreateSandbox", request, call).await?;
        let sandbox = some("sandbox", made.sandbox)?;
        Ok(Self {
            sandbox_id: sandbox.sandbox_id,
            session_id,
            client,
        })
    }

    /// Another sandbox of the same session, in place of this one.
    pub(crate) async fn renew(&mut self, options: &Options) -> Result<()> {
        self.delete_sandbox().await?;
        *self = Self::create_in(self.client.clone(), self.session_id.clone(), options).await?;
        Ok(())
    }

    /// StartExecution.
    pub(crate) async fn start(&self, work: &Work) -> Result<StartExecutionResponse> {
        let mut request = StartExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: work.id.clone(),
            command: work.command.clone(),
            stdin_open: matches!(work.role, crate::plan::Role::Input(_)),
            timeout: work
                .timeout
                .and_then(|limit| prost_types::Duration::try_from(limit).ok()),
            ..Default::default()
        };
        if work.command.is_empty() {
            request.argv = vec!["no-such-program".to_owned()];
        }
        let call = |request| {
            let mut calls = self.client.executions();
            async move { calls.start_execution(request).await }
        };
        let made = self.client.call("StartExecution", request, call).await?;
        let id = made.execution.as_ref().map(|one| &one.execution_id);
        same("execution_id of StartExecution", &id, &Some(&work.id))?;
        Ok(made)
    }

    /// GetExecution, where a refusal is an answer too.
    pub(crate) async fn look(&self, id: &str) -> Result<std::result::Result<Execution, Status>> {
        let request = GetExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
        };
        let call = |request| {
            let mut calls = self.client.executions();
            async move { calls.get_execution(request).await }
        };
        match self.client.attempt("GetExecution", request, call).await? {
            Ok(answer) => Ok(Ok(some("execution", answer.execution)?)),
            Err(status) => Ok(Err(status)),
        }
    }

    /// GetExecution.
    pub(crate) async fn execution(&self, id: &str) -> Result<Execution> {
        match self.look(id).await? {
            Ok(execution) => Ok(execution),
            Err(status) => broken(format!(
                "GetExecution of {id} answered {}",
                crate::failure::describe(&status)
            )),
        }
    }

    /// ListExecutions: the newest 1,000.
    pub(crate) async fn executions(&self) -> Result<Vec<Execution>> {
        let request = ListExecutionsRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            page_size: 1000,
            ..Default::default()
        };
        let call = |request| {
            let mut calls = self.client.executions();
            async move { calls.list_executions(request).await }
        };
        let answer = self.client.call("ListExecutions", request, call).await?;
        Ok(answer.executions)
    }

    /// WriteStdin: the offset accepted.
    pub(crate) async fn write(&self, id: &str, input: Input<'_>) -> Result<usize> {
        let request = WriteStdinRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            offset: input.offset as u64,
            data: input.data.to_vec().into(),
            eof: input.eof,
        };
        let call = |request| {
            let mut calls = self.client.executions();
            async move { calls.write_stdin(request).await }
        };
        let answer = self.client.call("WriteStdin", request, call).await?;
        Ok(usize::try_from(answer.accepted_offset).unwrap_or(usize::MAX))
    }

    /// SignalExecution, to the process alone: whether there was one.
    pub(crate) async fn signal(&self, id: &str, signal: i32, signal_id: &str) -> Result<bool> {
        let request = SignalExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            signal,
            signal_id: signal_id.to_owned(),
            tree: Some(false),
        };
        let call = |request| {
            let mut calls = self.client.executions();
            async move { calls.signal_execution(request).await }
        };
        let answer = self.client.call("SignalExecution", request, call).await?;
        Ok(answer.delivered)
    }

    /// RunCommand to a good end: what it printed.
    pub(crate) async fn output(&self, command: &str) -> Result<String> {
        let request = RunCommandRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: uuid::Uuid::new_v4().to_string(),
            command: command.to_owned(),
            ..Default::default()
        };
        let call = |request| {
            let mut calls = self.client.sandboxes();
            async move { calls.run_command(request).await }
        };
        let answer = self.client.call("RunCommand", request, call).await?;
        let outcome = some("end", answer.ended)?.outcome;
        ensure(outcome == Some(Outcome::ExitCode(0)), || {
            format!("{command:?} ended {outcome:?}, due was exit_code 0")
        })?;
        ensure(answer.gaps.is_empty(), || {
            format!("{command:?} printed more than is kept")
        })?;
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }

    /// GetSandbox.
    pub(crate) async fn get(&self) -> Result<v1::Sandbox> {
        let request = GetSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
        };
        let call = |request| {
            let mut calls = self.client.sandboxes();
            async move { calls.get_sandbox(request).await }
        };
        let answer = self.client.call("GetSandbox", request, call).await?;
        some("sandbox", answer.sandbox)
    }

    /// StartSandbox, where a refusal is an answer too.
    pub(crate) async fn start_again(&self) -> Result<std::result::Result<(), Status>> {
        let request = StartSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            ..Default::default()
        };
        let call = |request| {
            let mut calls = self.client.sandboxes();
            async move { calls.start_sandbox(request).await }
        };
        let answer = self.client.attempt("StartSandbox", request, call).await?;
        Ok(answer.map(|_| ()))
    }

    /// Deletes sandbox and session; ListSandboxes must have nothing left of them.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.delete_sandbox().await?;
        let request = ListSandboxesRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        };
        let list = |request| {
            let mut calls = self.client.sandboxes();
            async move { calls.list_sandboxes(request).await }
        };
        let left = self.client.call("ListSandboxes", request, list).await?;
        let left: Vec<String> = left
            .sandboxes
            .into_iter()
            .map(|one| one.sandbox_id)
            .collect();
        ensure(left.is_empty(), || {
            format!("ListSandboxes still shows {left:?} after everything was deleted")
        })?;
        let request = DeleteSessionRequest {
            session_id: self.session_id.clone(),
            allow_missing: true,
            ..Default::default()
        };
        let call = |request| {
            let mut calls = self.client.sessions();
            async move { calls.delete_session(request).await }
        };
        let answer = self.client.call("DeleteSession", request, call).await?;
        ensure(answer.pending_sandbox_ids.is_empty(), || {
            format!("DeleteSession leaves {:?}", answer.pending_sandbox_ids)
        })
    }

    async fn delete_sandbox(&self) -> Result<()> {
        let request = DeleteSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            ..Default::default()
        };
        let call = |request| {
            let mut calls = self.client.sandboxes();
            async move { calls.delete_sandbox(request).await }
        };
        self.client.call("DeleteSandbox", request, call).await?;
        Ok(())
    }
}
