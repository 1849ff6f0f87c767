//! A Docker Engine that is restarted under us: what it keeps alive is found again, and what died is
//! told as such. Both ways to the runner are tried, on engines of the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Auto;

use sandgate_kit::Provider as _;
use sandgate_proto::{
    Reason,
    v1::{Cancelled, Lost, SandboxState, execution_ended::Outcome},
};
use support::{
    engine::Engine,
    guest::{EXIT_CODE, Guest},
};
use tonic::Code;

/// All numbers from 0 are there, each once.
fn counts(text: &str) {
    let wanted = (0..text.lines().count()).map(|number| format!("{number}\n"));
    assert_eq!(text, wanted.collect::<String>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_keeps_alive_is_found_again() {
    let mut engine = Engine::new(0, &["--live-restore"]);
    let guests = Guest::both(&engine).await;
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for guest in &guests {
        guest.start_counting().await;
        kept.push(guest.follow(0).await.unwrap());
        let mut reader = guest.follow(0).await.unwrap();
        reader.read(50).await;
        dropped.push(reader.text);
    }
    let mut before = Vec::new();
    for guest in &guests {
        before.push(guest.get().await.unwrap());
    }

    engine.stop();
    for guest in &guests {
        guest.is_unreachable().await;
        // Safe to repeat, whether a runner can be reached without the engine or not.
        if let Err(status) = guest.follow(0).await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        }
    }
    engine.start();

    for (((guest, before), kept), dropped) in guests.iter().zip(before).zip(kept).zip(dropped) {
        let found = guest.get().await.unwrap();
        assert_eq!(found.state, SandboxState::Running);
        assert_eq!(found.start_time, before.start_time);
        let mut resumed = guest.follow(dropped.len() as u64).await.unwrap();
        resumed.read(50).await;
        guest.sh("touch enough").await;
        let (rest, outcome) = resumed.finish().await;
        assert_eq!(outcome, Outcome::ExitCode(EXIT_CODE));
        counts(&(dropped + &rest));
        let (all, outcome) = kept.finish().await;
        assert_eq!(outcome, Outcome::ExitCode(EXIT_CODE));
        assert!(all.ends_with(&rest));
        counts(&all);
    }
    for guest in guests {
        guest.end().await;
    }
}

/// Has sandboxes die with their engine, which ends as `end` says, and comes back.
async fn die_with(mut engine: Engine, end: fn(&mut Engine)) {
    let guests = Guest::both(&engine).await;
    let mut kept = Vec::new();
    for guest in &guests {
        guest.sh("echo mine > file").await;
        guest.start_counting().await;
        let mut reader = guest.follow(0).await.unwrap();
        reader.read(50).await;
        kept.push(reader);
    }

    end(&mut engine);
    for guest in &guests {
        guest.is_unreachable().await;
    }
    engine.start();

    for (guest, kept) in guests.iter().zip(kept) {
        let found = guest.get().await.unwrap();
        assert_eq!(found.state, SandboxState::Stopped);
        let (text, outcome) = kept.finish().await;
        counts(&text);
        honest(&outcome);
        guest.forgot(Reason::SandboxNotRunning).await;
        let started = guest.provider.start(&guest.context).await.unwrap();
        assert_eq!(started.state, SandboxState::Running);
        assert_eq!(guest.sh("cat file").await, "mine\n");
        guest.forgot(Reason::ExecutionNotFound).await;
    }
    for guest in guests {
        guest.end().await;
    }
}

/// Only what was seen is told: that the sandbox was shut down, or that it stopped and nobody knows.
fn honest(outcome: &Outcome) {
    match outcome {
        Outcome::Cancelled(Cancelled { by }) => assert_eq!(by, "SANDBOX_STOPPED"),
        Outcome::Lost(Lost { reason }) => assert_eq!(reason, "SANDBOX_STOPPED"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_stops_at_its_end_is_told_and_starts_again() {
    Box::pin(die_with(Engine::new(1, &[]), Engine::stop)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_a_crashed_engine_is_told_and_starts_again() {
    Box::pin(die_with(Engine::new(2, &[]), Engine::crash)).await;
}
