//! Requests that no provider may take.

use sandgate_proto::v1::{self, TerminalSize};
use uuid::Uuid;

use crate::{
    failure::{Failure, invalid},
    subject::{line, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "INVALID_FIELD";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "command_or_argv", "Both or neither of command and argv is INVALID_ARGUMENT · INVALID_FIELD, in Exec, RunCommand and StartExecution.", |context| Box::pin(command_or_argv(context))),
    Check::new(RULE, "execution_id_malformed", "An execution_id other than [A-Za-z0-9._-]{1,128} is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(execution_id(context))),
    Check::new(RULE, "exec_fields", "A negative timeout, a NUL byte or a malformed name of env is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(exec_fields(context))),
    Check::new(RULE, "terminal_size", "A terminal without rows or columns, or with more than 65,535, is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(terminal_size(context))).needs(&["terminal"]),
    Check::new(RULE, "signal_fields", "A signal outside 1 to 64, or a signal_id over 128 bytes, is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(signal_fields(context))).needs(&["signals"]),
    Check::new(RULE, "run_command_fields", "max_output_bytes over 1 MiB is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(run_command_fields(context))),
    Check::new(RULE, "message_too_large", "A message over 4 MiB is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(too_large(context))),
    Check::new(RULE, "foreign_ids", "An id that is malformed, or (a provider) differs from the context's, is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(foreign_ids(context))),
    Check::new(RULE, "page_token", "A page_token that was never given out is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(page_token(context))),
    Check::new(RULE, "create_fields", "CreateSandbox with a malformed request_id, or with size and resources both, is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(create_fields(context))),
];

async fn command_or_argv(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let argv = vec!["true".to_owned()];
    let both = v1::ExecRequest {
        argv: argv.clone(),
        ..line("true")
    };
    invalid("Exec with both", place.finish(both).await)?;
    invalid("Exec with neither", place.finish(line("")).await)?;
    let both = v1::RunCommandRequest {
        argv: argv.clone(),
        command: "true".to_owned(),
        ..Default::default()
    };
    invalid("RunCommand with both", place.run(both).await)?;
    invalid(
        "RunCommand with neither",
        place.run(v1::RunCommandRequest::default()).await,
    )?;
    let both = v1::StartExecutionRequest {
        argv,
        ..shell("true")
    };
    invalid("StartExecution with both", place.start(both).await)?;
    invalid("StartExecution with neither", place.start(shell("")).await)
}

async fn execution_id(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for bad in ["a b", "a/b", "ü", "a\n", &"x".repeat(129)] {
        let request = v1::ExecRequest {
            execution_id: bad.to_owned(),
            ..line("true")
        };
        invalid(
            &format!("execution_id {bad:?}"),
            place.finish(request).await,
        )?;
    }
    Ok(())
}

async fn exec_fields(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let timeout = Some(prost_types::Duration {
        seconds: -1,
        nanos: 0,
    });
    let request = v1::ExecRequest {
        timeout,
        ..line("true")
    };
    invalid("a timeout of -1 s", place.finish(request).await)?;
    invalid(
        "a NUL byte in command",
        place.finish(line("echo a\0b")).await,
    )?;
    let request = v1::ExecRequest {
        argv: vec!["echo".to_owned(), "a\0b".to_owned()],
        ..Default::default()
    };
    invalid("a NUL byte in argv", place.finish(request).await)?;
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
        let mut request = line("true");
        request.env.insert(name.to_owned(), value.to_owned());
        invalid(
            &format!("env {name:?}: {value:?}"),
            place.finish(request).await,
        )?;
    }
    if !context.subject().is_direct() {
        let request = v1::ExecRequest {
            gateway_payload: "x".into(),
            ..line("true")
        };
        invalid("gateway_payload from a client", place.finish(request).await)?;
    }
    Ok(())
}

async fn terminal_size(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for (rows, cols) in [(0, 80), (24, 0), (65_536, 80)] {
        let request = v1::ExecRequest {
            terminal: Some(TerminalSize { rows, cols }),
            ..line("true")
        };
        invalid(
            &format!("a terminal of {rows} rows, {cols} columns"),
            place.finish(request).await,
        )?;
    }
    Ok(())
}

async fn signal_fields(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(shell("sleep 2")).await?;
    for (signal, signal_id) in [(0, ""), (-1, ""), (65, ""), (15, &*"x".repeat(129))] {
        let request = v1::SignalExecutionRequest {
            execution_id: id.clone(),
            signal,
            signal_id: signal_id.to_owned(),
            ..Default::default()
        };
        let what = format!("signal {signal}, signal_id of {} bytes", signal_id.len());
        invalid(&what, place.signal(request).await)?;
    }
    Ok(())
}

async fn run_command_fields(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::RunCommandRequest {
        command: "true".to_owned(),
        max_output_bytes: Some(1_048_577),
        ..Default::default()
    };
    invalid("max_output_bytes 1,048,577", place.run(request).await)
}

async fn too_large(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::ExecRequest {
        stdin: vec![b'x'; 5 * 1024 * 1024].into(),
        ..line("cat")
    };
    invalid("a message of 5 MiB", place.finish(request).await)
}

async fn foreign_ids(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let mut request = line("true");
    request.sandbox_id = "no-uuid".to_owned();
    invalid("sandbox_id no-uuid", place.finish(request).await)?;
    let mut request = line("true");
    request.session_id = "no-uuid".to_owned();
    invalid("session_id no-uuid", place.finish(request).await)?;
    if context.subject().is_direct() {
        let mut request = line("true");
        request.sandbox_id = Uuid::new_v4().to_string();
        invalid(
            "a sandbox_id that is not the context's",
            place.finish(request).await,
        )?;
        let mut request = line("echo hi");
        request.sandbox_id = "@any".to_owned();
        place.finish(request).await?.exited(0)?;
    }
    Ok(())
}

async fn page_token(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::ListExecutionsRequest {
        page_token: "never-given-out".to_owned(),
        ..Default::default()
    };
    invalid("ListExecutions", place.executions(request).await)
}

async fn create_fields(context: &Context<'_>) -> Result<(), Failure> {
    let both = v1::SandboxSpec {
        size: "small".to_owned(),
        resources: Some(v1::Resources {
            cpu_millis: 1000,
            ..Default::default()
        }),
        ..context.subject().spec()
    };
    let made = context.subject().create(&context.new_id(), both).await;
    invalid("size and resources", made)?;
    if context.subject().is_direct() {
        return Ok(());
    }
    let request = v1::CreateSandboxRequest {
        request_id: "no-uuid".to_owned(),
        spec: Some(context.subject().spec()),
        ..Default::default()
    };
    let made = context
        .subject()
        .place(&context.new_id())
        .create(request)
        .await;
    invalid("request_id no-uuid", made)
}
