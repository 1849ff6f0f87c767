//! Secrets of a session: they go in, and never come out.

use sandgate_proto::{
    Reason,
    v1::{DeleteSecretRequest, ListSecretsRequest, SetSecretRequest},
};
use sandgate_system::{Client, World, assert_reason, fact, framed, uuid};
use tonic::Status;

const SERVICE: &str = "/sandbox.v1.SecretService";
const VALUE: &[u8] = b"a value that nobody may see";

fn set(session_id: &str, name: &str, value: &[u8]) -> SetSecretRequest {
    SetSecretRequest {
        session_id: session_id.to_owned(),
        name: name.to_owned(),
        value: value.to_vec().into(),
        ..Default::default()
    }
}

fn delete(session_id: &str, name: &str) -> DeleteSecretRequest {
    DeleteSecretRequest {
        session_id: session_id.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    }
}

async fn names(client: &Client, session_id: &str) -> Vec<String> {
    let request = ListSecretsRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let listed = client.secrets().list_secrets(request).await.unwrap();
    let secrets = listed.into_inner().secrets;
    secrets.into_iter().map(|secret| secret.name).collect()
}

#[tokio::test]
async fn secrets_are_set_listed_and_deleted() {
    let world = World::start().await;
    let client = world.client().await;
    let (session, other) = (client.session().await, client.session().await);
    for name in ["b", "B", "A_KEY", "b"] {
        let made = client
            .secrets()
            .set_secret(set(&session, name, VALUE))
            .await;
        let secret = made.unwrap().into_inner().secret.unwrap();
        assert_eq!(secret.name, name);
        assert!(secret.update_time.is_some());
    }
    assert_eq!(names(&client, &session).await, ["A_KEY", "B", "b"]);
    assert_eq!(names(&client, &other).await, [""; 0]);
    client
        .secrets()
        .delete_secret(delete(&session, "B"))
        .await
        .unwrap();
    assert_eq!(names(&client, &session).await, ["A_KEY", "b"]);

    let missing = client.secrets().delete_secret(delete(&session, "B")).await;
    let missing = missing.unwrap_err();
    assert_reason(&missing, Reason::SecretNotFound, "SetSecret");
    assert_eq!(fact(&missing, "name").unwrap(), "B");
    let allowed = DeleteSecretRequest {
        allow_missing: true,
        ..delete(&session, "B")
    };
    client.secrets().delete_secret(allowed).await.unwrap();
}

#[tokio::test]
async fn lists_are_paged() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    for name in ["c", "a", "e", "b", "d"] {
        let set = set(&session_id, name, VALUE);
        client.secrets().set_secret(set).await.unwrap();
    }
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSecretsRequest {
            session_id: session_id.clone(),
            page_size: 2,
            page_token,
        };
        let page = client.secrets().list_secrets(request).await.unwrap();
        let page = page.into_inner();
        assert!(page.secrets.len() <= 2);
        found.extend(page.secrets.into_iter().map(|secret| secret.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn nothing_ever_answers_with_a_value() {
    let world = World::start().await;
    let session_id = world.client().await.session().await;
    let raw = world.raw().await;
    let list = ListSecretsRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    let calls = [
        ("SetSecret", framed(&set(&session_id, "GOOD", VALUE))),
        ("SetSecret", framed(&set(&session_id, "GOOD", VALUE))),
        ("SetSecret", framed(&set(&session_id, "not good", VALUE))),
        ("SetSecret", framed(&set(&session_id, "SANDGATE_X", VALUE))),
        ("SetSecret", framed(&set(&uuid(), "GOOD", VALUE))),
        ("ListSecrets", framed(&list)),
        ("DeleteSecret", framed(&delete(&session_id, "GOOD"))),
    ];
    for (rpc, request) in calls {
        let reply = raw.call(&format!("{SERVICE}/{rpc}"), &[], request).await;
        let details = String::from_utf8_lossy(reply.status().details()).into_owned();
        let said = format!("{reply:?} {details}");
        let value = std::str::from_utf8(VALUE).unwrap();
        assert!(!said.contains(value), "{rpc}: {said}");
    }
}

#[tokio::test]
async fn bad_names_and_values_are_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let refused = async |name: &str, value: &[u8]| -> Status {
        let request = set(&session_id, name, value);
        client.secrets().set_secret(request).await.unwrap_err()
    };
    for name in ["", "1", "a b", "é", &"x".repeat(129)] {
        let status = refused(name, VALUE).await;
        assert_reason(&status, Reason::InvalidField, "name");
        assert_eq!(fact(&status, "field").unwrap(), "name");
    }
    for name in [
        "SANDGATE_KEY",
        "sandgate_key",
        "daytona_sandbox:1",
        "session_sandbox",
    ] {
        assert_reason(
            &refused(name, VALUE).await,
            Reason::InvalidField,
            "reserved",
        );
    }
    for value in [&[][..], &vec![b'x'; (64 << 10) + 1]] {
        let status = refused("NAME", value).await;
        assert_reason(&status, Reason::InvalidField, "64 KiB");
        assert_eq!(fact(&status, "field").unwrap(), "value");
    }
    let largest = set(&session_id, "NAME", &vec![0; 64 << 10]);
    client.secrets().set_secret(largest).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_not_there_has_none() {
    let world = World::start().await;
    let client = world.client().await;
    let deleted = client.session().await;
    client
        .secrets()
        .set_secret(set(&deleted, "A", VALUE))
        .await
        .unwrap();
    let request = sandgate_proto::v1::DeleteSessionRequest {
        session_id: deleted.clone(),
        ..Default::default()
    };
    client.sessions().delete_session(request).await.unwrap();
    for session_id in [deleted, uuid()] {
        let list = ListSecretsRequest {
            session_id: session_id.clone(),
            ..Default::default()
        };
        let (mut secrets, missing) = (client.secrets(), Reason::SessionNotFound);
        let status = secrets.set_secret(set(&session_id, "A", VALUE)).await;
        assert_reason(&status.unwrap_err(), missing, "session");
        let status = secrets.list_secrets(list).await;
        assert_reason(&status.unwrap_err(), missing, "session");
        let status = secrets.delete_secret(delete(&session_id, "A")).await;
        assert_reason(&status.unwrap_err(), missing, "session");
    }
}
