//! Sessions: made again, changed, deleted while a provider is slow or down.

use std::time::Duration;

use prost_types::FieldMask;
use sandgate_gateway::Pace;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{
        CreateSessionRequest, DeleteSessionRequest, GetSessionRequest, SandboxSpec, Session,
        UpdateSessionRequest,
    },
};
use sandgate_system::{Act, Client, Fake, Op, Plan, World, assert_reason, eventually, fact, uuid};
use tonic::Status;

use crate::capabilities::{capability, refs};

/// A gateway that does not take its time.
pub(crate) fn quick() -> Plan {
    Plan {
        pace: Pace {
            interval: Duration::from_millis(50),
            first_retry: Duration::from_millis(100),
            delete_wait: Duration::from_millis(300),
            ..Pace::default()
        },
        ..Plan::default()
    }
}

/// GetSession.
pub(crate) async fn get(client: &Client, session_id: &str) -> Result<Session, Status> {
    let request = GetSessionRequest {
        session_id: session_id.to_owned(),
    };
    let found = client.sessions().get_session(request).await?.into_inner();
    Ok(found.session.unwrap())
}

/// UpdateSession.
pub(crate) async fn update(
    client: &Client,
    request: UpdateSessionRequest,
) -> Result<Session, Status> {
    let changed = client.sessions().update_session(request).await?;
    Ok(changed.into_inner().session.unwrap())
}

async fn delete(client: &Client, session_id: &str) -> Vec<String> {
    let request = DeleteSessionRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let gone = client.sessions().delete_session(request).await.unwrap();
    gone.into_inner().pending_sandbox_ids
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Some(FieldMask { paths })
}

#[tokio::test]
async fn it_is_changed_field_by_field() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let first = get(&client, &session_id).await.unwrap();
    let change = UpdateSessionRequest {
        session_id: session_id.clone(),
        if_match: first.etag.clone(),
        title: "Mine".to_owned(),
        labels: [("team".to_owned(), "a".to_owned())].into(),
        default_sandbox: Some(SandboxSpec {
            title: "next".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let changed = update(&client, change.clone()).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.labels.len()), ("Mine", 1));
    assert_eq!(changed.capabilities, first.capabilities);
    assert_eq!(get(&client, &session_id).await.unwrap(), changed);
    let refused = update(&client, change.clone()).await.unwrap_err();
    assert_reason(&refused, Reason::EtagMismatch, "read it again");

    client.exec(&session_id, "", "print x").await.unwrap();
    let made = &world.fake.calls(Op::Create)[0];
    assert_eq!(made.spec.as_ref().unwrap().title, "next");

    let clear = UpdateSessionRequest {
        session_id: session_id.clone(),
        update_mask: mask(&["labels", "default_sandbox"]),
        title: "Not named".to_owned(),
        ..Default::default()
    };
    let cleared = update(&client, clear.clone()).await.unwrap();
    assert_eq!((cleared.title.as_str(), cleared.labels.len()), ("Mine", 0));
    assert_eq!(cleared.default_sandbox, None);
    // Changing nothing is no change.
    assert_eq!(update(&client, clear.clone()).await.unwrap(), cleared);
    let wrong = UpdateSessionRequest {
        update_mask: mask(&["org_id"]),
        ..clear
    };
    let refused = update(&client, wrong).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "update_mask");
}

#[tokio::test]
async fn its_default_sandbox_is_shown_while_it_lives() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    let shown = async || get(&client, &session_id).await.unwrap().default_sandbox_id;
    assert_eq!(shown().await, "");
    let made = client.exec(&session_id, "", "print x").await.unwrap();
    assert_eq!(shown().await, made.sandbox_id);
    client.delete(&session_id, &made.sandbox_id).await.unwrap();
    assert_eq!(shown().await, "");
}

#[tokio::test]
async fn a_capability_that_is_taken_away_blocks_its_sandboxes() {
    let plan = Plan {
        also: vec!["e2b"],
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let client = world.client().await;
    let request = CreateSessionRequest {
        capabilities: vec![capability(Fake::ID)],
        ..Default::default()
    };
    let made = client.sessions().create_session(request).await.unwrap();
    let session_id = made.into_inner().session.unwrap().session_id;
    let sandbox_id = client.sandbox(&session_id).await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let change = UpdateSessionRequest {
        session_id: session_id.clone(),
        capabilities: vec![capability("e2b")],
        ..Default::default()
    };
    let changed = update(&client, change.clone()).await.unwrap();
    assert_eq!(refs(&changed.capabilities), ["e2b", "session_storage"]);
    let refused = client.exec(&session_id, &sandbox_id, "print x").await;
    let refused = refused.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "UpdateSession");
    assert_eq!(fact(&refused, "capability").as_deref(), Some("fake"));
    client.stop(&session_id, &sandbox_id).await.unwrap();
    let refused = client.start(&session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "UpdateSession");
    let back = UpdateSessionRequest {
        capabilities: vec![capability(Fake::ID)],
        ..change.clone()
    };
    update(&client, back).await.unwrap();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    update(&client, change).await.unwrap();
    client.delete(&session_id, &sandbox_id).await.unwrap();
    assert!(world.fake.sandboxes().is_empty());
}

#[tokio::test]
async fn of_changes_at_once_none_is_lost() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let first = get(&client, &session_id).await.unwrap();
    let changes = (0..2).map(|number| UpdateSessionRequest {
        session_id: session_id.clone(),
        if_match: first.etag.clone(),
        title: format!("title {number}"),
        ..Default::default()
    });
    let made = futures::future::join_all(changes.map(|change| update(&client, change))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    let title = UpdateSessionRequest {
        session_id: session_id.clone(),
        title: "both".to_owned(),
        ..Default::default()
    };
    let labels = UpdateSessionRequest {
        session_id: session_id.clone(),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let (title, labels) = tokio::join!(update(&client, title), update(&client, labels));
    title.unwrap();
    labels.unwrap();
    let seen = get(&client, &session_id).await.unwrap();
    assert_eq!((seen.title.as_str(), seen.labels.len()), ("both", 1));
}

#[tokio::test]
async fn an_id_of_a_deleted_session_is_not_given_again() {
    let world = World::start().await;
    let client = world.client().await;
    let request = CreateSessionRequest {
        session_id: uuid(),
        ..Default::default()
    };
    client
        .sessions()
        .create_session(request.clone())
        .await
        .unwrap();
    delete(&client, &request.session_id).await;
    let refused = client.sessions().create_session(request).await.unwrap_err();
    assert_reason(&refused, Reason::SessionIdReused, "choose another");
}

#[tokio::test]
async fn a_provider_that_hangs_does_not_keep_a_session() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    world.fake.set(Op::Delete, Act::Hang);
    let deleting = tokio::spawn({
        let (client, session_id) = (client.clone(), session_id.clone());
        async move { delete(&client, &session_id).await }
    });
    eventually("the provider is asked", || {
        world.fake.pending(Op::Delete) == 1
    })
    .await;
    let refused = get(&client, &session_id).await.unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    let refused = client.exec(&session_id, &sandbox_id, "print x").await;
    assert_reason(
        &refused.unwrap_err(),
        Reason::SessionNotFound,
        "CreateSession",
    );
    assert_eq!(deleting.await.unwrap(), [sandbox_id]);
    assert_eq!(world.fake.pending(Op::Delete), 1, "the work was given up");
    world.fake.mend(Op::Delete);
    eventually("it is gone", || world.fake.sandboxes().is_empty()).await;
    assert_eq!(world.fake.count(Op::Delete), 1);
}

#[tokio::test]
async fn a_lost_client_does_not_end_a_delete() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    world.fake.set(Op::Delete, Act::Hang);
    let lost = world.client().await;
    let call = tokio::spawn(async move { delete(&lost, &session_id).await });
    eventually("the provider is asked", || {
        world.fake.pending(Op::Delete) == 1
    })
    .await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    world.fake.mend(Op::Delete);
    eventually("it is gone", || world.fake.sandboxes().is_empty()).await;
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let down = Kind::Unavailable(Outcome::Ambiguous);
    world.fake.set(Op::Delete, Act::Fail(down));
    assert_eq!(delete(&client, &session_id).await, [sandbox_id]);
    eventually("it is tried again", || world.fake.count(Op::Delete) >= 3).await;
    world.fake.mend(Op::Delete);
    eventually("it is gone", || world.fake.sandboxes().is_empty()).await;
    let asked = world.fake.count(Op::Delete);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.fake.count(Op::Delete), asked, "the work does not end");
}

#[tokio::test]
async fn what_was_left_is_cleaned_up_after_a_restart() {
    let world = World::with(quick()).await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    let down = Kind::Unavailable(Outcome::Ambiguous);
    world.fake.set(Op::Delete, Act::Fail(down));
    delete(&client, &session_id).await;
    let world = world.restarted(Duration::from_secs(1)).await;
    assert_eq!(world.fake.sandboxes().len(), 1);
    world.fake.mend(Op::Delete);
    eventually("it is gone", || world.fake.sandboxes().is_empty()).await;
}
