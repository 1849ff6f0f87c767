//! Rule 7: stdin is closed unless asked for.

use std::time::Duration;

use sandgate_proto::v1;
use tokio::time::sleep;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    failure::{Failure, ensure, refused, same},
    numbers::Numbers,
    subject::{line, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 7";
const NEEDS: &[&str] = &["stdin"];
const LIMIT: Duration = Duration::from_secs(40);

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "closed", "Without stdin and stdin_open, input is closed from the start: `cat` ends at once.", |context| Box::pin(closed(context))),
    Check::new(RULE, "given", "Bytes in `stdin` are the input, all of it, then it is closed.", |context| Box::pin(given(context))).needs(NEEDS),
    Check::new(RULE, "write", "With stdin_open, WriteStdin gives bytes in order, after those in `stdin`, until eof.", |context| Box::pin(write(context))).needs(NEEDS),
    Check::new(RULE, "write_again", "WriteStdin is idempotent by offset: bytes already accepted are skipped.", |context| Box::pin(write_again(context))).needs(NEEDS),
    Check::new(RULE, "write_beyond", "WriteStdin beyond what was accepted is OUT_OF_RANGE · OFFSET_OUT_OF_RANGE, with accepted_offset.", |context| Box::pin(write_beyond(context))).needs(NEEDS),
    Check::new(RULE, "write_after_eof", "WriteStdin after eof, or without stdin_open, is FAILED_PRECONDITION · STDIN_CLOSED.", |context| Box::pin(write_after_eof(context))).needs(NEEDS),
    Check::new(RULE, "write_much", "A process that reads late gets all of a large input; meanwhile WriteStdin accepts less and does not hang.", |context| Box::pin(write_much(context))).needs(NEEDS).within(120),
];

/// A shell line whose input stays open.
fn open(command: &str) -> v1::StartExecutionRequest {
    v1::StartExecutionRequest {
        stdin_open: true,
        ..shell(command)
    }
}

async fn closed(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place.sh("cat; echo $?").await?;
    same(
        "stdout of `cat; echo $?`",
        seen.stdout.text().as_str(),
        "0\n",
    )?;
    seen.exited(0)
}

async fn given(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for size in [1_usize, 65_536, 1_000_000] {
        let stdin: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let request = v1::ExecRequest {
            stdin: stdin.clone().into(),
            ..line("cat")
        };
        let seen = place.finish(request).await?;
        seen.exited(0)?;
        ensure(seen.stdout.bytes() == stdin, || {
            format!(
                "`cat` gave back {} other bytes than the {size} of stdin",
                seen.stdout.next()
            )
        })?;
    }
    let request = v1::ExecRequest {
        stdin: vec![b'x'; 500_000].into(),
        ..line("exit 5")
    };
    place.finish(request).await?.exited(5)
}

async fn write(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let mut request = open("cat");
    request.stdin = "zero ".into();
    let id = place.begin(request).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("zero ").await?;
    same(
        "accepted_offset",
        place.write(&id, 5, "one ", false).await?,
        9,
    )?;
    stream.until_stdout("one ").await?;
    let execution = place.execution(&id).await?;
    same("stdin_open while it is open", execution.stdin_open, true)?;
    same("stdin_accepted_offset", execution.stdin_accepted_offset, 9)?;
    same(
        "accepted_offset with eof",
        place.write(&id, 9, "two", true).await?,
        12,
    )?;
    let seen = stream.finish().await?;
    same("stdout", seen.stdout.text().as_str(), "zero one two")?;
    seen.exited(0)?;
    same(
        "stdin_open after eof",
        place.execution(&id).await?.stdin_open,
        false,
    )
}

async fn write_again(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(open("cat")).await?;
    same(
        "accepted_offset",
        place.write(&id, 0, "abcd", false).await?,
        4,
    )?;
    same(
        "accepted_offset of the same again",
        place.write(&id, 0, "abcd", false).await?,
        4,
    )?;
    same(
        "accepted_offset of a part again",
        place.write(&id, 1, "bc", false).await?,
        4,
    )?;
    same(
        "accepted_offset of old and new",
        place.write(&id, 2, "cdef", false).await?,
        6,
    )?;
    place.write(&id, 6, "", true).await?;
    let seen = place.watch(&id).await?.finish().await?;
    same("stdout", seen.stdout.text().as_str(), "abcdef")
}

async fn write_beyond(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(open("cat")).await?;
    place.write(&id, 0, "abcd", false).await?;
    let status = refused(
        place.write(&id, 9, "x", false).await,
        Code::OutOfRange,
        "OFFSET_OUT_OF_RANGE",
    )?;
    let metadata = status
        .get_details_error_info()
        .map(|info| info.metadata)
        .unwrap_or_default();
    same(
        "metadata accepted_offset",
        metadata.get("accepted_offset").map(String::as_str),
        Some("4"),
    )?;
    place.write(&id, 4, "e", true).await?;
    let seen = place.watch(&id).await?.finish().await?;
    same("stdout", seen.stdout.text().as_str(), "abcde")
}

async fn write_after_eof(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let (code, reason) = (Code::FailedPrecondition, "STDIN_CLOSED");
    let id = place.begin(open("cat; sleep 5")).await?;
    place.write(&id, 0, "abc", true).await?;
    refused(place.write(&id, 3, "d", false).await, code, reason)?;
    let id = place.begin(shell("sleep 5")).await?;
    refused(place.write(&id, 0, "d", false).await, code, reason)?;
    let id = place.begin(open("true")).await?;
    place.ended(&id, LIMIT).await?;
    refused(place.write(&id, 0, "d", false).await, code, reason)?;
    Ok(())
}

async fn write_much(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(400_000);
    let printed = place.sh(numbers.command()).await?.stdout;
    printed.check_whole(numbers)?;
    let id = place.begin(open("sleep 2; cat")).await?;
    let reader = async {
        sleep(Duration::from_millis(100)).await;
        place.watch(&id).await?.finish().await
    };
    let bytes = printed.bytes();
    let (written, seen) = tokio::join!(place.write_all(&id, &bytes), reader);
    written?;
    seen?.stdout.check_whole(numbers)
}
