//! Rule 5: a timeout, a cancel or a signal reaches all that a process started.

use std::time::Duration;

use sandgate_proto::v1::{self, execution_ended::Outcome};
use tokio::time::sleep;

use super::heart::Heart;
use crate::{
    failure::{Failure, broken, ensure, same},
    subject::{line, new_execution, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 5";
const LIMIT: Duration = Duration::from_secs(40);
const BOTH: &[&str] = &["signals", "process_tree"];

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "timeout_reaches_tree",
        "A timeout ends children, setsid children and double forks too.",
        |context| Box::pin(timeout_reaches(context)),
    )
    .needs(&["exec_timeout", "process_tree"]),
    Check::new(
        RULE,
        "cancel_reaches_tree",
        "cancel_on_disconnect ends children, setsid children and double forks too.",
        |context| Box::pin(cancel_reaches(context)),
    )
    .needs(&["process_tree"]),
    Check::new(
        RULE,
        "cancel_is_told",
        "What cancel_on_disconnect ended is cancelled by DISCONNECT.",
        |context| Box::pin(cancel_is_told(context)),
    )
    .needs(&["output_resume"]),
    Check::new(
        RULE,
        "signal_reaches_tree",
        "SignalExecution with tree reaches children, setsid children and double forks too.",
        |context| Box::pin(signal_reaches(context)),
    )
    .needs(BOTH),
    Check::new(
        RULE,
        "signal_without_tree",
        "SignalExecution without tree reaches the process alone.",
        |context| Box::pin(signal_alone(context)),
    )
    .needs(&["signals"]),
    Check::new(
        RULE,
        "term_then_kill",
        "A timeout is TERM first, which can be caught, then KILL, which cannot.",
        |context| Box::pin(term_then_kill(context)),
    )
    .needs(&["exec_timeout"]),
    Check::new(
        RULE,
        "signal_is_caught",
        "A signal arrives as it was sent, and what the process makes of it is its outcome.",
        |context| Box::pin(signal_is_caught(context)),
    )
    .needs(&["signals"]),
    Check::new(
        RULE,
        "signal_id_once",
        "The same signal_id has effect once; another one has effect again.",
        |context| Box::pin(signal_id_once(context)),
    )
    .needs(&["signals"]),
    Check::new(
        RULE,
        "signal_after_end",
        "A signal to an ended execution is OK, not delivered.",
        |context| Box::pin(signal_after_end(context)),
    )
    .needs(&["signals"]),
];

async fn timeout_reaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let heart = Heart::of(&place, "timeout");
    let request = v1::ExecRequest {
        timeout: Some(prost_types::Duration {
            seconds: 5,
            nanos: 0,
        }),
        ..line(heart.family())
    };
    let mut stream = place.exec(request).await?;
    stream.until_stdout("up").await?;
    heart.all_beat().await?;
    let seen = stream.finish().await?;
    let outcome = seen.outcome()?;
    ensure(matches!(outcome, Outcome::TimedOut(_)), || {
        format!("the outcome is {outcome:?}")
    })?;
    heart.stands_still().await
}

async fn cancel_reaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let heart = Heart::of(&place, "cancel");
    let request = v1::ExecRequest {
        cancel_on_disconnect: true,
        ..line(heart.family())
    };
    let mut stream = place.exec(request).await?;
    stream.until_stdout("up").await?;
    heart.all_beat().await?;
    drop(stream);
    heart.stands_still().await
}

async fn cancel_is_told(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = v1::ExecRequest {
        execution_id: id.clone(),
        cancel_on_disconnect: true,
        ..line("echo up; sleep 60")
    };
    let mut stream = place.exec(request).await?;
    stream.until_stdout("up").await?;
    drop(stream);
    let seen = place.watch(&id).await?.finish().await?;
    match seen.outcome()? {
        Outcome::Cancelled(by) => same("cancelled.by", by.by.as_str(), "DISCONNECT"),
        other => Err(broken(format!(
            "the outcome is {other:?}, due was cancelled by DISCONNECT"
        ))),
    }
}

fn signal(id: &str, number: i32, signal_id: &str, tree: bool) -> v1::SignalExecutionRequest {
    v1::SignalExecutionRequest {
        execution_id: id.to_owned(),
        signal: number,
        signal_id: signal_id.to_owned(),
        tree: Some(tree),
        ..Default::default()
    }
}

async fn signal_reaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let heart = Heart::of(&place, "signal");
    let id = place.begin(shell(heart.family())).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("up").await?;
    heart.all_beat().await?;
    same(
        "delivered",
        place.signal(signal(&id, 9, "", true)).await?,
        true,
    )?;
    heart.stands_still().await?;
    let seen = stream.finish().await?;
    let outcome = seen.outcome()?;
    ensure(
        matches!(outcome, Outcome::Signaled(by) if by.signal == 9),
        || format!("the outcome is {outcome:?}, due was signaled 9"),
    )
}

async fn signal_alone(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let heart = Heart::of(&place, "alone");
    let command = format!("({}) > /dev/null 2>&1 & echo up; wait", heart.beat());
    let id = place.begin(shell(command)).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("up").await?;
    heart.beats().await?;
    place.signal(signal(&id, 9, "", false)).await?;
    let seen = stream.finish().await?;
    let outcome = seen.outcome()?;
    ensure(
        matches!(outcome, Outcome::Signaled(by) if by.signal == 9),
        || format!("the outcome is {outcome:?}, due was signaled 9"),
    )?;
    heart.beats().await
}

async fn term_then_kill(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let wait = "while :; do sleep 0.1; done";
    for (trap, due) in [("echo caught; exit 7", "caught\n"), ("", "")] {
        let request = v1::ExecRequest {
            timeout: Some(prost_types::Duration {
                seconds: 1,
                nanos: 0,
            }),
            ..line(format!("trap '{trap}' TERM; {wait}"))
        };
        let seen = place.finish(request).await?;
        let outcome = seen.outcome()?;
        ensure(matches!(outcome, Outcome::TimedOut(_)), || {
            format!("the outcome with trap {trap:?} is {outcome:?}, due was timed_out")
        })?;
        same(
            &format!("stdout with trap {trap:?}"),
            seen.stdout.text().as_str(),
            due,
        )?;
    }
    Ok(())
}

async fn signal_is_caught(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let command = "trap 'echo caught; exit 7' TERM; echo up; while :; do sleep 0.1; done";
    let id = place.begin(shell(command)).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("up").await?;
    same(
        "delivered",
        place.signal(signal(&id, 15, "", true)).await?,
        true,
    )?;
    let seen = stream.finish().await?;
    seen.exited(7)?;
    same("stdout", seen.stdout.text().as_str(), "up\ncaught\n")
}

async fn signal_id_once(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let command =
        "n=0; trap 'n=$((n + 1)); echo got $n' USR1; echo up; while :; do sleep 0.1; done";
    let id = place.begin(shell(command)).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("up").await?;
    place.signal(signal(&id, 10, "first", false)).await?;
    stream.until_stdout("got 1").await?;
    place.signal(signal(&id, 10, "first", false)).await?;
    place.signal(signal(&id, 10, "second", false)).await?;
    stream.until_stdout("got 2").await?;
    place.signal(signal(&id, 10, "first", false)).await?;
    sleep(Duration::from_secs(1)).await;
    place.signal(signal(&id, 9, "last", true)).await?;
    let seen = stream.finish().await?;
    same(
        "stdout after signal_ids first, first, second, first",
        seen.stdout.text().as_str(),
        "up\ngot 1\ngot 2\n",
    )
}

async fn signal_after_end(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(shell("true")).await?;
    place.ended(&id, LIMIT).await?;
    same(
        "delivered",
        place.signal(signal(&id, 15, "", true)).await?,
        false,
    )
}
