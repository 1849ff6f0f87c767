//! The life of a sandbox on a real engine: made once, gone without a trace.

use crate::support::{World, docker, from_image, inspect};
use futures::future::join_all;
use sandgate_kit::{Kind, Limits, Provider as _, Spec};
use sandgate_proto::v1::{Placement, SandboxState};

#[tokio::test]
async fn a_sandbox_lives_stops_starts_and_is_gone() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    assert_eq!(made.state, SandboxState::Running);
    assert_eq!(
        (&made.sandbox_id, &made.session_id),
        (&context.sandbox_id, &world.session_id)
    );
    assert_eq!(
        (made.workspace_path.as_str(), made.home_path.as_str()),
        ("/workspace", "/root")
    );
    assert!(made.create_time.unwrap() <= made.start_time.unwrap());
    assert_eq!(
        world.sh(&context, "echo kept > note; pwd").await.text(),
        "/workspace\n"
    );

    let stopped = world.provider.stop(&context).await.unwrap();
    assert_eq!(stopped.state, SandboxState::Stopped);
    assert_eq!(
        world.provider.stop(&context).await.unwrap().state,
        SandboxState::Stopped
    );
    let error = world.provider.reach(&context).await.err().unwrap();
    assert_eq!(*error.kind(), Kind::NotRunning);

    let started = world.provider.start(&context).await.unwrap();
    assert_eq!(started.state, SandboxState::Running);
    assert_eq!(started.provider_sandbox_id, made.provider_sandbox_id);
    assert_eq!(
        world.provider.start(&context).await.unwrap().start_time,
        started.start_time
    );
    assert_eq!(
        world.sh(&context, "cat /workspace/note").await.text(),
        "kept\n"
    );

    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_is_gone_for_every_call() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    world.provider.delete(&context).await.unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
    world.provider.delete(&context).await.unwrap();
    for error in [
        world.provider.get(&context).await.err().unwrap(),
        world.provider.start(&context).await.err().unwrap(),
        world.provider.stop(&context).await.err().unwrap(),
        world.provider.reach(&context).await.err().unwrap(),
    ] {
        assert_eq!(*error.kind(), Kind::SandboxGone);
    }
}

#[tokio::test]
async fn the_engine_shows_the_limits_and_the_owner() {
    let world = World::new().await;
    let labels = [
        ("team".to_owned(), "a".to_owned()),
        ("managed-by".to_owned(), "me".to_owned()),
    ];
    let limits = Limits {
        cpu_millis: Some(500),
        memory_bytes: Some(256 << 20),
        pids: Some(64),
        disk_bytes: None,
    };
    let spec = Spec {
        labels: labels.into(),
        limits,
        ..Spec::default()
    };
    let (context, made) = world.sandbox_of(spec).await;
    let look = |template: &str| inspect(&made.provider_sandbox_id, template);
    let host = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(look(host), format!("{0} {0} 500000000 64", 256 << 20));
    let safety = "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Binds}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Init}}";
    assert_eq!(look(safety), "false [ALL] [no-new-privileges] [] no false");
    assert_eq!(look("{{index .Config.Labels \"managed-by\"}}"), "sandgate");
    assert_eq!(
        look("{{index .Config.Labels \"session\"}}"),
        world.session_id
    );
    assert_eq!(
        look("{{index .Config.Labels \"sandgate.org_id\"}}"),
        "org-1"
    );
    assert_eq!(
        look("{{index .Config.Labels \"sandgate.label.team\"}}"),
        "a"
    );
    assert_eq!(
        look("{{index .Config.Labels \"sandgate.label.managed-by\"}}"),
        "me"
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn inside_there_are_few_rights_and_no_engine() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and nothing else.
    let status = world
        .sh(&context, "grep -E 'CapBnd|NoNewPrivs' /proc/self/status")
        .await
        .text();
    let words: Vec<&str> = status.split_whitespace().collect();
    assert_eq!(words, ["CapBnd:", "00000000000000eb", "NoNewPrivs:", "1"]);
    assert_ne!(
        world
            .sh(&context, "test -e /var/run/docker.sock")
            .await
            .code(),
        0
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn repeating_a_create_gives_the_same_sandbox() {
    let world = World::new().await;
    let context = world.context();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let made = world.provider.create(&context, Spec::default()).await;
        ids.push(made.unwrap().provider_sandbox_id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.leftovers().len(), 2, "one container, one network");
    // A stopped one is started by it.
    world.provider.stop(&context).await.unwrap();
    let again = world
        .provider
        .create(&context, Spec::default())
        .await
        .unwrap();
    assert_eq!(
        (again.state, &again.provider_sandbox_id),
        (SandboxState::Running, &ids[0])
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_made_leaves_nothing() {
    let world = World::new().await;
    let user = Spec {
        user: "nobody-here".into(),
        ..Spec::default()
    };
    assert_eq!(world.refused(user).await.0, Kind::InvalidField("spec.user"));
    let runtime = Spec {
        runtime: "no-such-runtime".into(),
        ..Spec::default()
    };
    assert_eq!(
        world.refused(runtime).await.0,
        Kind::InvalidField("spec.runtime")
    );
    let workdir = Spec {
        workdir: "/proc/1/work".into(),
        ..Spec::default()
    };
    world.refused(workdir).await;
    assert_eq!(
        world.refused(from_image("Not An Image")).await.0,
        Kind::InvalidField("spec.image")
    );
    let (kind, message) = world.refused(from_image("sandgate.invalid/absent:1")).await;
    assert!(
        matches!(
            kind,
            Kind::InvalidField("spec.image") | Kind::Unavailable(_)
        ),
        "{kind:?}"
    );
    assert!(message.contains("docker load"), "{message}");
}

#[tokio::test]
async fn a_user_of_its_own_can_work() {
    let world = World::new().await;
    let spec = Spec {
        user: "daemon".into(),
        workdir: "/srv/deep/work".into(),
        ..Spec::default()
    };
    let (context, made) = world.sandbox_of(spec).await;
    assert_eq!(made.workspace_path, "/srv/deep/work");
    assert_eq!(made.home_path, "/usr/sbin");
    assert_eq!(
        world.sh(&context, "touch f && id -un && pwd").await.text(),
        "daemon\n/srv/deep/work\n"
    );
    let state = made.state_data.to_vec().into();
    let known = sandgate_kit::CallContext {
        state,
        ..context.clone()
    };
    assert_eq!(
        world.provider.get(&known).await.unwrap().home_path,
        "/usr/sbin"
    );
    world.provider.delete(&context).await.unwrap();
}

/// As orchestrators choose them: no entry in passwd, and past what octal in a tar can hold.
#[tokio::test]
async fn a_user_without_a_name_can_work() {
    let world = World::new().await;
    let spec = Spec {
        user: "1000680000:7".into(),
        ..Spec::default()
    };
    let (context, _) = world.sandbox_of(spec).await;
    let line = "touch f && stat -c '%u %g' . f && mkdir d && rm -r d f";
    assert_eq!(
        world.sh(&context, line).await.text(),
        "1000680000 7\n1000680000 7\n"
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn deletes_at_once_all_succeed_and_a_lost_container_takes_its_network_along() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    for deleted in join_all((0..4).map(|_| world.provider.delete(&context))).await {
        deleted.unwrap();
    }
    assert_eq!(world.leftovers(), Vec::<String>::new());
    let (context, made) = world.sandbox().await;
    docker(&["rm", "-f", &made.provider_sandbox_id]);
    assert_eq!(world.leftovers().len(), 1);
    world.provider.delete(&context).await.unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn capabilities_come_from_the_engine() {
    let world = World::new().await;
    let said = world.provider.capabilities().await.unwrap();
    assert_eq!(said.instance_id, docker(&["info", "--format", "{{.ID}}"]));
    assert_eq!(said.placement(), Placement::Sticky);
    let cpus: u32 = docker(&["info", "--format", "{{.NCPU}}"]).parse().unwrap();
    assert_eq!(
        said.limits.unwrap().max_resources.unwrap().cpu_millis,
        cpus * 1000
    );
}

/// As an engine does to all containers when it restarts without live-restore.
#[tokio::test]
async fn what_died_behind_our_back_is_stopped_and_starts_again() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    let up = || crate::support::shell("echo up; sleep 1000");
    let mut process = world.start(&context, up()).await;
    process.speaks().await;
    let boot = process.welcome.boot_id.clone();
    docker(&["kill", &made.provider_sandbox_id]);
    assert!(process.finish().await.ended.is_none(), "nobody can know");
    let seen = world.provider.get(&context).await.unwrap();
    assert_eq!(seen.state, SandboxState::Stopped);
    let error = world.provider.reach(&context).await.err().unwrap();
    assert_eq!(*error.kind(), Kind::NotRunning);
    world.provider.start(&context).await.unwrap();
    let mut process = world.start(&context, up()).await;
    process.speaks().await;
    assert_ne!(process.welcome.boot_id, boot);
    world.provider.delete(&context).await.unwrap();
}
