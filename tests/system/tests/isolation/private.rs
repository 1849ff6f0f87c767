//! Lists, names, request ids and page tokens are their owner's own.

use sandgate_proto::{
    Reason,
    v1::{
        CreateSessionRequest, CreateSessionResponse, DeleteConnectionRequest, DeleteSecretRequest,
        ExecRequest, GetConnectionRequest, GetConnectionResponse, ListSessionsRequest,
        ListSessionsResponse,
    },
};
use sandgate_system::{Fields, Rpc, Words, framed, uuid};

use crate::{
    assert_none,
    people::{Person, Town},
};

#[tokio::test]
async fn lists_hold_ones_own_things_only() {
    let town = Town::new().await;
    let mut findings = Vec::new();
    for own in [&town.bob, &town.carl] {
        let mut marks = town.ann.marks.clone();
        if own.org != town.ann.org {
            marks.extend(town.ann.agent_marks.clone());
        }
        for rpc in Rpc::all().iter().filter(|rpc| rpc.name.starts_with("List")) {
            // With every filter on something of one's own, and with as few as there can be.
            let needed = [
                "ListExecutions",
                "ListDirectory",
                "ListPorts",
                "ListSecrets",
                "ListSessionFiles",
            ];
            let wide = if needed.contains(&rpc.name) {
                own.ids.clone()
            } else {
                Fields::default()
            };
            for ids in [&own.ids, &wide] {
                let answer = own
                    .caller
                    .call(rpc, rpc.request(&Words::default(), ids))
                    .await;
                if let Some(mark) = answer.told(&marks) {
                    findings.push(format!("{} by {} tells {mark}", rpc.path, own.user));
                }
            }
        }
    }
    assert_none("these lists show what is ann's:", &findings);
}

/// Two requests that must be answered alike, to somebody who is not ann.
async fn alike(
    own: &Person,
    rpc: &str,
    of_ann: bytes::Bytes,
    unknown: bytes::Bytes,
    wanted: Reason,
) {
    let rpc = Rpc::named(rpc);
    let of_ann = own.caller.call(&rpc, of_ann).await;
    let unknown = own.caller.call(&rpc, unknown).await;
    assert_eq!(of_ann.reason, wanted.name(), "{}: {of_ann:?}", rpc.path);
    assert_eq!(unknown.reason, wanted.name(), "{}: {unknown:?}", rpc.path);
}

#[tokio::test]
async fn names_mean_nothing_to_others() {
    let town = Town::new().await;
    for own in [&town.bob, &town.carl] {
        let session_id = || own.ids.get("session_id").to_owned();
        let delete = |name: &str| {
            framed(&DeleteSecretRequest {
                session_id: session_id(),
                name: name.to_owned(),
                ..Default::default()
            })
        };
        let missing = Reason::SecretNotFound;
        alike(
            own,
            "DeleteSecret",
            delete(&town.ann.secret),
            delete("NEVER"),
            missing,
        )
        .await;
        let exec = |name: &str| {
            framed(&ExecRequest {
                session_id: session_id(),
                sandbox_id: own.ids.get("sandbox_id").to_owned(),
                command: "print x".to_owned(),
                secret_env: [("X".to_owned(), name.to_owned())].into(),
                ..Default::default()
            })
        };
        for rpc in ["Exec", "RunCommand", "StartExecution"] {
            alike(own, rpc, exec(&town.ann.secret), exec("NEVER"), missing).await;
        }
    }
}

#[tokio::test]
async fn a_connection_is_its_users_own() {
    let town = Town::new().await;
    let before = town.state_of_ann().await;
    let provider = || "github".to_owned();
    let carl = &town.carl.caller;
    for _ in 0..2 {
        let request = DeleteConnectionRequest {
            provider: provider(),
            allow_missing: true,
            ..Default::default()
        };
        let _: sandgate_proto::v1::DeleteConnectionResponse =
            carl.ok("DeleteConnection", &request).await;
    }
    let get = GetConnectionRequest {
        provider: provider(),
        ..Default::default()
    };
    let of_carl: GetConnectionResponse = carl.ok("GetConnection", &get).await;
    assert!(!of_carl.connection.unwrap().api_key_set);
    let of_bob: GetConnectionResponse = town.bob.caller.ok("GetConnection", &get).await;
    assert_eq!(of_bob.connection.unwrap().user_id, "bob");
    assert_eq!(town.state_of_ann().await, before);
}

#[tokio::test]
async fn a_request_id_of_anothers_repeats_nothing() {
    let town = Town::new().await;
    for own in [&town.bob, &town.carl] {
        let request = CreateSessionRequest {
            request_id: town.ann.request_id.clone(),
            ..Default::default()
        };
        let made: CreateSessionResponse = own.caller.ok("CreateSession", &request).await;
        assert!(!made.replayed);
        let session = made.session.unwrap();
        assert_ne!(session.session_id, town.ann.ids.get("session_id"));
        assert_eq!(
            (session.org_id.as_str(), session.user_id.as_str()),
            (own.org, own.user)
        );
    }
    // One of a call whose answers the gateway keeps by itself.
    let (rpc, request_id) = (Rpc::named("UpdateSession"), uuid());
    for own in [&town.ann, &town.bob, &town.carl] {
        let ids = own.ids.clone().with("request_id", &request_id);
        let answer = own
            .caller
            .call(&rpc, rpc.request(&Words::default(), &ids))
            .await;
        assert!(answer.is_fine(), "{}: {answer:?}", own.user);
        let others = [&town.ann, &town.bob, &town.carl]
            .into_iter()
            .filter(|other| other.user != own.user);
        for other in others {
            assert!(
                answer.told(&other.marks).is_none(),
                "{}: {answer:?}",
                own.user
            );
        }
    }
}

#[tokio::test]
async fn a_page_token_of_anothers_is_refused() {
    let town = Town::new().await;
    let made: CreateSessionResponse = town
        .ann
        .caller
        .ok("CreateSession", &CreateSessionRequest::default())
        .await;
    drop(made);
    let mut list = ListSessionsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page: ListSessionsResponse = town.ann.caller.ok("ListSessions", &list).await;
    assert!(!page.next_page_token.is_empty());
    list.page_token = page.next_page_token;
    let next: ListSessionsResponse = town.ann.caller.ok("ListSessions", &list).await;
    assert_eq!(next.sessions.len(), 1);
    for own in [&town.bob, &town.carl] {
        let answer = own
            .caller
            .call(&Rpc::named("ListSessions"), framed(&list))
            .await;
        assert_eq!(answer.reason, Reason::InvalidField.name(), "{answer:?}");
    }
}
