//! One execution from its start to its end: started, started again, fed, signalled and watched.

use std::time::Duration;

use sandgate_proto::v1::{Execution, ExecutionEnded, ExecutionState, execution_ended::Outcome};
use tokio::time::{Instant, sleep};

use crate::{
    client::PATIENCE,
    dice::Dice,
    failure::{Result, broken, ensure, same, some},
    observer::Observer,
    plan::{Role, Work},
    sandbox::{Input, Sandbox},
};

/// Number of the signal that is counted.
const USR1: i32 = 10;
/// Number of the signal that ends the counting.
const TERM: i32 = 15;
/// Latest start of a command, in milliseconds; blows fall in the same time.
pub(crate) const START: u64 = 1500;

/// Drives one execution; how it ended, which all observers agree on.
pub(crate) async fn drive(
    sandbox: &Sandbox,
    work: &Work,
    mut dice: Dice,
) -> Result<ExecutionEnded> {
    sleep(dice.pause(START)).await;
    let first = sandbox.start(work).await?;
    let first = some("execution", first.execution)?;
    let more = [dice.fork(), dice.fork()].map(|dice| maybe_watch(sandbox, work, dice));
    let [second, third] = more;
    let slow = dice.fork();
    let (ended, second, third, again, acted) = tokio::try_join!(
        watch(sandbox, work, slow),
        second,
        third,
        start_again(sandbox, work, &first, dice.fork()),
        act(sandbox, work, dice.fork()),
    )?;
    let ((), ()) = (again, acted);
    for other in [second, third].into_iter().flatten() {
        same(
            &format!("{}: the end for another observer", work.id),
            &other,
            &ended,
        )?;
    }
    Ok(ended)
}

async fn watch(sandbox: &Sandbox, work: &Work, mut dice: Dice) -> Result<ExecutionEnded> {
    let mut observer = Observer::new(sandbox, work);
    if dice.one_in(4) {
        observer.pause = dice.pause(20);
    }
    observer.watch().await
}

/// A second or third observer comes later, or not at all.
async fn maybe_watch(
    sandbox: &Sandbox,
    work: &Work,
    mut dice: Dice,
) -> Result<Option<ExecutionEnded>> {
    if dice.one_in(2) {
        return Ok(None);
    }
    sleep(dice.pause(2 * START)).await;
    watch(sandbox, work, dice).await.map(Some)
}

/// Whoever starts it again gets the same one.
async fn start_again(
    sandbox: &Sandbox,
    work: &Work,
    first: &Execution,
    mut dice: Dice,
) -> Result<()> {
    for _ in 0..dice.between(1, 3) {
        sleep(dice.pause(START)).await;
        let answer = sandbox.start(work).await?;
        ensure(answer.attached, || {
            format!("{}: started again, attached is false", work.id)
        })?;
        let again = some("execution", answer.execution)?;
        let what = format!("{}: start_time when started again", work.id);
        same(&what, &again.start_time, &first.start_time)?;
    }
    Ok(())
}

async fn act(sandbox: &Sandbox, work: &Work, dice: Dice) -> Result<()> {
    let done = match &work.role {
        Role::Plain => Ok(()),
        Role::Input(input) => feed(sandbox, work, input, dice).await,
        Role::Signals => signal(sandbox, work, dice).await,
    };
    done.map_err(|failure| failure.at(&work.id))
}

/// Writes all of the input in pieces, some of them twice.
async fn feed(sandbox: &Sandbox, work: &Work, input: &[u8], mut dice: Dice) -> Result<()> {
    let mut offset = 0;
    while offset < input.len() {
        let size = usize::try_from(dice.between(1, 64 * 1024)).unwrap_or(1);
        let end = input.len().min(offset + size);
        let data = &input[offset..end];
        let piece = Input {
            offset,
            data,
            eof: false,
        };
        let accepted = sandbox.write(&work.id, piece).await?;
        ensure((offset..=end).contains(&accepted), || {
            format!("WriteStdin of {offset}..{end} answered accepted_offset {accepted}")
        })?;
        if dice.one_in(3) {
            let again = sandbox.write(&work.id, piece).await?;
            ensure((accepted..=end).contains(&again), || {
                format!(
                    "WriteStdin of {offset}..{end}, accepted up to {accepted}, answered {again} when repeated"
                )
            })?;
            offset = again;
        } else {
            offset = accepted;
        }
        sleep(dice.pause(150)).await;
    }
    let eof = Input {
        offset,
        data: &[],
        eof: true,
    };
    let accepted = sandbox.write(&work.id, eof).await?;
    same("accepted_offset of eof", &accepted, &offset)
}

/// Sends one signal under one id again and again, then the one that ends the counting.
async fn signal(sandbox: &Sandbox, work: &Work, mut dice: Dice) -> Result<()> {
    let begin = Instant::now();
    while printed(&sandbox.execution(&work.id).await?) < 3 {
        ensure(begin.elapsed() < PATIENCE, || {
            "it does not print".to_owned()
        })?;
        sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..dice.between(4, 8) {
        let delivered = sandbox.signal(&work.id, USR1, "count").await?;
        ensure(delivered, || "delivered is false while it runs".to_owned())?;
        sleep(dice.pause(800)).await;
    }
    for _ in 0..2 {
        sandbox.signal(&work.id, TERM, "end").await?;
    }
    Ok(())
}

fn printed(execution: &Execution) -> u64 {
    let totals = execution.totals.unwrap_or_default();
    totals.stdout.unwrap_or_default().bytes
}

/// After the kills: all of it again from the first byte, and the same end by every call.
pub(crate) async fn audit(sandbox: &Sandbox, work: &Work, ended: &ExecutionEnded) -> Result<()> {
    let again = Observer::new(sandbox, work).watch().await?;
    same(
        &format!("{}: the end when read again", work.id),
        &again,
        ended,
    )?;
    let seen = sandbox.execution(&work.id).await?;
    agrees("GetExecution", &seen, ended)
}

/// Fails unless an execution ended like this.
pub(crate) fn agrees(rpc: &str, seen: &Execution, ended: &ExecutionEnded) -> Result<()> {
    let id = &seen.execution_id;
    same(
        &format!("{id}: state by {rpc}"),
        &seen.state(),
        &ExecutionState::Ended,
    )?;
    same(
        &format!("{id}: ended by {rpc}"),
        &seen.ended.as_ref(),
        &Some(ended),
    )
}

/// The name under which an end is counted.
pub(crate) fn kind(ended: &ExecutionEnded) -> Result<&'static str> {
    Ok(match ended.outcome {
        Some(Outcome::ExitCode(_)) => "exit_code",
        Some(Outcome::Signaled(_)) => "signaled",
        Some(Outcome::TimedOut(_)) => "timed_out",
        Some(Outcome::Cancelled(_)) => "cancelled",
        Some(Outcome::StartFailed(_)) => "start_failed",
        Some(Outcome::Lost(_)) => "lost",
        None => return broken("ended without an outcome"),
    })
}
