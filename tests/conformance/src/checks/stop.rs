//! Stop and start, pause and resume.

use std::time::Duration;

use sandgate_proto::v1::{self, SandboxState};
use tokio::time::sleep;
use tonic::Code;

use super::heart::Heart;
use crate::{
    failure::{Failure, ensure, refused, same},
    subject::line,
    suite::Check,
    world::Context,
};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("StopSandbox", "stop_and_start", "StopSandbox ends all processes and keeps the disk; StartSandbox brings it back; both are OK twice.", |context| Box::pin(stop_and_start(context))).needs(&["stop"]).within(400),
    Check::new("StopSandbox", "stopped_refuses", "Without auto_start, a command in a stopped sandbox is FAILED_PRECONDITION · SANDBOX_NOT_RUNNING.", |context| Box::pin(stopped_refuses(context))).needs(&["stop"]).within(240),
    Check::new("StartSandbox", "start_of_running", "StartSandbox of a RUNNING sandbox is OK and changes nothing.", |context| Box::pin(start_of_running(context))),
    Check::new("PauseSandbox", "pause_and_resume", "PauseSandbox freezes processes, ResumeSandbox lets the same ones go on.", |context| Box::pin(pause_and_resume(context))).needs(&["pause"]).within(400),
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
    let command = "i=0; while [ $i -lt 600 ]; do i=$((i + 1)); echo $i > count; sleep 0.1; done";
    let mut stream = place.exec(line(format!("echo up; {command}"))).await?;
    stream.until_stdout("up").await?;
    drop(stream);
    same(
        "state after PauseSandbox",
        place.pause_sandbox(hibernate).await?.state(),
        SandboxState::Paused,
    )?;
    same(
        "state by GetSandbox",
        place.get().await?.state(),
        SandboxState::Paused,
    )?;
    same(
        "state after a second pause",
        place.pause_sandbox(hibernate).await?.state(),
        SandboxState::Paused,
    )?;
    same(
        "state after ResumeSandbox",
        place.resume_sandbox().await?.state(),
        SandboxState::Running,
    )?;
    let count = async || {
        Ok::<_, Failure>(
            place
                .text("cat count")
                .await?
                .trim()
                .parse()
                .unwrap_or(0_u64),
        )
    };
    let first = count().await?;
    sleep(Duration::from_secs(1)).await;
    let second = count().await?;
    ensure(second > first, || {
        format!("the process that ran before the pause stands still at {first} after the resume")
    })
}
