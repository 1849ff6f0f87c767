//! A process on a terminal.

use std::time::Duration;

use sandgate_proto::v1::{self, TerminalSize};
use tonic::Code;

use crate::{
    failure::{Failure, ensure, refused, same},
    subject::{line, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "terminal";
const NEEDS: &[&str] = &["terminal"];

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "terminal_is_one", "With terminal, stdin, stdout and stderr are a terminal of the size asked for, and output is the one channel TERMINAL.", |context| Box::pin(is_one(context))).needs(NEEDS),
    Check::new(RULE, "terminal_input", "WriteStdin types into the terminal; eof is its end-of-file character.", |context| Box::pin(input(context))).needs(NEEDS),
    Check::new(RULE, "terminal_resize", "ResizeTerminal changes the size that the process sees, and GetExecution tells it.", |context| Box::pin(resize(context))).needs(NEEDS),
    Check::new("ResizeTerminal", "resize_without_terminal", "ResizeTerminal of a process on pipes is FAILED_PRECONDITION · NO_TERMINAL.", |context| Box::pin(no_terminal(context))).needs(NEEDS),
    Check::new(RULE, "no_terminal_by_default", "Without terminal, neither stdin, stdout nor stderr is one.", |context| Box::pin(none_by_default(context))),
];

const SIZE: TerminalSize = TerminalSize { rows: 41, cols: 97 };

async fn is_one(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::ExecRequest {
        terminal: Some(SIZE),
        ..line(
            "test -t 0 && test -t 1 && test -t 2 && echo all; echo error >&2; stty size 2> /dev/null || echo none",
        )
    };
    let seen = place.finish(request).await?;
    seen.exited(0)?;
    ensure(
        seen.stdout.is_empty() && seen.stderr.is_empty(),
        || "output on pipes of a process on a terminal",
    )?;
    let text = seen.terminal.text();
    let lines: Vec<&str> = text.lines().collect();
    same("lines", lines.len(), 3)?;
    same(
        "first lines of the terminal",
        &lines[..2],
        &["all", "error"],
    )?;
    ensure(["41 97", "none"].contains(&lines[2]), || {
        format!("`stty size` says {:?}, due was 41 97", lines[2])
    })?;
    let ended = seen.ended.unwrap_or_default();
    same("ended.stdout", ended.stdout, None)?;
    same(
        "ended.terminal.bytes",
        ended.terminal.unwrap_or_default().bytes,
        text.len() as u64,
    )
}

async fn input(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::StartExecutionRequest {
        terminal: Some(SIZE),
        stdin_open: true,
        ..shell("read word; echo \"got $word\"; cat; echo over")
    };
    let id = place.begin(request).await?;
    let mut stream = place.watch(&id).await?;
    place.write(&id, 0, "hello\n", false).await?;
    let got = |text: &'static str| {
        move |seen: &crate::collect::Collector| seen.terminal.text().contains(text)
    };
    stream
        .until("`got hello` on the terminal", got("got hello"))
        .await?;
    place.write(&id, 6, "", true).await?;
    stream.until("`over` on the terminal", got("over")).await?;
    stream.finish().await?.exited(0)
}

async fn resize(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::StartExecutionRequest {
        terminal: Some(SIZE),
        stdin_open: true,
        ..shell("read word; stty size 2> /dev/null || echo none")
    };
    let id = place.begin(request).await?;
    place.resize(&id, 50, 132).await?;
    place.resize(&id, 50, 132).await?;
    let size = place.execution(&id).await?.terminal;
    same(
        "Execution.terminal",
        size,
        Some(TerminalSize {
            rows: 50,
            cols: 132,
        }),
    )?;
    place.write(&id, 0, "\n", false).await?;
    let text = place.watch(&id).await?.finish().await?.terminal.text();
    ensure(text.contains("50 132") || text.contains("none"), || {
        format!("`stty size` after the resize says {text:?}, due was 50 132")
    })
}

async fn no_terminal(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(shell("sleep 3")).await?;
    refused(
        place.resize(&id, 50, 132).await,
        Code::FailedPrecondition,
        "NO_TERMINAL",
    )?;
    place.ended(&id, Duration::from_secs(20)).await?;
    Ok(())
}

async fn none_by_default(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let text = place
        .text("for n in 0 1 2; do test -t $n && echo $n; done; true")
        .await?;
    same("channels that are a terminal", text.as_str(), "")
}
