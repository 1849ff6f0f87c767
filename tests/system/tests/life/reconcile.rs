//! ReconcileProvider: what store and upstream differ in, said and put right.

use std::time::{Duration, SystemTime};

use futures::future::join;
use sandgate_gateway::{Clock, Pace};
use sandgate_kit::Instance;
use sandgate_proto::{
    Reason,
    v1::{ReconcileProviderRequest, ReconcileProviderResponse, SandboxState},
};
use sandgate_system::{Act, Client, Fake, Op, Plan, World, assert_reason, eventually, uuid};
use tonic::Status;

use crate::calls::Named;

/// More than the time after which what is unknown or missing counts.
const OLD: Duration = Duration::from_secs(120);

pub(crate) async fn reconcile(
    client: &Client,
    provider: &str,
    dry_run: bool,
) -> Result<ReconcileProviderResponse, Status> {
    let request = ReconcileProviderRequest {
        provider: provider.to_owned(),
        dry_run,
        ..Default::default()
    };
    Ok(client
        .admin()
        .reconcile_provider(request)
        .await?
        .into_inner())
}

/// What is said of each sandbox.
pub(crate) fn actions(answer: &ReconcileProviderResponse) -> Vec<(&str, &str)> {
    assert_eq!(answer.actions_count, answer.actions.len() as u64);
    let mut all = Vec::new();
    for one in &answer.actions {
        let why = one.reason.as_ref().unwrap();
        assert!(!why.code.is_empty() && !why.message.is_empty(), "{one:?}");
        assert_eq!(one.error, None, "{one:?}");
        all.push((one.sandbox_id.as_str(), one.action.as_str()));
    }
    all.sort_unstable();
    all
}

/// What is said, in a dry run and then in truth.
async fn said(client: &Client) -> Vec<(String, String)> {
    let dry = reconcile(client, Fake::ID, true).await.unwrap();
    assert!(dry.dry_run);
    let done = reconcile(client, Fake::ID, false).await.unwrap();
    assert!(!done.dry_run);
    assert_eq!(actions(&dry), actions(&done));
    assert_eq!(dry.examined, done.examined);
    let owned = |(id, name): (&str, &str)| (id.to_owned(), name.to_owned());
    actions(&done).into_iter().map(owned).collect()
}

pub(crate) fn stranger(session_id: &str, age: Duration) -> Instance {
    let sandbox_id = uuid();
    let made = SystemTime::now() - age;
    Instance {
        session_id: session_id.to_owned(),
        provider_sandbox_id: format!("fake-{sandbox_id}"),
        sandbox_id,
        instance_id: String::new(),
        state: SandboxState::Running,
        reason: None,
        generation: 1,
        workspace_path: "/workspace".to_owned(),
        home_path: "/root".to_owned(),
        create_time: Some(made),
        start_time: Some(made),
        expire_time: None,
        state_data: "s".into(),
    }
}

fn by_hand() -> (Clock, Plan) {
    let clock = Clock::manual();
    let plan = Plan {
        clock: clock.clone(),
        ..Plan::default()
    };
    (clock, plan)
}

#[tokio::test]
async fn strangers_are_adopted_deleted_or_waited_for() {
    let (_clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let known = Named::running(&client).await;
    let adopted = stranger(&known.session_id, OLD);
    let orphan = stranger(&uuid(), OLD);
    let young = stranger(&known.session_id, Duration::from_secs(1));
    let mut wanted = [
        (&adopted.sandbox_id, "ADOPT"),
        (&orphan.sandbox_id, "DELETE"),
        (&young.sandbox_id, "WAIT"),
    ];
    wanted.sort_unstable();
    for one in [&adopted, &orphan, &young] {
        world.fake.add((*one).clone());
    }
    let before = world.fake.sandboxes();
    let dry = reconcile(&client, Fake::ID, true).await.unwrap();
    assert_eq!(dry.examined, 4);
    assert_eq!(
        world.fake.sandboxes(),
        before,
        "a dry run changed something"
    );
    let missing = client.get(&known.session_id, &adopted.sandbox_id).await;
    assert_reason(&missing.unwrap_err(), Reason::SandboxNotFound, "");
    let said = said(&client).await;
    let said: Vec<_> = said.iter().map(|(id, name)| (id, name.as_str())).collect();
    assert_eq!(said, wanted);
    assert!(!world.fake.sandboxes().contains(&orphan.sandbox_id));
    assert!(world.fake.sandboxes().contains(&young.sandbox_id));
    let taken_in = Named {
        sandbox_id: adopted.sandbox_id.clone(),
        ..known.clone()
    };
    let seen = taken_in.get().await.unwrap();
    assert_eq!(seen.state(), SandboxState::Running);
    assert!(seen.lease_expire_time.is_some(), "it would stay for ever");
    assert_eq!(taken_in.exec("print x").await.unwrap(), b"x");
    assert_eq!(
        taken_in.stop().await.unwrap().state(),
        SandboxState::Stopped
    );
    taken_in.delete().await.unwrap();
    let after = reconcile(&client, Fake::ID, false).await.unwrap();
    assert_eq!(actions(&after), [(young.sandbox_id.as_str(), "WAIT")]);
}

#[tokio::test]
async fn an_adopted_one_that_nobody_uses_goes_by_its_lease() {
    let (clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let adopted = stranger(&client.session().await, OLD);
    world.fake.add(adopted.clone());
    reconcile(&client, Fake::ID, false).await.unwrap();
    for _ in 0..200 {
        clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
        if world.fake.sandboxes().is_empty() {
            return;
        }
    }
    panic!("it is there still");
}

#[tokio::test]
async fn one_that_was_deleted_here_and_is_back_upstream_is_deleted() {
    let (_clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let one = Named::running(&client).await;
    let mut zombie = world.fake.upstream(&one.sandbox_id).unwrap();
    one.delete().await.unwrap();
    zombie.create_time = Some(SystemTime::now() - OLD);
    world.fake.add(zombie);
    let said = said(&client).await;
    assert_eq!(said, [(one.sandbox_id.clone(), "DELETE".to_owned())]);
    assert!(world.fake.sandboxes().is_empty());
    assert!(self::said(&client).await.is_empty());
    assert_eq!(one.state().await, SandboxState::Deleted);
}

#[tokio::test]
async fn what_is_missing_counts_after_a_while() {
    let (clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let (one, there) = (Named::running(&client).await, Named::running(&client).await);
    let told = |name: &str| vec![(one.sandbox_id.clone(), name.to_owned())];
    world.fake.lose(&one.sandbox_id);
    assert!(said(&client).await.is_empty(), "it was only just made");
    clock.advance(Duration::from_secs(61));
    assert_eq!(said(&client).await, told("WAIT"));
    clock.advance(Duration::from_secs(30));
    assert_eq!(said(&client).await, told("WAIT"));
    clock.advance(Duration::from_secs(31));
    assert_eq!(said(&client).await, told("UPDATE_STATE"));
    let seen = one.get().await.unwrap();
    assert_eq!(seen.state(), SandboxState::Failed);
    assert!(seen.reason.unwrap().message.contains("make a new one"));
    assert_eq!(said(&client).await, told("MARK_DELETED"));
    assert_eq!(one.state().await, SandboxState::Deleted);
    assert!(said(&client).await.is_empty());
    assert_eq!(there.state().await, SandboxState::Running);
}

#[tokio::test]
async fn one_that_is_listed_again_was_never_missing() {
    let (clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let one = Named::running(&client).await;
    let instance = world.fake.upstream(&one.sandbox_id).unwrap();
    clock.advance(Duration::from_secs(61));
    world.fake.lose(&one.sandbox_id);
    assert_eq!(said(&client).await.len(), 1);
    world.fake.add(instance);
    assert!(said(&client).await.is_empty());
    world.fake.lose(&one.sandbox_id);
    clock.advance(Duration::from_secs(61));
    // The time begins anew.
    let told = [(one.sandbox_id.clone(), "WAIT".to_owned())];
    assert_eq!(said(&client).await, told);
}

#[tokio::test]
async fn another_state_upstream_is_taken_over() {
    let (_clock, plan) = by_hand();
    let world = World::with(plan).await;
    let client = world.client().await;
    let one = Named::running(&client).await;
    for state in [
        SandboxState::Stopped,
        SandboxState::Running,
        SandboxState::Paused,
    ] {
        world.fake.set_state(&one.sandbox_id, state);
        let told = [(one.sandbox_id.clone(), "UPDATE_STATE".to_owned())];
        assert_eq!(said(&client).await, told);
        assert!(said(&client).await.is_empty());
        assert_eq!(one.state().await, state);
    }
}

#[tokio::test]
async fn two_at_once_are_one_comparison() {
    // So slow by itself that the only comparison is the one at the start.
    let plan = Plan {
        pace: Pace {
            compare: Duration::from_secs(86_400),
            ..Pace::default()
        },
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let client = world.client().await;
    let fake = &world.fake;
    eventually("the one at the start", || fake.count(Op::List) == 1).await;
    eventually("it is over", || fake.pending(Op::List) == 0).await;
    // What it found is written after that.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fake.set(Op::List, Act::Hang);
    let both = async {
        join(
            reconcile(&client, Fake::ID, false),
            reconcile(&client, Fake::ID, false),
        )
        .await
    };
    let mend = async {
        eventually("it lists", || fake.pending(Op::List) == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(fake.pending(Op::List), 1);
        fake.mend(Op::List);
    };
    let ((first, second), ()) = join(both, mend).await;
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(fake.count(Op::List), 2);
}

#[tokio::test]
async fn it_is_for_operators_and_for_providers_that_are_there() {
    let (world, admin) = World::administered(Plan::default()).await;
    let mut client = world.client().await.admin();
    let ask = |provider: &str| ReconcileProviderRequest {
        provider: provider.to_owned(),
        dry_run: true,
        ..Default::default()
    };
    let reply = client.reconcile_provider(admin.request(ask(Fake::ID)));
    reply.await.unwrap();
    for provider in ["", "nobody"] {
        let reply = client.reconcile_provider(admin.request(ask(provider)));
        let refused = reply.await.unwrap_err();
        assert_reason(&refused, Reason::ProviderNotConfigured, "");
    }
    let user = admin.issue("ann", &["sandboxes.write"]).await;
    let anybody = admin.issue("bob", &[]).await;
    for caller in [&user, &anybody] {
        let reply = client.reconcile_provider(caller.request(ask(Fake::ID)));
        let refused = reply.await.unwrap_err();
        assert_reason(&refused, Reason::ScopeRequired, "admin");
    }
}
