//! Sandboxes made ahead, on a real engine: each is used once, and none is left.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use sandgate_kit::{Kind, Page, Provider as _, Spec};
use sandgate_proto::v1::SandboxState;
use sandgate_provider_container::{Container, Transport};
use support::{World, docker, id, inspect, know, names};
use tokio::time::sleep;

const TRANSPORT: Transport = Transport::Auto;
/// Longer than a pool takes to be full on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A world with names that nobody else has, so that its pool can be told from others.
struct Pooled {
    world: World,
    prefix: String,
}

impl Pooled {
    async fn new(pool: &str) -> Self {
        let prefix = format!("t{}", &id()[..8]);
        let world = World::with(|config| {
            config.name_prefix.clone_from(&prefix);
            config.pool = pool.parse().unwrap();
        });
        let world = world.await;
        Self { world, prefix }
    }

    fn waiting(&self) -> usize {
        waiting(&self.prefix)
    }

    async fn full(&self, number: usize) {
        full(&self.prefix, number).await;
    }

    /// Ends the pool, and sees that nothing is left of it.
    async fn end(self) {
        self.world.provider.close().await;
        nothing_left(&self.prefix, self.world.data.path());
    }
}

fn all(prefix: &str, kind: &[&str]) -> Vec<String> {
    let label = format!("label=managed-by={prefix}");
    let listed = docker(&[kind, &["--filter", &label, "--format", "{{.ID}}"]].concat());
    listed.lines().map(str::to_owned).collect()
}

fn containers(prefix: &str) -> Vec<String> {
    all(prefix, &["ps", "-a", "--no-trunc"])
}

fn waiting(prefix: &str) -> usize {
    let label = format!("label=managed-by={prefix}");
    let name = format!("name={prefix}-pool-");
    let filters = ["ps", "-q", "--filter", &label, "--filter", &name];
    docker(&filters).lines().count()
}

/// Waits until so many can be handed out: they run, and their runners listen.
async fn full(prefix: &str, number: usize) {
    let end = Instant::now() + PATIENCE;
    while waiting(prefix) < number {
        assert!(Instant::now() < end, "{} of {number}", waiting(prefix));
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(300)).await;
}

fn nothing_left(prefix: &str, data: &Path) {
    assert_eq!(containers(prefix), Vec::<String>::new());
    assert_eq!(all(prefix, &["network", "ls"]), Vec::<String>::new());
    for folder in ["run", "owners"] {
        let left = names(&data.join("container").join(folder));
        assert_eq!(left, Vec::<String>::new(), "{folder}");
    }
    for root in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/freezer",
    ] {
        // Fails unless it is empty.
        let folder = Path::new(root).join(prefix);
        assert!(
            !folder.exists() || std::fs::remove_dir(&folder).is_ok(),
            "{folder:?}"
        );
    }
}

#[tokio::test]
async fn none_is_used_twice_by_twenty_at_once() {
    let pooled = Pooled::new("5").await;
    pooled.full(5).await;
    let ahead: HashSet<String> = containers(&pooled.prefix).into_iter().collect();
    let world = &pooled.world;
    let mut contexts: Vec<_> = (0..20).map(|_| world.context()).collect();
    let making = contexts
        .iter()
        .map(|context| world.provider.create(context, Spec::default()));
    let made: Vec<_> = join_all(making)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let ids: HashSet<_> = made
        .iter()
        .map(|one| one.provider_sandbox_id.clone())
        .collect();
    assert_eq!(ids.len(), 20);
    assert!(ahead.is_subset(&ids), "all five were used");
    for (context, made) in contexts.iter_mut().zip(&made) {
        know(context, made);
        assert_eq!(made.sandbox_id, context.sandbox_id);
        let name = &context.sandbox_id;
        let seen = world
            .sh(context, &format!("echo {name} > /tmp/mine; cat /tmp/mine"))
            .await;
        assert_eq!(seen.text(), format!("{name}\n"));
    }
    let page = Page {
        after: String::new(),
        size: 100,
    };
    let listed = world.provider.list(&contexts[0], page).await.unwrap();
    let listed: HashSet<_> = listed
        .into_iter()
        .map(|one| one.provider_sandbox_id)
        .collect();
    assert_eq!(listed, ids);
    for deleted in join_all(
        contexts
            .iter()
            .map(|context| world.provider.delete(context)),
    )
    .await
    {
        deleted.unwrap();
    }
    pooled.full(5).await;
    pooled.end().await;
}

#[tokio::test]
async fn one_that_was_made_ahead_lives_like_any_other() {
    let pooled = Pooled::new("1").await;
    pooled.full(1).await;
    let ahead = containers(&pooled.prefix);
    let world = &pooled.world;
    let labels = [("team".to_owned(), "a".to_owned())];
    let spec = Spec {
        labels: labels.into(),
        title: "mine".into(),
        ..Spec::default()
    };
    let (context, made) = world.sandbox_of(spec.clone()).await;
    assert_eq!(ahead.concat(), made.provider_sandbox_id);
    assert_eq!(made.home_path, "/root");
    assert_eq!(made.session_id, world.session_id);
    assert_eq!((made.generation, made.state), (1, SandboxState::Running));
    // Another one, in its place.
    pooled.full(1).await;
    let again = world.provider.create(&context, spec).await.unwrap();
    assert_eq!(again.provider_sandbox_id, made.provider_sandbox_id);
    for change in [
        (|other| other.owner.session_id = id()) as fn(&mut sandgate_kit::CallContext),
        |other| other.owner.gateway_id = id(),
        |other| other.generation = 2,
    ] {
        let mut other = context.clone();
        change(&mut other);
        for known in [true, false] {
            if !known {
                other.provider_sandbox_id.clear();
            }
            let error = world.provider.get(&other).await.err().unwrap();
            assert_eq!(*error.kind(), Kind::SandboxGone);
            world.provider.delete(&other).await.unwrap();
        }
    }
    let mut unknown = context.clone();
    unknown.provider_sandbox_id.clear();
    let found = world.provider.get(&unknown).await.unwrap();
    assert_eq!(found.provider_sandbox_id, made.provider_sandbox_id);
    assert_eq!(world.sh(&context, "echo kept > note").await.code(), 0);
    world.provider.stop(&context).await.unwrap();
    world.provider.start(&context).await.unwrap();
    assert_eq!(world.sh(&context, "cat note").await.text(), "kept\n");
    world.provider.delete(&context).await.unwrap();
    let error = world.provider.get(&context).await.err().unwrap();
    assert_eq!(*error.kind(), Kind::SandboxGone);
    pooled.end().await;
}

#[tokio::test]
async fn what_differs_is_made_for_itself() {
    let pooled = Pooled::new("1").await;
    pooled.full(1).await;
    let world = &pooled.world;
    let env = Spec {
        env: [("A".to_owned(), "b".to_owned())].into(),
        ..Spec::default()
    };
    let user = Spec {
        user: "daemon".into(),
        ..Spec::default()
    };
    let network = Spec {
        network: sandgate_kit::Network::None,
        ..Spec::default()
    };
    for spec in [env, user, network] {
        let (context, _) = world.sandbox_of(spec).await;
        assert_eq!(pooled.waiting(), 1);
        world.provider.delete(&context).await.unwrap();
    }
    // Somebody took it away: the sandbox is made all the same.
    docker(&["rm", "-fv", &containers(&pooled.prefix)[0]]);
    let (context, _) = world.sandbox().await;
    assert_eq!(world.sh(&context, "echo in").await.text(), "in\n");
    world.provider.delete(&context).await.unwrap();
    pooled.end().await;
}

#[tokio::test]
async fn from_the_pool_it_is_much_faster() {
    const TIMES: u32 = 5;
    let pooled = Pooled::new("5").await;
    pooled.full(5).await;
    let world = &pooled.world;
    let mut contexts = Vec::new();
    let mut time = |spec: Spec| {
        let context = world.context();
        contexts.push(context.clone());
        async move {
            let begun = Instant::now();
            world.provider.create(&context, spec).await.unwrap();
            begun.elapsed()
        }
    };
    let mut warm = Vec::new();
    for _ in 0..TIMES {
        warm.push(time(Spec::default()).await);
    }
    // Not while the pool is being filled again.
    pooled.full(5).await;
    let mut cold = Vec::new();
    for number in 0..TIMES {
        let env = [("N".to_owned(), number.to_string())].into();
        cold.push(
            time(Spec {
                env,
                ..Spec::default()
            })
            .await,
        );
    }
    warm.sort();
    cold.sort();
    println!("from the pool: {warm:?}\ncold: {cold:?}");
    for context in &contexts {
        world.provider.delete(context).await.unwrap();
    }
    pooled.end().await;
    let middle = |times: &[Duration]| times[times.len() / 2];
    let (warm, cold) = (middle(&warm), middle(&cold));
    // How much faster is for the benchmark to say: here others share the processors.
    assert!(warm * 4 < cold, "{warm:?} from the pool, {cold:?} without");
}

/// The program, with a pool.
struct Program {
    child: Child,
    prefix: String,
}

impl Program {
    fn start(prefix: &str, data: &Path, pool: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sandgate-provider-container"))
            .args(["--listen", "127.0.0.1:0", "--image", &support::image()])
            .env("SANDGATE_DATA_DIR", data)
            .env("SANDGATE_NAME_PREFIX", prefix)
            .env("SANDGATE_CONTAINER_POOL", pool)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.contains("ready on"), "{line}");
        Self {
            child,
            prefix: prefix.to_owned(),
        }
    }

    fn end(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for id in containers(&self.prefix) {
                docker(&["rm", "-fv", &id]);
            }
        }
    }
}

#[tokio::test]
async fn a_killed_provider_leaves_nothing_past_its_next_start_and_an_ended_one_nothing_at_all() {
    let data = tempfile::tempdir().unwrap();
    let prefix = format!("t{}", &id()[..8]);
    let program = Program::start(&prefix, data.path(), "3");
    full(&prefix, 3).await;
    program.end("-KILL");
    assert_eq!(waiting(&prefix), 3);
    let left = containers(&prefix);
    let program = Program::start(&prefix, data.path(), "2");
    full(&prefix, 2).await;
    let fresh = containers(&prefix);
    assert!(fresh.iter().all(|id| !left.contains(id)), "{fresh:?}");
    assert_eq!(fresh.len(), 2);
    // A second one on the same folder keeps its hands off.
    let config = sandgate_provider_container::Config {
        name_prefix: prefix.clone(),
        pool: "2".parse().unwrap(),
        ..support::config(data.path())
    };
    let second = Container::connect(config).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(containers(&prefix), fresh);
    second.close().await;
    assert_eq!(containers(&prefix), fresh);
    let networks = inspect(&fresh[0], "{{.HostConfig.NetworkMode}}");
    assert_eq!(networks.len(), 64);
    program.end("-TERM");
    nothing_left(&prefix, data.path());
}
