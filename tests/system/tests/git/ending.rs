//! A clone that is cancelled, takes too long, or loses its caller.

use std::time::{Duration, Instant};

use sandgate_proto::v1::{
    CloneRepositoryRequest, GetExecutionRequest, SignalExecutionRequest, WaitExecutionRequest,
    execution_ended::Outcome,
};

use crate::{kinds::Kind, stand::Stand, tokens::in_folder};

/// Files of a repository that takes seconds to check out.
const MANY: usize = 15_000;

/// Half of it comes, and no more.
fn stuck(stand: &Stand, id: &str) -> CloneRepositoryRequest {
    CloneRepositoryRequest {
        execution_id: id.to_owned(),
        ..in_folder(stand.request("/stuck/big.git"), "deep/stuck")
    }
}

pub(crate) async fn half_is_there(stand: &Stand) {
    let begun = Instant::now();
    while stand.ran("find . -name 'tmp_pack*' | grep -q .").await.0 != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing comes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// TERM to a clone.
pub(crate) async fn end(stand: &Stand, id: &str) {
    let request = SignalExecutionRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        execution_id: id.to_owned(),
        signal: 15,
        ..Default::default()
    };
    let mut client = stand.client.executions();
    client.signal_execution(request).await.unwrap();
}

async fn nothing_is_left(stand: &Stand) {
    nothing_is_left_but(stand, "").await;
}

async fn nothing_is_left_but(stand: &Stand, there: &str) {
    assert_eq!(stand.said("find . -mindepth 1").await, there);
    let begun = Instant::now();
    let look = "pgrep -fa '[r]emote-http|[c]lone --quiet'";
    loop {
        // Who was killed is there until somebody has seen it.
        let (code, left) = stand.ran(look).await;
        if code == Some(1) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{left}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_too_long_leaves_nothing() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.large("big.git", 50, 20_000);
    let request = CloneRepositoryRequest {
        timeout: Some(prost_types::Duration {
            seconds: 3,
            nanos: 0,
        }),
        ..stuck(&stand, "slow")
    };
    let cloned = stand.clone(request).await.unwrap();
    let outcome = cloned.ended.unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::TimedOut(_)), "{outcome:?}");
    assert_eq!(
        (cloned.r#ref, cloned.commit),
        (String::new(), String::new())
    );
    nothing_is_left(&stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_ended_leaves_nothing() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.large("big.git", 50, 20_000);
    let signal = async {
        half_is_there(&stand).await;
        end(&stand, "ended").await;
    };
    let (cloned, ()) = tokio::join!(stand.clone(stuck(&stand, "ended")), signal);
    let outcome = cloned.unwrap().ended.unwrap().outcome.unwrap();
    assert_eq!(outcome, Outcome::ExitCode(143));
    nothing_is_left(&stand).await;
}

/// Ended while its files are checked out, which git would go on with, in a new place and in a folder that
/// is there.
#[tokio::test(flavor = "multi_thread")]
async fn many_files_are_taken_away_again() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.large("many.git", MANY, 40);
    stand.said("mkdir there && chmod 750 there").await;
    let facts = "stat -c '%i %a' there";
    let before = stand.said(facts).await;
    for (id, path) in [("new", "deep/new"), ("there", "there")] {
        let request = CloneRepositoryRequest {
            execution_id: id.to_owned(),
            ..in_folder(stand.request("/closed/many.git"), path)
        };
        let signal = async {
            let files = "timeout 60 sh -c 'until ls -d */.sandgate-*/d3; do sleep 0.02; done'";
            stand.said(files).await;
            let seen = stand.said("ls -A there").await;
            assert!(
                seen.is_empty() || seen.starts_with(".sandgate-") && seen.lines().count() == 1,
                "half a clone is taken for one: {seen}"
            );
            end(&stand, id).await;
        };
        let (cloned, ()) = tokio::join!(stand.clone(request), signal);
        let cloned = cloned.unwrap();
        let outcome = cloned.ended.unwrap().outcome.unwrap();
        assert_eq!(outcome, Outcome::ExitCode(143));
        // It says where it was to be, though it was ended.
        assert!(cloned.path.ends_with(path), "{}", cloned.path);
        nothing_is_left_but(&stand, "./there\n").await;
        assert_eq!(stand.said(facts).await, before);
    }
    let cloned = stand
        .cloned(in_folder(stand.request("/closed/many.git"), "there"))
        .await;
    assert!(cloned.path.ends_with("/there"));
    let state = "cd there && git diff-index HEAD && git status --porcelain && ls -A";
    let there = stand.said(state).await;
    assert!(there.starts_with(".git\nd0\nd1\n"), "{there}");
    assert_eq!(stand.said(facts).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_loses_its_caller_goes_on() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.large("big.git", 200, 50_000);
    let request = CloneRepositoryRequest {
        execution_id: "lost".to_owned(),
        ..in_folder(stand.request("/closed/big.git"), "kept")
    };
    let begun = async {
        let look = GetExecutionRequest {
            session_id: stand.session_id.clone(),
            sandbox_id: stand.sandbox_id.clone(),
            execution_id: "lost".to_owned(),
        };
        let mut client = stand.client.executions();
        while client.get_execution(look.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        cloned = stand.clone(request.clone()) => panic!("over already: {cloned:?}"),
        () = begun => {}
    }
    let wait = WaitExecutionRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        execution_id: "lost".to_owned(),
        ..Default::default()
    };
    let waited = stand
        .client
        .executions()
        .wait_execution(wait)
        .await
        .unwrap();
    let ended = waited.into_inner().execution.unwrap().ended.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::ExitCode(0)));
    assert!(stand.cloned(request).await.authenticated);
}
