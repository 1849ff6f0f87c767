//! How much one key, and one organisation, may use.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sandgate_gateway::LimitArgs;
use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxResponse, DeleteSandboxRequest, DeleteSecretRequest, GetSessionRequest,
        IssueApiKeyRequest, SetSecretRequest, SignalExecutionRequest, StartExecutionRequest,
    },
};
use sandgate_system::{Act, Caller, Op, Plan, Reply, World, assert_reason, fact};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

async fn limited(limits: LimitArgs) -> (World, Caller) {
    World::administered(Plan {
        limits,
        ..Plan::default()
    })
    .await
}

/// A user of another organisation.
async fn stranger(admin: &Caller) -> Caller {
    admin
        .issue_as(IssueApiKeyRequest {
            org_id: "other".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        })
        .await
}

/// The refusal says which limit of whom was met.
#[track_caller]
fn assert_quota(status: &Status, limit: &str) {
    assert_reason(status, Reason::QuotaExceeded, "organisation");
    assert_eq!(fact(status, "limit").as_deref(), Some(limit));
    let failure = status.get_details_quota_failure().expect("QuotaFailure");
    assert_eq!(failure.violations.len(), 1);
    assert_eq!(failure.violations[0].subject, "org:acme");
    assert!(!failure.violations[0].description.is_empty());
}

#[track_caller]
fn assert_ok(reply: &Reply) {
    assert_eq!(reply.status().code(), Code::Ok, "{reply:?}");
}

#[tokio::test]
async fn each_key_has_a_rate_of_its_own() {
    let (_world, admin) = limited(LimitArgs {
        rate_limit: Some(1),
        rate_burst: Some(3),
        ..LimitArgs::default()
    })
    .await;
    let fast = admin.issue("ann", &[]).await;
    let slow = admin.issue("ann", &[]).await;
    let request = GetSessionRequest {
        session_id: fast.session().await,
    };
    let get = async |caller: &Caller| caller.call("SessionService/GetSession", &request).await;
    // Faster than the rate, whatever this machine is busy with.
    let asked = join_all((0..20).map(|_| get(&fast))).await;
    let refused: Vec<_> = asked
        .iter()
        .map(Reply::status)
        .filter(|status| status.code() != Code::Ok)
        .collect();
    assert!(refused.len() >= 10, "{refused:?}");
    for status in &refused {
        assert_reason(status, Reason::QuotaExceeded, "RetryInfo");
        assert_eq!(fact(status, "limit").as_deref(), Some("rate"));
    }
    assert_ok(&get(&slow).await);

    let refused = loop {
        let status = get(&fast).await.status();
        if status.code() != Code::Ok {
            break status;
        }
    };
    let retry = refused.get_details_retry_info().expect("RetryInfo");
    let wait = retry.retry_delay.expect("a delay");
    assert!(
        !wait.is_zero() && wait <= Duration::from_secs(1),
        "{wait:?}"
    );
    tokio::time::sleep(wait).await;
    assert_ok(&get(&fast).await);
}

#[tokio::test]
async fn an_organisation_never_has_more_sandboxes_than_it_may() {
    let (world, admin) = limited(LimitArgs {
        quota_sandboxes: Some(3),
        ..LimitArgs::default()
    })
    .await;
    world
        .fake
        .set(Op::Create, Act::Work(Duration::from_millis(100)));
    let (ann, bob) = (admin.issue("ann", &[]).await, admin.issue("bob", &[]).await);
    let sessions = [ann.session().await, bob.session().await];
    let callers = [&ann, &bob];
    let creates = (0..12).map(|number| callers[number % 2].create(&sessions[number % 2], ""));
    let (mut made, mut refused) = (Vec::new(), 0);
    for reply in join_all(creates).await {
        let status = reply.status();
        if status.code() == Code::Ok {
            let created: CreateSandboxResponse = reply.message();
            made.push(created.sandbox.unwrap());
        } else {
            assert_quota(&status, "sandboxes");
            refused += 1;
        }
    }
    assert_eq!((made.len(), refused), (3, 9));
    assert_eq!(world.fake.count(Op::Create), 3);

    let other = stranger(&admin).await;
    let theirs = other.session().await;
    assert_ok(&other.create(&theirs, "").await);

    let gone = made.remove(0);
    let owner = usize::from(gone.session_id == sessions[1]);
    let delete = DeleteSandboxRequest {
        session_id: gone.session_id,
        sandbox_id: gone.sandbox_id,
        ..Default::default()
    };
    let deleted = callers[owner].call("SandboxService/DeleteSandbox", &delete);
    assert_ok(&deleted.await);
    assert_ok(&ann.create(&sessions[0], "").await);
    assert_quota(&ann.create(&sessions[0], "").await.status(), "sandboxes");
}

#[tokio::test]
async fn a_create_that_fails_takes_no_place() {
    let (world, admin) = limited(LimitArgs {
        quota_sandboxes: Some(1),
        ..LimitArgs::default()
    })
    .await;
    let ann = admin.issue("ann", &[]).await;
    let session_id = ann.session().await;
    let failure = sandgate_kit::Kind::Rejected;
    world.fake.set(Op::Create, Act::Fail(failure));
    for _ in 0..3 {
        let status = ann.create(&session_id, "").await.status();
        assert_reason(&status, Reason::UpstreamRejected, "");
    }
    world.fake.mend(Op::Create);
    assert_ok(&ann.create(&session_id, "").await);
}

struct Place<'a> {
    caller: &'a Caller,
    session_id: String,
    sandbox_id: String,
}

impl<'a> Place<'a> {
    async fn of(caller: &'a Caller) -> Self {
        let (session_id, sandbox_id) = caller.pair().await;
        Self {
            caller,
            session_id,
            sandbox_id,
        }
    }

    async fn start(&self, id: &str, command: &str) -> Reply {
        let request = StartExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            command: command.to_owned(),
            ..Default::default()
        };
        let rpc = "ExecutionService/StartExecution";
        self.caller.call(rpc, &request).await
    }

    async fn end(&self, id: &str) {
        let request = SignalExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            signal: 15,
            ..Default::default()
        };
        let rpc = "ExecutionService/SignalExecution";
        assert_ok(&self.caller.call(rpc, &request).await);
    }
}

#[tokio::test]
async fn an_organisation_runs_no_more_executions_than_it_may() {
    let (world, admin) = limited(LimitArgs {
        quota_executions: Some(2),
        ..LimitArgs::default()
    })
    .await;
    let (ann, bob) = (admin.issue("ann", &[]).await, admin.issue("bob", &[]).await);
    let other = stranger(&admin).await;
    let (first, second) = (Place::of(&ann).await, Place::of(&bob).await);
    let elsewhere = Place::of(&other).await;
    // What has ended does not count, however many there were.
    for number in 0..5 {
        assert_ok(&first.start(&format!("short-{number}"), "print x").await);
        sandgate_system::eventually("it ends", || world.fake.live() == 0).await;
    }
    assert_ok(&first.start("a", "hang").await);
    assert_ok(&second.start("b", "hang").await);
    for place in [&first, &second] {
        let refused = place.start("c", "hang").await.status();
        assert_quota(&refused, "executions");
        assert!(sandgate_system::has_retry(&refused));
    }
    assert_eq!(world.fake.live(), 2);
    assert_ok(&elsewhere.start("a", "hang").await);

    second.end("b").await;
    sandgate_system::eventually("one ends", || world.fake.live() == 2).await;
    assert_ok(&first.start("c", "hang").await);
    let refused = second.start("d", "hang").await.status();
    assert_quota(&refused, "executions");
}

#[tokio::test]
async fn executions_that_start_at_once_stay_within_the_limit() {
    let (world, admin) = limited(LimitArgs {
        quota_executions: Some(4),
        ..LimitArgs::default()
    })
    .await;
    let ann = admin.issue("ann", &[]).await;
    let place = Place::of(&ann).await;
    let ids: Vec<_> = (0..12).map(|number| format!("e{number}")).collect();
    let started = join_all(ids.iter().map(|id| place.start(id, "hang"))).await;
    let fine = |reply: &&Reply| reply.status().code() == Code::Ok;
    assert_eq!(started.iter().filter(fine).count(), 4);
    assert_eq!(world.fake.live(), 4);
}

#[tokio::test]
async fn an_organisation_keeps_no_more_bytes_than_it_may() {
    let (_world, admin) = limited(LimitArgs {
        quota_session_bytes: Some(1000),
        ..LimitArgs::default()
    })
    .await;
    let (ann, bob) = (admin.issue("ann", &[]).await, admin.issue("bob", &[]).await);
    let other = stranger(&admin).await;
    let set = async |caller: &Caller, session_id: &str, name: &str, size: usize| {
        let request = SetSecretRequest {
            session_id: session_id.to_owned(),
            name: name.to_owned(),
            value: vec![b'x'; size].into(),
            ..Default::default()
        };
        caller.call("SecretService/SetSecret", &request).await
    };
    let (of_ann, of_bob) = (ann.session().await, bob.session().await);
    assert_ok(&set(&ann, &of_ann, "A", 600).await);
    assert_ok(&set(&bob, &of_bob, "A", 400).await);
    let refused = set(&bob, &of_bob, "B", 1).await.status();
    assert_quota(&refused, "session_bytes");
    let theirs = other.session().await;
    assert_ok(&set(&other, &theirs, "A", 1000).await);
    // What is replaced does not count twice, and what is deleted not at all.
    assert_ok(&set(&ann, &of_ann, "A", 500).await);
    assert_ok(&set(&bob, &of_bob, "B", 100).await);
    assert_quota(
        &set(&ann, &of_ann, "A", 501).await.status(),
        "session_bytes",
    );
    let delete = DeleteSecretRequest {
        session_id: of_ann.clone(),
        name: "A".to_owned(),
        ..Default::default()
    };
    assert_ok(&ann.call("SecretService/DeleteSecret", &delete).await);
    assert_ok(&set(&bob, &of_bob, "C", 500).await);
    assert_quota(&set(&ann, &of_ann, "A", 1).await.status(), "session_bytes");
    // Nor what belonged to a session that is gone.
    let delete = sandgate_proto::v1::DeleteSessionRequest {
        session_id: of_bob,
        ..Default::default()
    };
    assert_ok(&bob.call("SessionService/DeleteSession", &delete).await);
    let begun = Instant::now();
    while set(&ann, &of_ann, "A", 1000).await.status().code() != Code::Ok {
        assert!(begun.elapsed() < Duration::from_secs(10), "never freed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
