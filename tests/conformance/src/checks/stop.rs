//! Stop and start, pause and resume.

use std::time::Duration;

use sandgate_proto::v1::{self, SandboxState};
use tokio::time::sleep;
use tonic::Code;

use super::heart::{BEATS, Heart};
use crate::{
    failure::{Failure, ensure, refused, same},
    subject::line,
    suite::Check,
    world::Context,
};

/// How long a sandbox is kept paused.
const FROZEN: Duration = Duration::from_secs(6);

pub(crate) const CHECKS: &[Check] = &[
    Check::new("StopSandbox", "stop_and_start", "StopSandbox ends all processes and keeps the disk; StartSandbox brings it back; both are OK twice.", |context| Box::pin(stop_and_start(context))).needs(&["stop"]).within(400),
    Check::new("StopSandbox", "stopped_refuses", "Without auto_start, a command in a stopped sandbox is FAILED_PRECONDITION · SANDBOX_NOT_RUNNING.", |context| Box::pin(stopped_refuses(context))).needs(&["stop"]).within(240),
    Check::new("StartSandbox", "start_of_running", "StartSandbox of a RUNNING sandbox is OK and changes nothing.", |context| Box::pin(start_of_running(context))),
    Check::new("PauseSandbox", "pause_and_resume", "PauseSandbox freezes processes, ResumeSandbox lets the same ones go on.", |context| Box::pin(pause_and_resume(context))).needs(&["pause"]).within(400),
    Check::new("ResumeSandbox", "resume_of_running", "ResumeSandbox of a RUNNING sandbox is OK and changes nothing; one that is stopped is started.", |context| Box::pin(resume_of_running(context))).needs(&["pause"]).within(240),
    Check::new("PauseSandbox", "pause_then_stop", "A paused sandbox can be stopped and deleted; a stopped one cannot be paused.", |context| Box::pin(pause_then_stop(context))).needs(&["pause"]).within(240),
    Check::new("PauseSandbox", "hibernate", "PauseSandbox with hibernate keeps memory; ResumeSandbox lets the same processes go on.", |context| Box::pin(hibernate(context))).needs(&["hibernate"]).within(400),
];

async fn stop_and_start(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    place.text("echo kept > file").await?;
    let heart = Heart::of(&place, "stop");
    let mut stream = place
        .exec(line(format!("echo up; {}", heart.beat())))
        .await?;
    stream.until_stdout("up").await?;
    heart.beats().await?;
    drop(stream);
    same(
        "state after StopSandbox",
        place.stop_sandbox().await?.state(),
        SandboxState::Stopped,
    )?;
    same(
        "state by GetSandbox",
        place.get().await?.state(),
        SandboxState::Stopped,
    )?;
    same(
        "state after a second stop",
        place.stop_sandbox().await?.state(),
        SandboxState::Stopped,
    )?;
    let started = place.start_sandbox().await?;
    same(
        "state after StartSandbox",
        started.state(),
        SandboxState::Running,
    )?;
    same("generation after StartSandbox", started.generation, 1)?;
    same(
        "the file of before",
        place.text("cat file").await?.as_str(),
        "kept\n",
    )?;
    heart.stands_still().await?;
    same(
        "state after a second start",
        place.start_sandbox().await?.state(),
        SandboxState::Running,
    )
}

async fn stopped_refuses(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.new_id();
    let place = context.subject().place(&id);
    let spec = v1::SandboxSpec {
        lifecycle: Some(v1::Lifecycle {
            auto_start: Some(false),
            ..Default::default()
        }),
        ..context.subject().spec()
    };
    context.subject().create(&id, spec).await?;
    place.stop_sandbox().await?;
    refused(
        place.sh("echo hi").await,
        Code::FailedPrecondition,
        "SANDBOX_NOT_RUNNING",
    )?;
    same(
        "state after that",
        place.get().await?.state(),
        SandboxState::Stopped,
    )
}

async fn start_of_running(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let before = place.get().await?;
    let after = place.start_sandbox().await?;
    same("state", after.state(), SandboxState::Running)?;
    same(
        "provider_sandbox_id",
        after.provider_sandbox_id,
        before.provider_sandbox_id,
    )?;
    same("generation", after.generation, before.generation)
}

async fn pause_and_resume(context: &Context<'_>) -> Result<(), Failure> {
    frozen_and_thawed(context, false).await
}

async fn hibernate(context: &Context<'_>) -> Result<(), Failure> {
    frozen_and_thawed(context, true).await
}

async fn frozen_and_thawed(context: &Context<'_>, hibernate: bool) -> Result<(), Failure> {
    let place = context.own().await?;
    let heart = Heart::of(&place, "pause");
    let mut stream = place
        .exec(line(format!("echo up; {}", heart.beat())))
        .await?;
    stream.until_stdout("up").await?;
    drop(stream);
    let before = heart.count().await?;
    for what in ["state after PauseSandbox", "state after a second pause"] {
        let paused = place.pause_sandbox(hibernate).await?;
        same(what, paused.state(), SandboxState::Paused)?;
        let seen = place.get().await?;
        same("state by GetSandbox", seen.state(), SandboxState::Paused)?;
    }
    if context.subject().is_direct() {
        refused(
            place.sh("echo hi").await,
            Code::FailedPrecondition,
            "SANDBOX_NOT_RUNNING",
        )?;
        let renewed = place.renew("").await?.sandbox.unwrap_or_default();
        same(
            "state by RenewSandbox",
            renewed.state(),
            SandboxState::Paused,
        )?;
    }
    sleep(FROZEN).await;
    same(
        "state after ResumeSandbox",
        place.resume_sandbox().await?.state(),
        SandboxState::Running,
    )?;
    let first = heart.count().await?;
    // Some were around the pause.
    ensure(
        first.saturating_sub(before) < BEATS * FROZEN.as_secs(),
        || format!("the process went on while paused, from beat {before} to {first}"),
    )?;
    heart.goes_on(first).await
}

async fn resume_of_running(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let before = place.get().await?;
    let after = place.resume_sandbox().await?;
    same("state", after.state(), SandboxState::Running)?;
    let (before, after) = (before.provider_sandbox_id, after.provider_sandbox_id);
    same("provider_sandbox_id", after, before)?;
    place.stop_sandbox().await?;
    let state = place.resume_sandbox().await?.state();
    same(
        "state of one that was stopped",
        state,
        SandboxState::Running,
    )
}

async fn pause_then_stop(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    place.pause_sandbox(false).await?;
    let state = place.stop_sandbox().await?.state();
    same("state after StopSandbox", state, SandboxState::Stopped)?;
    let paused = place.pause_sandbox(false).await;
    refused(paused, Code::FailedPrecondition, "SANDBOX_NOT_RUNNING")?;
    place.start_sandbox().await?;
    place.pause_sandbox(false).await?;
    let state = place.delete().await?.state();
    same("state after DeleteSandbox", state, SandboxState::Deleted)
}
