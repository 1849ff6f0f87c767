//! Keys: E2B's word on them is passed on, and none but the caller's is ever used.

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, CreateSandboxResponse, SandboxState},
};
use sandgate_system::assert_reason;
use serde_json::json;
use tonic::Status;

use crate::stand::{KEY, Stand};

/// A key of the same form that E2B does not take.
const BAD: &str = "e2b_bad_key";
/// Variables in which other programs look for a key.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("E2B_API_KEY", OTHER),
    ("E2B_ACCESS_TOKEN", OTHER),
    ("E2B_TEAM_ID", OTHER),
    ("SANDGATE_E2B_API_KEY", OTHER),
    ("SANDGATE_E2B_KEY", OTHER),
    ("SANDGATE_API_KEY", OTHER),
];
/// Their account.
const OTHER: &str = "e2b_environment";

async fn create(stand: &Stand) -> Result<CreateSandboxResponse, Status> {
    let request = CreateSandboxRequest {
        session_id: stand.client.session().await,
        ..Default::default()
    };
    stand.client.create(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_said() {
    for status in [401, 403] {
        let stand = Stand::start().await;
        // A key that was good when it was set.
        for path in ["/sandboxes", "/v2/sandboxes"] {
            let rule = json!({"path": path, "kind": "status", "status": status, "times": 0});
            stand.emulator.fault(&rule).await;
        }
        let error = create(&stand).await.unwrap_err();
        assert_reason(&error, Reason::CredentialRejected, "your key");
        stand.emulator.mend().await;
        stand.has(0).await;
    }
}

/// The list before a create is let through, and the create itself is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_use_the_template_is_said() {
    let stand = Stand::start().await;
    let body = json!({"code": 403, "message": "you don't have access to template 'base'"});
    let rule = json!({"path": "/sandboxes", "method": "POST", "kind": "status", "status": 403, "body": body.to_string(), "times": 0});
    stand.emulator.fault(&rule).await;
    let error = create(&stand).await.unwrap_err();
    assert_reason(&error, Reason::CredentialRejected, "template");
    assert_eq!(stand.emulator.hits().await, [1], "it is asked again");
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_good_key_of_the_account_is_all_it_takes() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    stand.said(&ids, "echo kept > ~/file").await;
    let rule = json!({"path": "/sandboxes/*", "kind": "status", "status": 401, "times": 0});
    stand.emulator.fault(&rule).await;
    let error = stand.pause(&ids).await.unwrap_err();
    assert_reason(&error, Reason::CredentialRejected, "set the connection");
    let seen = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);
    assert_eq!(seen.reason.unwrap().code, "CREDENTIAL_REJECTED");
    stand.emulator.mend().await;

    // The same by a key that is stored and no good.
    stand.client.connect_to("e2b", BAD, "").await;
    let error = stand.pause(&ids).await.unwrap_err();
    assert_reason(&error, Reason::CredentialRejected, "set the connection");
    let refused = stand.set_key(BAD).await.unwrap_err();
    assert_reason(&refused, Reason::CredentialRejected, "");

    stand.set_key(KEY).await.unwrap();
    stand.becomes(&ids, SandboxState::Running).await;
    stand.pause(&ids).await.unwrap();
    assert_eq!(stand.said(&ids, "cat ~/file").await, "kept\n");
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_account_loses_nothing() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    stand.said(&ids, "echo kept > ~/file").await;
    stand.set_key("e2b_another").await.unwrap();
    let seen = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);
    assert_eq!(seen.reason.unwrap().code, "CREDENTIAL_REJECTED");
    let error = stand.pause(&ids).await.unwrap_err();
    assert_reason(&error, Reason::CredentialRejected, "account");
    stand.set_key(KEY).await.unwrap();
    assert_eq!(stand.said(&ids, "cat ~/file").await, "kept\n");
    // Deleted with the key that it was made with.
    stand.set_key("e2b_another").await.unwrap();
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
    stand.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_environment_is_never_used() {
    let stand = Stand::with(&[], &ENVIRONMENT, None).await;
    stand.emulator.counts().await;
    let error = create(&stand).await.unwrap_err();
    assert_reason(&error, Reason::ConnectionRequired, "");
    let asked = stand.emulator.counts().await;
    assert!(asked.is_empty(), "{asked:?}");
    assert!(stand.emulator.sandboxes(OTHER).await.is_empty());

    // Nor beside the caller's.
    stand.set_key(KEY).await.unwrap();
    create(&stand).await.unwrap();
    stand.has(1).await;
    assert!(stand.emulator.sandboxes(OTHER).await.is_empty());
}
