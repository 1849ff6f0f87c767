//! `ExecutionService`: starting is one act, observing another.

use std::time::Duration;

use prost::Message as _;
use sandgate_proto::v1::{self, ExecutionState, execution_service_server::ExecutionService};
use sandgate_runner_proto::v1::{List, Signal};
use tokio::time::Instant;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Service, context, page::Page, requests, stream::stream};
use crate::{
    CallContext, Kind, Provider, ProviderError,
    command::{self, known_id},
    executions::{self, From},
};

/// Size of the executions in one page; clients take 4 MiB.
const PAGE_BYTES: usize = 3 * 1024 * 1024;
/// Executions looked at for one page; a runner keeps fewer.
const LOOKED_AT: usize = 4000;
/// Longest id of a signal, in bytes.
const SIGNAL_ID: usize = 128;

#[tonic::async_trait]
impl<P: Provider> ExecutionService for Service<P> {
    async fn start_execution(
        &self,
        request: Request<v1::StartExecutionRequest>,
    ) -> Result<Response<v1::StartExecutionResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        let start = requests::from_start(request.into_inner());
        let start = self.checked(start).await.map_err(failed)?;
        let id = start.execution_id.clone();
        let started = self.executions.start(&context, start).await;
        let attached = started.map_err(failed)?;
        let (seen, _) = self.executions.look(&context, &id).await.map_err(failed)?;
        let execution = Some(executions::execution(&context, seen));
        Ok(Response::new(v1::StartExecutionResponse {
            execution,
            attached,
        }))
    }

    async fn stream_execution(
        &self,
        request: Request<v1::StreamExecutionRequest>,
    ) -> Result<Response<BoxStream<v1::StreamExecutionResponse>>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let (provider, sandbox_id) = (self.provider.id(), context.sandbox_id.clone());
        let failed = |error: ProviderError| self.problem(error, &sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let from = From {
            offsets: [body.stdout_offset, body.stderr_offset, body.terminal_offset],
            tail: body.tail_bytes,
            follow: body.follow,
        };
        let begun = self.executions.observe(context, &body.execution_id, from);
        let follow = begun.await.map_err(failed)?;
        Ok(Response::new(Box::pin(stream(
            follow, provider, sandbox_id,
        ))))
    }

    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let looked = self.executions.look(&context, &body.execution_id).await;
        let (seen, _) = looked.map_err(failed)?;
        let execution = Some(executions::execution(&context, seen));
        Ok(Response::new(v1::GetExecutionResponse { execution }))
    }

    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let listed = self.page_of_executions(&context, body).await;
        let listed = listed.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(listed))
    }

    async fn wait_execution(
        &self,
        request: Request<v1::WaitExecutionRequest>,
    ) -> Result<Response<v1::WaitExecutionResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let until = body.wait_timeout.map(wait_until).transpose();
        let until = until.map_err(failed)?.flatten();
        let waited = self.executions.wait(&context, &body.execution_id, until);
        let execution = Some(waited.await.map_err(failed)?);
        Ok(Response::new(v1::WaitExecutionResponse { execution }))
    }

    async fn write_stdin(
        &self,
        request: Request<v1::WriteStdinRequest>,
    ) -> Result<Response<v1::WriteStdinResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let body = request.into_inner();
        let written = self.executions.write_stdin(
            &context,
            &body.execution_id,
            body.offset,
            body.data,
            body.eof,
        );
        let accepted_offset = written.await.map_err(failed)?;
        Ok(Response::new(v1::WriteStdinResponse { accepted_offset }))
    }

    async fn signal_execution(
        &self,
        request: Request<v1::SignalExecutionRequest>,
    ) -> Result<Response<v1::SignalExecutionResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let signal = signal(body).map_err(failed)?;
        let sent = self.executions.signal(&context, signal).await;
        let delivered = sent.map_err(failed)?;
        Ok(Response::new(v1::SignalExecutionResponse { delivered }))
    }

    async fn resize_terminal(
        &self,
        request: Request<v1::ResizeTerminalRequest>,
    ) -> Result<Response<v1::ResizeTerminalResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        known_id(&body.execution_id).map_err(failed)?;
        let (rows, cols) = (body.rows, body.cols);
        let size = command::terminal(v1::TerminalSize { rows, cols }).map_err(failed)?;
        let resized = self.executions.resize(&context, &body.execution_id, size);
        resized.await.map_err(failed)?;
        Ok(Response::new(v1::ResizeTerminalResponse {}))
    }
}

impl<P: Provider> Service<P> {
    async fn page_of_executions(
        &self,
        context: &CallContext,
        body: &v1::ListExecutionsRequest,
    ) -> Result<v1::ListExecutionsResponse, ProviderError> {
        let page = Page {
            sandbox_id: &context.sandbox_id,
            state: body.state,
        };
        let size = match body.page_size {
            0 => 50,
            asked => asked.min(1000) as usize,
        };
        let from = Page::number(&body.page_token)?;
        let wanted =
            |state: i32| body.state() == ExecutionState::Unspecified || state == body.state;
        let mut reply = v1::ListExecutionsResponse::default();
        let (mut before, mut looked_at, mut bytes) = (from, 0, 0);
        loop {
            let list = List {
                before_number: before,
                limit: u32::try_from(size).unwrap_or(1000),
                ended_after: 0,
            };
            let (listed, boot) = self.executions.list(context, list).await?;
            page.check(&body.page_token, &boot, from)?;
            for seen in listed.executions {
                let number = seen.number;
                let execution = executions::execution(context, seen);
                if wanted(execution.state) {
                    bytes += execution.encoded_len();
                    let full = reply.executions.len() >= size || bytes > PAGE_BYTES;
                    if full && !reply.executions.is_empty() {
                        reply.next_page_token = page.token(&boot, before);
                        return Ok(reply);
                    }
                    reply.executions.push(execution);
                }
                before = number;
                looked_at += 1;
            }
            if !listed.more {
                return Ok(reply);
            }
            if looked_at >= LOOKED_AT {
                reply.next_page_token = page.token(&boot, before);
                return Ok(reply);
            }
        }
    }
}

/// When to answer; none: as far away as the call.
fn wait_until(wait: prost_types::Duration) -> Result<Option<Instant>, ProviderError> {
    let wait = Duration::try_from(wait).map_err(|_| {
        ProviderError::new(
            Kind::InvalidField("wait_timeout"),
            "must not be negative; leave it unset to wait as long as the call lasts",
        )
    })?;
    Ok(Instant::now().checked_add(wait))
}

fn signal(body: &v1::SignalExecutionRequest) -> Result<Signal, ProviderError> {
    if !(1..=64).contains(&body.signal) {
        return Err(ProviderError::new(
            Kind::InvalidField("signal"),
            "is the number of a Linux signal, 1 to 64",
        ));
    }
    if body.signal_id.len() > SIGNAL_ID {
        return Err(ProviderError::new(
            Kind::InvalidField("signal_id"),
            "is at most 128 bytes",
        ));
    }
    Ok(Signal {
        execution_id: body.execution_id.clone(),
        signal_id: body.signal_id.clone(),
        signal: body.signal,
        tree: body.tree.unwrap_or(true),
    })
}
