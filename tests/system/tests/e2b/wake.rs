//! Sandboxes that E2B has paused because their time was over: a use wakes them, a look does not.

use std::time::{Duration, Instant};

use sandgate_gateway::Clock;
use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, ExecutionState, GetExecutionRequest, Lifecycle, ListSandboxesRequest,
        ReconcileProviderRequest, RenewSandboxRequest, SandboxSpec, SandboxState,
        StartExecutionRequest, WatchSessionRequest,
    },
};
use sandgate_system::assert_reason;

use crate::stand::{KEY, Stand};

/// Longer than the gateway lets a running sandbox be without a look.
const BEAT: Duration = Duration::from_secs(310);
/// Longer than it takes until a watch has the sandboxes asked again.
const WATCH: Duration = Duration::from_secs(4);
/// The execution whose outcome is kept.
const ID: &str = "kept";

#[tokio::test(flavor = "multi_thread")]
async fn the_next_command_wakes_it() {
    let stand = Stand::with(&["--new-tokens"], &[], Some(KEY)).await;
    let ids = stand.client.pair().await;
    let upstream = stand.upstream().await;
    stand.said(&ids, "echo kept > ~/file").await;
    for seen_by_gateway in [false, true] {
        stand.emulator.expire(&upstream).await;
        if seen_by_gateway {
            stand.becomes(&ids, SandboxState::Paused).await;
        }
        stand.emulator.counts().await;
        assert_eq!(stand.said(&ids, "cat ~/file").await, "kept\n");
        assert_eq!(stand.emulator.woken().await, 1);
        stand.becomes(&ids, SandboxState::Running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_where_its_owner_does_not_want_that() {
    let stand = Stand::start().await;
    let session_id = stand.client.session().await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        spec: Some(SandboxSpec {
            lifecycle: Some(Lifecycle {
                auto_start: Some(false),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = stand.client.create(request).await.unwrap();
    let sandbox_id = made.sandbox.unwrap().sandbox_id;
    stand.emulator.expire(&stand.upstream().await).await;
    stand.emulator.counts().await;
    let error = stand.client.exec(&session_id, &sandbox_id, "true").await;
    assert_reason(&error.unwrap_err(), Reason::SandboxNotRunning, "");
    assert_eq!(stand.emulator.woken().await, 0);
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Get,
    List,
    Execution,
    Renew,
    Watch,
    Beat,
    Compare,
}

/// All ways to look, and what the gateway does by itself.
const LOOKS: [Look; 7] = [
    Look::Get,
    Look::List,
    Look::Execution,
    Look::Renew,
    Look::Watch,
    Look::Beat,
    Look::Compare,
];

async fn watch(stand: &Stand, session_id: String) {
    let request = WatchSessionRequest {
        session_id,
        ..Default::default()
    };
    let mut sessions = stand.client.sessions();
    let watch = sessions.watch_session(request).await.unwrap();
    tokio::time::sleep(WATCH).await;
    drop(watch);
}

async fn compare(stand: &Stand) {
    let request = ReconcileProviderRequest {
        provider: "e2b".to_owned(),
        ..Default::default()
    };
    let compared = stand.client.admin().reconcile_provider(request).await;
    assert_eq!(compared.unwrap().into_inner().examined, 1);
}

async fn look(stand: &Stand, clock: &Clock, ids: &(String, String), look: Look) {
    let (session_id, sandbox_id) = ids.clone();
    let client = &stand.client;
    match look {
        Look::Get => drop(client.get(&session_id, &sandbox_id).await.unwrap()),
        Look::List => {
            let request = ListSandboxesRequest {
                session_id,
                ..Default::default()
            };
            let listed = client.sandboxes().list_sandboxes(request).await.unwrap();
            assert_eq!(listed.into_inner().sandboxes.len(), 1);
        }
        Look::Execution => {
            let request = GetExecutionRequest {
                session_id,
                sandbox_id,
                execution_id: ID.to_owned(),
            };
            let found = client.executions().get_execution(request).await.unwrap();
            let found = found.into_inner().execution.unwrap();
            assert_eq!(found.state(), ExecutionState::Ended);
        }
        Look::Renew => {
            let request = RenewSandboxRequest {
                session_id,
                sandbox_id,
                ..Default::default()
            };
            client.sandboxes().renew_sandbox(request).await.unwrap();
        }
        Look::Watch => watch(stand, session_id).await,
        Look::Beat => {
            clock.advance(BEAT);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Look::Compare => compare(stand).await,
    }
}

/// Has the gateway keep the outcome of an execution.
async fn keep(stand: &Stand, clock: &Clock, ids: &(String, String)) {
    let request = StartExecutionRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: ID.to_owned(),
        command: "echo kept".to_owned(),
        ..Default::default()
    };
    let mut executions = stand.client.executions();
    executions.start_execution(request).await.unwrap();
    stand.said(ids, "sleep 0.5").await;
    look(stand, clock, ids, Look::Renew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_wakes_nothing() {
    let clock = Clock::manual();
    let stand = Stand::timed(&clock).await;
    let ids = stand.client.pair().await;
    let upstream = stand.upstream().await;
    keep(&stand, &clock, &ids).await;
    for way in LOOKS {
        stand.said(&ids, "true").await;
        stand.emulator.expire(&upstream).await;
        stand.emulator.counts().await;
        // The gateway learns of it by the first, and knows it at the second.
        for _ in 0..2 {
            look(&stand, &clock, &ids, way).await;
            let detail = stand.emulator.detail(KEY, &upstream).await;
            assert_eq!(detail["state"], "paused", "{way:?}");
        }
        assert_eq!(stand.emulator.woken().await, 0, "{way:?}");
    }
}

/// Without this, the look above that is the gateway's own would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_looks_by_itself() {
    let clock = Clock::manual();
    let stand = Stand::timed(&clock).await;
    let ids = stand.client.pair().await;
    let upstream = stand.upstream().await;
    stand.emulator.expire(&upstream).await;
    stand.emulator.counts().await;
    clock.advance(BEAT);
    let begun = Instant::now();
    while stand.emulator.counts().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stand.becomes(&ids, SandboxState::Paused).await;
}
