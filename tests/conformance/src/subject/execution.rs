//! The calls of ExecutionService about one sandbox.

use std::time::Duration;

use sandgate_proto::v1;
use tokio::time::sleep;

use super::{Place, QUICK, Watch, place::new_execution, watch::Source};
use crate::{
    collect::{Begin, Expect},
    failure::{Failure, broken, ensure},
};

/// The execution of an answer.
fn execution(rpc: &str, seen: Option<v1::Execution>) -> Result<v1::Execution, Failure> {
    seen.ok_or_else(|| broken(format!("{rpc} answered without an execution")))
}

impl Place<'_> {
    /// StartExecution.
    pub(crate) async fn start(
        &self,
        mut request: v1::StartExecutionRequest,
    ) -> Result<v1::StartExecutionResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.start_execution(request).await };
        self.unary("StartExecution", QUICK, request, call).await
    }

    /// StartExecution; the execution's id.
    pub(crate) async fn begin(
        &self,
        mut request: v1::StartExecutionRequest,
    ) -> Result<String, Failure> {
        if request.execution_id.is_empty() {
            request.execution_id = new_execution();
        }
        let due = request.execution_id.clone();
        let answer = self.start(request).await?;
        let seen = execution("StartExecution", answer.execution)?;
        ensure(seen.execution_id == due, || {
            format!(
                "StartExecution answered execution_id {:?}, due was {due:?}",
                seen.execution_id
            )
        })?;
        Ok(due)
    }

    /// StreamExecution from the first byte to the end.
    pub(crate) async fn watch(&self, execution_id: &str) -> Result<Watch, Failure> {
        self.observe(v1::StreamExecutionRequest {
            execution_id: execution_id.to_owned(),
            follow: true,
            ..Default::default()
        })
        .await
    }

    /// StreamExecution.
    pub(crate) async fn observe(
        &self,
        mut request: v1::StreamExecutionRequest,
    ) -> Result<Watch, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let from = |offset: Option<u64>| match (offset, request.tail_bytes) {
            (Some(offset), _) => Begin::At(offset),
            (None, None) => Begin::At(0),
            (None, Some(_)) => Begin::Anywhere,
        };
        let expect = Expect {
            sandbox_id: self.id.clone(),
            execution_id: request.execution_id.clone(),
            attached: Some(true),
            stdout: from(request.stdout_offset),
            stderr: from(request.stderr_offset),
            terminal: from(request.terminal_offset),
            snapshot: !request.follow,
        };
        let mut client = self.subject.executions();
        let call = |request| async move { client.stream_execution(request).await };
        let stream = self
            .subject
            .streaming("StreamExecution", &self.id, request, call)
            .await?;
        Ok(Watch::new(Source::Observe(stream), expect))
    }

    /// GetExecution.
    pub(crate) async fn execution(&self, execution_id: &str) -> Result<v1::Execution, Failure> {
        let mut request = v1::GetExecutionRequest {
            execution_id: execution_id.to_owned(),
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.get_execution(request).await };
        let answer = self.unary("GetExecution", QUICK, request, call).await?;
        execution("GetExecution", answer.execution)
    }

    /// ListExecutions.
    pub(crate) async fn executions(
        &self,
        mut request: v1::ListExecutionsRequest,
    ) -> Result<v1::ListExecutionsResponse, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.list_executions(request).await };
        self.unary("ListExecutions", QUICK, request, call).await
    }

    /// WaitExecution.
    pub(crate) async fn wait(
        &self,
        execution_id: &str,
        limit: Duration,
    ) -> Result<v1::Execution, Failure> {
        let mut request = v1::WaitExecutionRequest {
            execution_id: execution_id.to_owned(),
            wait_timeout: prost_types::Duration::try_from(limit).ok(),
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.wait_execution(request).await };
        let limit = limit + QUICK;
        let answer = self.unary("WaitExecution", limit, request, call).await?;
        execution("WaitExecution", answer.execution)
    }

    /// WaitExecution until it has ended; fails if that takes longer than the limit.
    pub(crate) async fn ended(
        &self,
        execution_id: &str,
        limit: Duration,
    ) -> Result<v1::ExecutionEnded, Failure> {
        let seen = self.wait(execution_id, limit).await?;
        let state = seen.state();
        seen.ended.ok_or_else(|| {
            broken(format!(
                "WaitExecution({limit:?}): still {} without `ended`",
                state.as_str_name()
            ))
        })
    }

    /// WriteStdin; the offset accepted.
    pub(crate) async fn write(
        &self,
        execution_id: &str,
        offset: u64,
        data: impl Into<bytes::Bytes>,
        eof: bool,
    ) -> Result<u64, Failure> {
        let mut request = v1::WriteStdinRequest {
            execution_id: execution_id.to_owned(),
            offset,
            data: data.into(),
            eof,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.write_stdin(request).await };
        let answer = self.unary("WriteStdin", QUICK, request, call).await?;
        Ok(answer.accepted_offset)
    }

    /// WriteStdin until all is accepted, then eof.
    pub(crate) async fn write_all(&self, execution_id: &str, data: &[u8]) -> Result<(), Failure> {
        let mut offset = 0;
        while offset < data.len() {
            let end = data.len().min(offset + 256 * 1024);
            let part = data[offset..end].to_vec();
            let accepted = self.write(execution_id, offset as u64, part, false).await?;
            let accepted = usize::try_from(accepted).unwrap_or(usize::MAX);
            ensure((offset..=end).contains(&accepted), || {
                format!("WriteStdin of bytes {offset} to {end} answered accepted_offset {accepted}")
            })?;
            if accepted == offset {
                sleep(Duration::from_millis(50)).await;
            }
            offset = accepted;
        }
        self.write(execution_id, offset as u64, Vec::new(), true)
            .await?;
        Ok(())
    }

    /// SignalExecution; whether it was delivered.
    pub(crate) async fn signal(
        &self,
        mut request: v1::SignalExecutionRequest,
    ) -> Result<bool, Failure> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.signal_execution(request).await };
        let answer = self.unary("SignalExecution", QUICK, request, call).await?;
        Ok(answer.delivered)
    }

    /// ResizeTerminal.
    pub(crate) async fn resize(
        &self,
        execution_id: &str,
        rows: u32,
        cols: u32,
    ) -> Result<(), Failure> {
        let mut request = v1::ResizeTerminalRequest {
            execution_id: execution_id.to_owned(),
            rows,
            cols,
            ..Default::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut client = self.subject.executions();
        let call = |request| async move { client.resize_terminal(request).await };
        self.unary("ResizeTerminal", QUICK, request, call).await?;
        Ok(())
    }
}
