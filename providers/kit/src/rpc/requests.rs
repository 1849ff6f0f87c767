//! The three requests that start a process, as one: their common fields are the same.

use sandgate_proto::v1::{ExecRequest, RunCommandRequest, StartExecutionRequest};

pub(super) fn from_run(request: RunCommandRequest) -> ExecRequest {
    ExecRequest {
        session_id: request.session_id,
        sandbox_id: request.sandbox_id,
        execution_id: request.execution_id,
        secret_env: request.secret_env,
        command: request.command,
        argv: request.argv,
        cwd: request.cwd,
        env: request.env,
        user: request.user,
        timeout: request.timeout,
        stdin: request.stdin,
        stdin_open: request.stdin_open,
        cancel_on_disconnect: request.cancel_on_disconnect,
        terminal: request.terminal,
        gateway_payload: request.gateway_payload,
    }
}

/// A start that nobody watches: its call is over when the process runs, so that going away means
/// nothing.
pub(super) fn from_start(request: StartExecutionRequest) -> ExecRequest {
    ExecRequest {
        session_id: request.session_id,
        sandbox_id: request.sandbox_id,
        execution_id: request.execution_id,
        secret_env: request.secret_env,
        command: request.command,
        argv: request.argv,
        cwd: request.cwd,
        env: request.env,
        user: request.user,
        timeout: request.timeout,
        stdin: request.stdin,
        stdin_open: request.stdin_open,
        cancel_on_disconnect: false,
        terminal: request.terminal,
        gateway_payload: request.gateway_payload,
    }
}
