//! The end of all that runs in a sandbox, its pause, and how long it is kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use sandgate_kit::Kind;
use sandgate_proto::v1::{
    EndExecutions, ExecRequest, PauseSandboxRequest, RenewSandboxRequest, RenewSandboxResponse,
    ResumeSandboxRequest, SandboxState, StartSandboxRequest, StopSandboxRequest,
};
use sandgate_runner_proto::v1::{
    Done, Listed, Refused, Shutdown, from_runner::Body, to_runner::Body as Asked,
};
use support::{BOOT, World, call, says};
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Status};

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn ends() -> EndExecutions {
    EndExecutions {
        grace_timeout: Some(seconds(3)),
        by: "SANDBOX_STOPPED".to_owned(),
        only_if_idle_for: Some(seconds(60)),
    }
}

fn renew(
    world: &World,
    end_executions: Option<EndExecutions>,
) -> JoinHandle<Result<RenewSandboxResponse, Status>> {
    let mut client = world.sandboxes.clone();
    tokio::spawn(async move {
        let request = RenewSandboxRequest {
            end_executions,
            ..Default::default()
        };
        let answer = client.renew_sandbox(call(request)).await;
        answer.map(tonic::Response::into_inner)
    })
}

/// Plays the runner of a renewal up to its Shutdown, which this answers.
async fn shut_down(world: &mut World, answer: Body) -> Shutdown {
    let mut runner = world.runner(BOOT).await;
    let (number, Asked::Shutdown(shutdown)) = runner.request().await else {
        panic!("no shutdown")
    };
    runner.send(number, answer).await;
    shutdown
}

/// Plays the runner that is asked what has ended.
async fn nothing_ended(world: &mut World) {
    let mut runner = world.runner(BOOT).await;
    let (number, Asked::List(_)) = runner.request().await else {
        panic!("no list")
    };
    runner.send(number, Body::Listed(Listed::default())).await;
}

#[tokio::test]
async fn executions_are_ended_before_they_are_told() {
    let mut world = World::new().await;
    let renewed = renew(&world, Some(ends()));
    let done = Body::Done(Done { delivered: true });
    let asked = shut_down(&mut world, done).await;
    nothing_ended(&mut world).await;
    assert!(renewed.await.unwrap().unwrap().closed);
    let due = Shutdown {
        grace_ms: 3000,
        by: "SANDBOX_STOPPED".to_owned(),
        linger_ms: 60_000,
        only_if_idle_ms: 60_000,
    };
    assert_eq!(asked, due);
    // Its runner starts nothing more, so a start needs another one.
    let mut client = world.sandboxes.clone();
    for stops in [1, 1] {
        let started = client.start_sandbox(call(StartSandboxRequest::default()));
        let sandbox = started.await.unwrap().into_inner().sandbox.unwrap();
        assert_eq!(sandbox.state(), SandboxState::Running);
        assert_eq!(world.facts.stops.load(Ordering::SeqCst), stops);
    }
}

#[tokio::test]
async fn a_stop_after_it_leaves_a_start_alone() {
    let mut world = World::new().await;
    let unset = EndExecutions {
        grace_timeout: Some(seconds(0)),
        ..EndExecutions::default()
    };
    let renewed = renew(&world, Some(unset));
    let done = Body::Done(Done { delivered: true });
    let asked = shut_down(&mut world, done).await;
    assert_eq!((asked.grace_ms, asked.only_if_idle_ms), (0, 0));
    nothing_ended(&mut world).await;
    assert!(renewed.await.unwrap().unwrap().closed);
    let mut client = world.sandboxes.clone();
    let stop = client.stop_sandbox(call(StopSandboxRequest::default()));
    stop.await.unwrap();
    let start = client.start_sandbox(call(StartSandboxRequest::default()));
    start.await.unwrap();
    assert_eq!(world.facts.stops.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_busy_sandbox_is_left_alone() {
    let mut world = World::new().await;
    let renewed = renew(&world, Some(ends()));
    let busy = Body::Refused(Refused {
        reason: "BUSY".to_owned(),
        ..Refused::default()
    });
    shut_down(&mut world, busy).await;
    nothing_ended(&mut world).await;
    let renewed = renewed.await.unwrap().unwrap();
    assert!(!renewed.closed);
    assert_eq!(renewed.running_executions, 3);
    let mut client = world.sandboxes.clone();
    let start = client.start_sandbox(call(StartSandboxRequest::default()));
    start.await.unwrap();
    assert_eq!(world.facts.stops.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_older_runner_is_not_asked() {
    let mut world = World::new().await;
    let renewed = renew(&world, Some(ends()));
    let mut runner = world.stranger().await;
    runner.welcome_as(BOOT, 1).await;
    assert!(runner.next().await.is_none(), "it was asked something");
    nothing_ended(&mut world).await;
    assert!(!renewed.await.unwrap().unwrap().closed);
}

#[tokio::test]
async fn a_command_in_a_sandbox_that_is_being_stopped_says_so() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let request = ExecRequest {
        command: "true".to_owned(),
        ..ExecRequest::default()
    };
    let started = tokio::spawn(async move { client.exec(call(request)).await.map(drop) });
    let mut runner = world.runner(BOOT).await;
    let (number, Asked::Start(_)) = runner.request().await else {
        panic!("no start")
    };
    let refused = Body::Refused(Refused {
        reason: "SHUTTING_DOWN".to_owned(),
        ..Refused::default()
    });
    runner.send(number, refused).await;
    let status = started.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
}

#[tokio::test]
async fn a_sandbox_that_does_not_run_is_not_reached() {
    let world = World::new().await;
    for (state, closed) in [
        (SandboxState::Paused, false),
        (SandboxState::Stopped, true),
        (SandboxState::Starting, false),
    ] {
        world.facts.set(state, Some(Kind::NotRunning));
        let renewed = renew(&world, Some(ends())).await.unwrap().unwrap();
        assert_eq!(renewed.sandbox.unwrap().state(), state);
        assert_eq!(renewed.closed, closed, "{state:?}");
    }
    assert_eq!(world.facts.reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_its_name() {
    let world = World::new().await;
    for wrong in [
        EndExecutions {
            by: "why not".to_owned(),
            ..ends()
        },
        EndExecutions {
            grace_timeout: Some(seconds(-1)),
            ..ends()
        },
        EndExecutions {
            only_if_idle_for: Some(seconds(-1)),
            ..ends()
        },
    ] {
        let status = renew(&world, Some(wrong)).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    assert_eq!(world.facts.reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_upstream_is_asked_to_keep_it() {
    let world = World::new().await;
    world
        .facts
        .set(SandboxState::Paused, Some(Kind::NotRunning));
    let mut client = world.sandboxes.clone();
    for keep_for in [Some(7), None] {
        let request = RenewSandboxRequest {
            keep_for: keep_for.map(seconds),
            ..Default::default()
        };
        let renewed = client.renew_sandbox(call(request)).await.unwrap();
        let sandbox = renewed.into_inner().sandbox.unwrap();
        let expires = sandbox.provider_expire_time.map(|time| time.seconds);
        assert_eq!(expires, keep_for);
        let kept_for = *world.facts.kept_for.lock().unwrap();
        assert_eq!(kept_for.map(|time| time.as_secs() as i64), keep_for);
    }
}

#[tokio::test]
async fn a_pause_lets_go_of_the_link_and_a_resume_makes_another() {
    let mut world = World::new().await;
    let mut client = world.sandboxes.clone();
    let request = ExecRequest {
        command: "true".to_owned(),
        execution_id: "e".to_owned(),
        ..ExecRequest::default()
    };
    let exec = tokio::spawn(async move { client.exec(call(request)).await.map(drop) });
    let mut runner = world.runner(BOOT).await;
    let (number, Asked::Start(_)) = runner.request().await else {
        panic!("no start")
    };
    runner.send(number, says::started("e")).await;
    exec.await.unwrap().unwrap();
    let mut client = world.sandboxes.clone();
    let paused = client.pause_sandbox(call(PauseSandboxRequest::default()));
    let paused = paused.await.unwrap();
    assert!(
        paused
            .metadata()
            .contains_key(sandgate_proto::STATE_METADATA)
    );
    let paused = paused.into_inner().sandbox.unwrap();
    assert_eq!(paused.state(), SandboxState::Paused);
    let ended = async { while runner.next().await.is_some() {} };
    let ended = timeout(Duration::from_secs(10), ended).await;
    assert!(ended.is_ok(), "the link to a paused sandbox is kept");
    let resumed = client.resume_sandbox(call(ResumeSandboxRequest::default()));
    let resumed = resumed.await.unwrap().into_inner().sandbox.unwrap();
    assert_eq!(resumed.state(), SandboxState::Running);
    let renewed = renew(&world, None);
    nothing_ended(&mut world).await;
    renewed.await.unwrap().unwrap();
}
