//! Whatever is left of a sandbox is shown, deleted and swept, however far its making came.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Socket;

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use sandgate_kit::{CallContext, Instance, Page, Provider as _, Spec};
use sandgate_proto::v1::SandboxState;
use support::{
    World, docker,
    fake::{Act, Fake},
    id, names,
};

/// What a gateway's sweep sees.
async fn seen(world: &World, after: &str, size: usize) -> Vec<Instance> {
    let mut sweep = world.context();
    sweep.owner.session_id.clear();
    sweep.sandbox_id.clear();
    let after = after.to_owned();
    world
        .provider
        .list(&sweep, Page { after, size })
        .await
        .unwrap()
}

fn labels(context: &CallContext) -> Vec<String> {
    let owner = &context.owner;
    [
        "managed-by=sandgate".to_owned(),
        format!("sandgate.gateway_id={}", owner.gateway_id),
        format!("sandgate.session_id={}", owner.session_id),
        format!("sandgate.sandbox_id={}", context.sandbox_id),
        "sandgate.generation=1".to_owned(),
    ]
    .into_iter()
    .flat_map(|label| ["--label".to_owned(), label])
    .collect()
}

fn make(what: &[&str], context: &CallContext, more: &[&str]) {
    let labels = labels(context);
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    docker(&[what, &labels, more].concat());
}

fn volumes(world: &World) -> String {
    let label = format!("label=sandgate.gateway_id={}", world.gateway_id);
    docker(&["volume", "ls", "-q", "--filter", &label])
}

/// A folder as a provider makes it before the container.
fn slot(world: &World, context: &CallContext, name: &str) {
    let folder = world.data.path().join("container/run").join(name);
    fs::create_dir_all(folder.join("socket")).unwrap();
    fs::write(folder.join("engine"), docker(&["info", "-f", "{{.ID}}"])).unwrap();
    let labels: std::collections::BTreeMap<String, String> = labels(context)
        .chunks(2)
        .map(|pair| pair[1].split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    fs::write(
        folder.join("labels"),
        serde_json::to_string(&labels).unwrap(),
    )
    .unwrap();
}

/// One of each kind: a network with a volume, a volume, a folder, and a container that was never
/// started. The last is its id.
fn parts(world: &World) -> (Vec<CallContext>, String) {
    let contexts: Vec<_> = (0..4).map(|_| world.context()).collect();
    let name = format!("t{}", &id()[..8]);
    make(&["network", "create"], &contexts[0], &[&name]);
    make(&["volume", "create"], &contexts[0], &[&name]);
    make(&["volume", "create"], &contexts[1], &[&format!("{name}v")]);
    slot(world, &contexts[2], &name);
    let image = support::image();
    make(
        &["create"],
        &contexts[3],
        &["--name", &name, &image, "true"],
    );
    let created = contexts[3].sandbox_id.clone();
    (contexts, created)
}

fn ids(all: &[Instance]) -> Vec<&str> {
    all.iter().map(|one| one.sandbox_id.as_str()).collect()
}

#[tokio::test]
async fn what_has_no_container_is_shown_once_in_order_and_can_be_deleted() {
    let world = World::new().await;
    let (alive, _) = world.sandbox().await;
    let (mut contexts, created) = parts(&world);
    contexts.push(alive.clone());
    contexts.sort_by(|one, other| one.sandbox_id.cmp(&other.sandbox_id));

    let all = seen(&world, "", 50).await;
    let wanted: Vec<_> = contexts.iter().map(|one| one.sandbox_id.as_str()).collect();
    assert_eq!(ids(&all), wanted);
    for one in &all {
        assert_eq!((&one.session_id, one.generation), (&world.session_id, 1));
        assert!(one.create_time.unwrap().elapsed().unwrap() < Duration::from_secs(600));
        let (state, reason) = match &one.sandbox_id {
            id if *id == alive.sandbox_id => (SandboxState::Running, None),
            id if *id == created => (SandboxState::Creating, None),
            _ => (SandboxState::Failed, Some("REMAINS")),
        };
        assert_eq!(one.state, state);
        assert_eq!(one.reason.as_ref().map(|(code, _)| *code), reason);
    }
    assert_eq!(ids(&seen(&world, wanted[1], 2).await), wanted[2..4]);
    // A session sees its containers only.
    let page = Page {
        after: String::new(),
        size: 50,
    };
    let own = world.provider.list(&alive, page).await.unwrap();
    assert_eq!(own.len(), 2);

    // A sweep takes nothing that a gateway can ask for, nor what is young.
    world.provider.sweep().await.unwrap();
    assert_eq!(seen(&world, "", 50).await.len(), 5);
    for context in &contexts {
        world.provider.delete(context).await.unwrap();
        world.provider.delete(context).await.unwrap();
    }
    assert!(seen(&world, "", 50).await.is_empty());
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert_eq!(volumes(&world), "");
    assert_eq!(world.folders(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_removes_old_folders_without_a_container_and_leaves_young_ones() {
    let world = World::new().await;
    let (alive, _) = world.sandbox().await;
    let context = world.context();
    let used = world.folders();
    for name in ["old", "young"] {
        slot(&world, &context, name);
    }
    let run = world.data.path().join("container/run");
    let owners = world.data.path().join("container/owners");
    let past = SystemTime::now() - Duration::from_secs(660);
    let age = |path| File::open(path).unwrap().set_modified(past).unwrap();
    for name in ["old"].into_iter().chain(used.iter().map(String::as_str)) {
        age(run.join(name));
    }
    fs::write(owners.join(".draft"), "{").unwrap();
    age(owners.join(".draft"));
    world.provider.sweep().await.unwrap();
    let mut left = world.folders();
    left.retain(|name| !used.contains(name));
    assert_eq!(left, ["young"]);
    assert_eq!(names(&owners), Vec::<String>::new());
    assert_eq!(world.sh(&alive, "echo on").await.text(), "on\n");
    world.provider.delete(&alive).await.unwrap();
    world.provider.delete(&context).await.unwrap();
    assert_eq!(world.folders(), Vec::<String>::new());
}

/// An owner's file without a container, as a killed provider leaves it while it deletes; and one
/// whose container has not got its name, as it is left while one is handed out.
#[tokio::test]
async fn one_that_was_half_handed_out_is_shown_and_deleted() {
    let world = World::new().await;
    let engine = docker(&["info", "-f", "{{.ID}}"]);
    let name = format!("sandgate-pool-t{}", &id()[..8]);
    let network = format!("{name}-net");
    let pool = [
        "--label",
        "managed-by=sandgate",
        "--label",
        "sandgate.pool=t",
    ];
    docker(&[&["network", "create"], &pool[..], &[&network]].concat());
    let network = docker(&["network", "inspect", "-f", "{{.Id}}", &network]);
    let image = support::image();
    let create = ["create", "--name", &name, "--network", &network];
    let container = docker(&[&create, &pool[..], &[&image, "true"]].concat());
    let contexts = [world.context(), world.context()];
    for (context, container, network) in [
        (&contexts[0], container.as_str(), network.as_str()),
        (&contexts[1], &"0".repeat(64), ""),
    ] {
        let labels: serde_json::Map<String, serde_json::Value> = labels(context)
            .chunks(2)
            .map(|pair| pair[1].split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let owner = serde_json::json!({
            "engine": engine, "container": container, "network": network,
            "slot": format!("slot-{}", context.sandbox_id), "labels": labels,
        });
        let file = format!("container/owners/sandgate-{}", context.sandbox_id);
        fs::write(world.data.path().join(file), owner.to_string()).unwrap();
    }
    let all = seen(&world, "", 50).await;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one.state == SandboxState::Failed));
    for context in &contexts {
        world.provider.delete(context).await.unwrap();
    }
    assert!(seen(&world, "", 50).await.is_empty());
    assert!(support::try_docker(&["inspect", &container]).is_err());
    assert!(support::try_docker(&["network", "inspect", &network]).is_err());
    let owners = world.data.path().join("container/owners");
    assert_eq!(names(&owners), Vec::<String>::new());
}

/// What is being made has no container yet, and is no remains.
#[tokio::test(start_paused = true)]
async fn what_is_in_the_making_is_not_shown() {
    let context = {
        let mut context =
            CallContext::from(sandgate_proto::provider::v1::ProviderContext::default());
        context.owner.gateway_id = "g".into();
        context.sandbox_id = id();
        context
    };
    let network = format!(
        r#"[{{"Id":"n1","Name":"n","Labels":{{"sandgate.gateway_id":"g","sandgate.sandbox_id":"{}"}}}}]"#,
        context.sandbox_id
    );
    let fake = Fake::start(vec![
        ("GET", "/networks?", Act::Answer(200, network)),
        ("POST", "/containers/create?name", Act::Hang),
    ]);
    let provider = fake.provider().await;
    let mut sweep = context.clone();
    sweep.sandbox_id.clear();
    let page = || Page {
        after: String::new(),
        size: 9,
    };
    let create = Box::pin(provider.create(&context, Spec::default()));
    let look = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(provider.list(&sweep, page()).await.unwrap().is_empty());
    };
    let (created, ()) = tokio::join!(create, look);
    assert!(created.is_err());
    assert_eq!(provider.list(&sweep, page()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_old_lookers_and_networks_that_are_nobodys() {
    let network = |id: &str, created: &str, sandbox: &str| {
        format!(
            r#"{{"Id":"{id}","Name":"{id}-name","Created":"{created}","Labels":{{"managed-by":"sandgate"{sandbox}}}}}"#
        )
    };
    let (old, young) = ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    let networks = [
        network("unused", old, ""),
        network("sandboxs", old, r#","sandgate.sandbox_id":"s""#),
        network("wanted", old, ""),
        network("joined", old, ""),
        network("young", young, ""),
    ];
    let looker = |id: &str, made: u64| format!(r#"{{"Id":"{id}","Created":{made}}}"#);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let lookers = [looker("c1", 1), looker("c2", now.unwrap().as_secs())];
    let users = r#"[{"Id":"u1","HostConfig":{"NetworkMode":"wanted"}},
        {"Id":"u2","NetworkSettings":{"Networks":{"joined-name":{}}}}]"#;
    let fake = Fake::start(vec![
        (
            "GET",
            "/networks",
            Act::Answer(200, format!("[{}]", networks.join(","))),
        ),
        // Those that an earlier life of the provider left.
        ("GET", "sandgate.look%3D", Act::Answer(200, "[]".into())),
        (
            "GET",
            "sandgate.look",
            Act::Answer(200, format!("[{}]", lookers.join(","))),
        ),
        ("GET", "/containers/json", Act::Answer(200, users.into())),
        ("DELETE", "/containers/c1", Act::Answer(500, String::new())),
    ]);
    // One that cannot be removed keeps nothing else from it.
    fake.provider().await.sweep().await.unwrap_err();
    let mut removed = fake.seen();
    removed.retain(|request| request.starts_with("DELETE"));
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(removed[0].starts_with("DELETE /containers/c1?"));
    assert!(removed[1].starts_with("DELETE /networks/unused"));
}
