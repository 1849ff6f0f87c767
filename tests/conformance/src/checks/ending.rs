//! The end of all executions ahead of a stop: what a gateway asks of a provider.

use std::time::Duration;

use sandgate_proto::v1::{self, SandboxState, execution_ended::Outcome};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    failure::{Failure, ensure, invalid, refused, same},
    subject::{Place, line, new_execution},
    suite::Check,
    world::Context,
};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("RenewSandbox", "end_executions", "RenewSandbox with end_executions cancels what runs, tells its end and its tail, and lets nothing start until the sandbox was started again; a gateway takes it from nobody.", |context| Box::pin(end_executions(context))).needs(&["renew"]).within(240),
    Check::new("RenewSandbox", "end_executions_if_idle", "RenewSandbox with only_if_idle_for leaves a sandbox alone in which something runs or just ran.", |context| Box::pin(if_idle(context))).needs(&["renew"]).within(240),
    Check::new("RenewSandbox", "keep_for", "RenewSandbox with keep_for is OK on a provider, and provider_expire_time is no earlier then; a gateway takes it from nobody.", |context| Box::pin(keep_for(context))).needs(&["renew"]),
];

const BY: &str = "SANDBOX_STOPPED";

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// A renewal that ends what runs, at once.
fn ends(only_if_idle_for: Option<prost_types::Duration>) -> v1::RenewSandboxRequest {
    v1::RenewSandboxRequest {
        end_executions: Some(v1::EndExecutions {
            grace_timeout: seconds(1),
            by: BY.to_owned(),
            only_if_idle_for,
        }),
        ..Default::default()
    }
}

async fn end_executions(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    if !context.subject().is_direct() {
        return invalid("end_executions", place.renew_as(ends(None)).await);
    }
    let execution_id = new_execution();
    let request = v1::ExecRequest {
        execution_id: execution_id.clone(),
        ..line("trap '' TERM; echo kept > file; echo up; sleep 300; sleep 300")
    };
    let mut stream = place.exec(request).await?;
    stream.until_stdout("up").await?;
    let cursor = place.renew("").await?.ended_cursor;
    let request = v1::RenewSandboxRequest {
        ended_cursor: cursor.clone(),
        ..ends(None)
    };
    let closed = place.renew_as(request).await?;
    same("closed", closed.closed, true)?;
    same("running_executions", closed.running_executions, 0)?;
    told(&closed, &execution_id)?;
    is_cancelled(stream.finish().await?.outcome()?)?;
    not_running(&place).await?;
    let again = v1::RenewSandboxRequest {
        ended_cursor: cursor,
        ..ends(None)
    };
    let again = place.renew_as(again).await?;
    same("closed, asked again", again.closed, true)?;
    told(&again, &execution_id)?;
    let state = place.stop_sandbox().await?.state();
    same("state after StopSandbox", state, SandboxState::Stopped)?;
    let state = place.start_sandbox().await?.state();
    same("state after StartSandbox", state, SandboxState::Running)?;
    let kept = place.text("cat file").await?;
    same("the file of before", kept.as_str(), "kept\n")?;
    // Without a stop in between a start has to do as much.
    let closed = place.renew_as(ends(None)).await?;
    same("closed, with nothing that runs", closed.closed, true)?;
    place.start_sandbox().await?;
    let up = place.text("echo up").await?;
    same("output after a start without a stop", up.as_str(), "up\n")
}

/// Fails unless the answer tells the end of this execution, and of its output.
fn told(answer: &v1::RenewSandboxResponse, execution_id: &str) -> Result<(), Failure> {
    let find = |ended: &&v1::EndedExecution| {
        let execution = ended.execution.as_ref();
        execution.is_some_and(|execution| execution.execution_id == execution_id)
    };
    let ended = answer.ended.iter().find(find).cloned().unwrap_or_default();
    let tails: Vec<u8> = ended
        .tails
        .iter()
        .flat_map(|tail| tail.data.to_vec())
        .collect();
    let text = String::from_utf8_lossy(&tails).into_owned();
    same("tail of what was ended", text.as_str(), "up\n")?;
    let execution = ended.execution.unwrap_or_default();
    let outcome = execution.ended.and_then(|ended| ended.outcome);
    is_cancelled(&outcome.unwrap_or(Outcome::ExitCode(-1)))
}

fn is_cancelled(outcome: &Outcome) -> Result<(), Failure> {
    let due = Outcome::Cancelled(v1::Cancelled { by: BY.to_owned() });
    same("outcome of what was ended", outcome, &due)
}

async fn not_running(place: &Place<'_>) -> Result<(), Failure> {
    let started = place.sh("echo hi").await;
    refused(started, Code::FailedPrecondition, "SANDBOX_NOT_RUNNING").map(drop)
}

async fn if_idle(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    if !context.subject().is_direct() {
        return invalid("end_executions", place.renew_as(ends(seconds(1))).await);
    }
    let mut sleeper = place.exec(line("echo up; sleep 300")).await?;
    sleeper.until_stdout("up").await?;
    for idle in [0, 1] {
        let renewed = place.renew_as(ends(seconds(idle))).await?;
        same("closed while something runs", renewed.closed, false)?;
        same("running_executions", renewed.running_executions, 1)?;
    }
    let quiet = context.own().await?;
    quiet.text("echo hi").await?;
    let renewed = quiet.renew_as(ends(seconds(3600))).await?;
    same("closed while nothing ran for less", renewed.closed, false)?;
    quiet.text("echo hi").await?;
    sleep(Duration::from_secs(2)).await;
    let renewed = quiet.renew_as(ends(seconds(1))).await?;
    same("closed while nothing ran for longer", renewed.closed, true)?;
    not_running(&quiet).await
}

async fn keep_for(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let request = v1::RenewSandboxRequest {
        keep_for: seconds(600),
        ..Default::default()
    };
    if !context.subject().is_direct() {
        return invalid("keep_for", place.renew_as(request).await);
    }
    let renewed = place.renew_as(request).await?;
    same("closed", renewed.closed, false)?;
    let expires = renewed.sandbox.unwrap_or_default().provider_expire_time;
    let now = std::time::SystemTime::now();
    let early = prost_types::Timestamp::from(now + Duration::from_secs(590));
    ensure(
        expires.is_none_or(|expires| expires.seconds >= early.seconds),
        || format!("provider_expire_time is {expires:?}, which is before keep_for is over"),
    )
}
