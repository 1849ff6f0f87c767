//! What is in an account at E2B and nobody knows of: adopted or deleted where it is ours, and never
//! touched where it is not.

use std::{collections::BTreeMap, time::Duration};

use sandgate_gateway::Clock;
use sandgate_proto::v1::{ReconcileProviderRequest, SandboxState};
use sandgate_system::uuid;
use serde_json::{Value, json};

use crate::stand::{KEY, Stand};

/// More than the time after which what is unknown counts.
const OLD: Duration = Duration::from_secs(120);

/// What is said of each sandbox of ours.
async fn reconciled(stand: &Stand, dry_run: bool) -> BTreeMap<String, String> {
    let request = ReconcileProviderRequest {
        provider: "e2b".to_owned(),
        dry_run,
        ..Default::default()
    };
    let answer = stand.client.admin().reconcile_provider(request).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.dry_run, dry_run);
    let told = answer.actions.into_iter().map(|one| {
        assert_eq!(one.error, None, "{one:?}");
        (one.provider_sandbox_id, one.action)
    });
    told.collect()
}

/// Makes a sandbox in the account, past the gateway; E2B's id of it.
async fn make(stand: &Stand, metadata: &Value) -> String {
    let body = json!({"templateID": "base", "timeout": 3600, "autoPause": true, "secure": true, "metadata": metadata});
    let made = stand.emulator.ask("POST /sandboxes", KEY, &body).await;
    made["sandboxID"].as_str().unwrap().to_owned()
}

/// Metadata of a sandbox of ours that the gateway has lost.
fn lost(gateway_id: &str, session_id: &str) -> Value {
    json!({"sandgate.gateway_id": gateway_id, "sandgate.session_id": session_id, "sandgate.sandbox_id": uuid(), "sandgate.generation": "1"})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ours_is_taken_in_or_down_and_all_else_left() {
    let clock = Clock::manual();
    let stand = Stand::timed(&clock).await;
    let ids = stand.client.pair().await;
    let known = stand.upstream().await;
    let metadata = stand.emulator.detail(KEY, &known).await["metadata"].clone();
    let gateway_id = metadata["sandgate.gateway_id"].as_str().unwrap();

    let orphan = make(&stand, &lost(gateway_id, &uuid())).await;
    let adopted = lost(gateway_id, &ids.0);
    let sandbox_id = adopted["sandgate.sandbox_id"].as_str().unwrap();
    let adopted = (make(&stand, &adopted).await, sandbox_id.to_owned());
    let others = [
        json!({}),
        json!({"owner": "somebody", "purpose": "elsewhere"}),
        lost("another-gateway", &ids.0),
        lost(&uuid(), &uuid()),
        json!({"sandgate.sandbox_id": ids.1, "sandgate.session_id": ids.0}),
    ];
    let mut left = vec![known, adopted.0.clone()];
    for other in &others {
        left.push(make(&stand, other).await);
    }
    left.sort();

    let told = |orphans: &str, lost: &str| {
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        BTreeMap::from([pair(&orphan, orphans), pair(&adopted.0, lost)])
    };
    assert_eq!(reconciled(&stand, true).await, told("WAIT", "WAIT"));
    assert_eq!(reconciled(&stand, false).await, told("WAIT", "WAIT"));
    clock.advance(OLD);
    stand.emulator.counts().await;
    assert_eq!(reconciled(&stand, true).await, told("DELETE", "ADOPT"));
    let asked = stand.emulator.counts().await;
    assert!(
        asked.keys().all(|line| line.starts_with("GET ")),
        "a dry run changed something: {asked:?}"
    );
    assert_eq!(reconciled(&stand, false).await, told("DELETE", "ADOPT"));
    assert!(reconciled(&stand, false).await.is_empty());

    let mut there = stand.emulator.sandboxes(KEY).await;
    there.sort();
    assert_eq!(there, left);
    let asked = stand.emulator.counts().await;
    for other in left.iter().filter(|id| **id != adopted.0) {
        let touched = asked.keys().any(|line| line.contains(other.as_str()));
        assert!(!touched, "{other}: {asked:?}");
    }
    // Nobody had prepared that one.
    let taken_in = (ids.0.clone(), adopted.1);
    assert_eq!(stand.said(&taken_in, "echo fit").await, "fit\n");
    stand.becomes(&taken_in, SandboxState::Running).await;
    assert_eq!(stand.said(&ids, "echo fit").await, "fit\n");
}
