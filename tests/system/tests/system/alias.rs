//! Second names of sandboxes.

use sandgate_proto::{Reason, v1::CreateSandboxRequest};
use sandgate_system::{World, assert_reason, fact};

fn named(session_id: &str, sandbox_id: &str, alias: &str) -> CreateSandboxRequest {
    CreateSandboxRequest {
        session_id: session_id.to_owned(),
        sandbox_id: sandbox_id.to_owned(),
        alias: alias.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_sandbox_answers_to_its_alias() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    for (request, alias) in [
        (named(&session_id, "", "build"), "@build"),
        (named(&session_id, "@test", ""), "@test"),
        (named(&session_id, "@deploy", "deploy"), "@deploy"),
    ] {
        let made = client.create(request).await.unwrap().sandbox.unwrap();
        assert_eq!(format!("@{}", made.alias), alias);
        let found = client.get(&session_id, alias).await.unwrap();
        assert_eq!(found.sandbox_id, made.sandbox_id);
        let ran = client.exec(&session_id, alias, "print x").await.unwrap();
        assert_eq!(ran.sandbox_id, made.sandbox_id);
    }
}

#[tokio::test]
async fn an_alias_that_is_taken_is_refused_until_it_is_free() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let first = client
        .create(named(&session_id, "", "build"))
        .await
        .unwrap()
        .sandbox
        .unwrap();
    for again in [
        named(&session_id, "", "build"),
        named(&session_id, "@build", ""),
    ] {
        let refused = client.create(again).await.unwrap_err();
        assert_reason(&refused, Reason::AliasTaken, "choose another alias");
        assert_eq!(fact(&refused, "sandbox_id"), Some(first.sandbox_id.clone()));
    }
    let other_session = client.session().await;
    client
        .create(named(&other_session, "", "build"))
        .await
        .unwrap();
    client.delete(&session_id, "@build").await.unwrap();
    client
        .create(named(&session_id, "", "build"))
        .await
        .unwrap();
}

#[tokio::test]
async fn two_different_aliases_in_one_request_are_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let refused = client
        .create(named(&session_id, "@a", "b"))
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "alias");
}
