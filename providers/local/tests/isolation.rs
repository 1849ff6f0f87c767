//! What a command sees of the host, and what it may use.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use common::{Client, Provider, line_of};
use sandgate_proto::v1::{
    ExecRequest, ExecutionState, NetworkMode, NetworkPolicy, Resources, SandboxSpec,
    exec_response::Event, execution_ended::Outcome,
};

async fn with(provider: &Provider, resources: Resources) -> Client {
    let sandbox = provider.client().await;
    let spec = SandboxSpec {
        resources: Some(resources),
        ..Default::default()
    };
    sandbox.try_create(spec).await.unwrap();
    sandbox
}

/// Whether limits are kept by control groups here; else only some of them hold.
async fn has_groups(sandbox: &Client) -> bool {
    let capabilities = sandbox.capabilities().await;
    let resources = capabilities
        .features
        .iter()
        .find(|one| one.name == "resources")
        .unwrap();
    resources.note.contains("cgroup")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_not_in_sight() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let other = sandbox.sibling();
    other.create().await;
    other.sh("echo secret > /workspace/secret").await;
    let data = provider.data.path().display().to_string();
    for path in [
        "/root",
        "/etc/shadow",
        "/etc/ssh",
        "/home/*/.ssh",
        "/work",
        "/sys",
        "/var/lib",
        "/boot",
        "/mnt",
        &data,
    ] {
        let run = sandbox.sh(&format!("ls -d {path}")).await;
        assert_ne!(run.code(), 0, "{path} is in sight: {}", run.text());
    }
    assert_eq!(
        sandbox.sh("ls /workspace /home").await.text(),
        "/home:\nsandbox\n\n/workspace:"
    );
    let processes = sandbox.sh("ls -d /proc/[0-9]* | wc -l").await;
    assert!(processes.text().parse::<u32>().unwrap() < 8);
    assert_eq!(
        sandbox
            .sh("ls /dev")
            .await
            .text()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
    );
    for path in [
        "/usr/bin/x",
        "/etc/x",
        "/x",
        "/dev/x",
        "/proc/sys/kernel/hostname",
        "/etc/passwd",
    ] {
        let run = sandbox.sh(&format!("echo x > {path}")).await;
        assert_ne!(run.code(), 0, "{path} can be written");
    }
    let run = sandbox.sh("ls -l /proc/self/fd").await;
    assert_eq!(
        run.text().lines().count(),
        5,
        "a stray descriptor: {}",
        run.text()
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_no_powers() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let run = sandbox
        .sh("grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status")
        .await;
    for line in run.text().lines() {
        let (name, value) = line.split_once(':').unwrap();
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            "Groups" => "",
            _ => "0000000000000000",
        };
        assert_eq!(value.trim(), expected, "{name}");
    }
    for line in [
        "unshare -U true",
        "unshare -n true",
        "mount -t tmpfs x /tmp",
        "nsenter -t 1 -m true",
        "chroot / true",
        "dmesg",
    ] {
        assert_ne!(sandbox.sh(line).await.code(), 0, "{line} works");
    }
    // What ordinary programs do works all the same: threads, processes, shared memory, sockets.
    for line in [
        "sh -c 'true & wait'",
        "echo x > /dev/shm/x && cat /dev/shm/x",
        "python3 -c 'import threading; t=threading.Thread(target=print); t.start(); t.join()' || ! command -v python3",
    ] {
        let run = sandbox.sh(line).await;
        assert_eq!(run.code(), 0, "{line}: {}", run.errors());
    }
    // Whoever runs the provider, files do not belong to the host's root.
    sandbox.sh("touch /workspace/f").await;
    let owner = fs::metadata(provider.folder(sandbox.id()).join("workspace/f"))
        .unwrap()
        .uid();
    assert_ne!(owner, 0);
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_network_unless_asked() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    assert_eq!(
        sandbox
            .sh("grep -c : /proc/net/dev; ls /etc/resolv.conf")
            .await
            .text(),
        "1"
    );
    let full = sandbox.sibling();
    let network = Some(NetworkPolicy {
        mode: NetworkMode::Full.into(),
        ..Default::default()
    });
    full.try_create(SandboxSpec {
        network,
        ..Default::default()
    })
    .await
    .unwrap();
    let here = fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    assert_eq!(
        full.sh("wc -l < /proc/net/dev").await.text(),
        here.to_string()
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_told() {
    let provider = Provider::start().await;
    let sandbox = with(
        &provider,
        Resources {
            memory_bytes: 64 << 20,
            ..Default::default()
        },
    )
    .await;
    // The shell itself takes it.
    let run = sandbox
        .sh("x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo ${#x}")
        .await;
    if has_groups(&sandbox).await {
        assert_eq!(run.signal(), (9, true));
    } else {
        assert_ne!(run.text(), "300000000");
    }
    assert_eq!(sandbox.sh("echo well").await.text(), "well");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_small_and_can_be_ended() {
    let provider = Provider::start().await;
    let sandbox = with(
        &provider,
        Resources {
            pids: 48,
            ..Default::default()
        },
    )
    .await;
    let mark = common::mark();
    let bomb = ExecRequest {
        execution_id: "bomb".into(),
        timeout: Some(prost_types::Duration {
            seconds: 3,
            nanos: 0,
        }),
        ..line_of(&format!(
            "f() {{ f & f & sleep {mark}; }}; f 2> /dev/null & echo up; exec sleep 60"
        ))
    };
    let began = Instant::now();
    let mut stream = sandbox.stream(bomb).await.unwrap();
    common::read_until(&mut stream, "up").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // It answers all the while.
    let seen = sandbox.execution("bomb").await.unwrap();
    assert_eq!(seen.state(), ExecutionState::Running);
    assert!(common::processes(&mark).len() <= 48);
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.event;
    }
    let Some(Event::Ended(ended)) = last else {
        panic!("{last:?}")
    };
    assert!(
        matches!(ended.outcome, Some(Outcome::TimedOut(_))),
        "{ended:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
    common::gone(&mark).await;
    assert_eq!(sandbox.sh("echo well").await.text(), "well");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_runners_is_out_of_reach() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    // Past what is held in memory, so that some of it lies in the spool.
    assert_eq!(
        sandbox.sh("head -c 3000000 /dev/zero").await.stdout.len(),
        3_000_000
    );
    for line in [
        "ls /proc/1/fd",
        "cat /proc/1/environ",
        "head -c 1 /proc/1/mem",
        "ls /proc/1/fd/9/..",
        "echo x > /run/sandgate-runner",
        "ls -A /run/sandgate/spool | grep .",
        "kill -9 1; kill -STOP 1; false",
    ] {
        assert_ne!(sandbox.sh(line).await.code(), 0, "{line} works");
    }
    // Where sandboxes have users of their own, not even its socket can be taken away.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        assert_ne!(
            sandbox.sh("rm -f /run/sandgate/runner.sock").await.code(),
            0
        );
    }
    let capabilities = sandbox.capabilities().await;
    let tree = capabilities
        .features
        .iter()
        .find(|one| one.name == "process_tree");
    if tree.unwrap().note.contains("control group") {
        // It cannot go where it is not counted.
        let line = "find / -name cgroup.procs -writable 2> /dev/null | grep -c .";
        assert_eq!(sandbox.sh(line).await.text(), "0");
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_shared_out() {
    let provider = Provider::start().await;
    let sandbox = with(
        &provider,
        Resources {
            cpu_millis: 200,
            ..Default::default()
        },
    )
    .await;
    if !has_groups(&sandbox).await {
        return;
    }
    let began = Instant::now();
    let run = sandbox
        .sh("timeout 2 sh -c 'while :; do :; done'; cat /proc/self/stat > /dev/null; times")
        .await;
    let used = run.text().lines().nth(1).unwrap().to_owned();
    let seconds: f64 = used
        .split_whitespace()
        .next()
        .unwrap()
        .trim_start_matches("0m")
        .trim_end_matches('s')
        .parse()
        .unwrap();
    assert!(
        seconds < began.elapsed().as_secs_f64() * 0.35,
        "{seconds} s of processor time"
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commands_secrets_are_not_in_the_hosts_process_list() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let secret = common::mark();
    let request = ExecRequest {
        env: common::map(&[("TOKEN", &secret)]),
        ..line_of("echo up; sleep 2")
    };
    let mut stream = sandbox.stream(request).await.unwrap();
    common::read_until(&mut stream, "up").await;
    assert!(common::processes(&secret).is_empty());
    provider.stop().await;
}
