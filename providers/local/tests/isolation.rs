//! What a command sees of the host, and what it may use.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use common::{Client, Provider, line_of};
use sandgate_proto::v1::{NetworkMode, NetworkPolicy, Resources, SandboxSpec};

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
    // tail keeps in memory what it may have to print.
    let run = sandbox
        .sh("head -c 400000000 /dev/zero | tail -c 390000000 > /dev/null")
        .await;
    if has_groups(&sandbox).await {
        assert_eq!(run.signal(), (9, true));
    } else {
        assert_ne!(run.code(), 0);
    }
    assert_eq!(sandbox.sh("echo well").await.text(), "well");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_small() {
    let provider = Provider::start().await;
    let sandbox = with(
        &provider,
        Resources {
            pids: 32,
            ..Default::default()
        },
    )
    .await;
    let line = "i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i+1)); done; echo all";
    let began = Instant::now();
    let run = sandbox.sh(line).await;
    assert_ne!(run.code(), 0, "a hundred processes where 32 may be");
    assert!(run.errors().contains("fork"), "{}", run.errors());
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(sandbox.sh("echo well").await.text(), "well");
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
    let request = sandgate_proto::v1::ExecRequest {
        env: common::map(&[("TOKEN", &secret)]),
        ..line_of("echo up; sleep 2")
    };
    let mut stream = sandbox.stream(request).await.unwrap();
    common::read_until(&mut stream, "up").await;
    assert!(common::processes(&secret).is_empty());
    provider.stop().await;
}
