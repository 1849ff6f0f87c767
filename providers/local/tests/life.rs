//! The life of sandboxes, over restarts too.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Client, Provider, code, line_of, mark, processes, read_until};
use rustix::process::{Signal, kill_process};
use sandgate_proto::v1::{
    NetworkMode, NetworkPolicy, Placement, SandboxSpec, SandboxState, exec_response::Event,
    execution_ended::Outcome,
};
use tonic::Code;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn every_step_can_be_repeated() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    assert_eq!(code(sandbox.get().await), Code::NotFound);
    assert_eq!(code(sandbox.stream(line_of("true")).await), Code::NotFound);
    let first = sandbox.create().await;
    assert_eq!(first.state(), SandboxState::Running);
    assert_eq!(first.workspace_path, "/workspace");
    assert_eq!(first.home_path, "/home/sandbox");
    assert_eq!(sandbox.create().await, first);
    assert_eq!(sandbox.get().await.unwrap(), first);
    assert_eq!(sandbox.start().await.unwrap(), first);
    for _ in 0..2 {
        assert_eq!(sandbox.stop().await.unwrap().state(), SandboxState::Stopped);
    }
    assert_eq!(
        code(sandbox.stream(line_of("true")).await),
        Code::FailedPrecondition
    );
    for _ in 0..2 {
        assert_eq!(
            sandbox.start().await.unwrap().state(),
            SandboxState::Running
        );
    }
    assert_eq!(sandbox.sh("echo again").await.text(), "again");
    let deletes = (0..4)
        .map(|_| sandbox.clone())
        .map(|one| tokio::spawn(async move { one.delete().await }));
    for delete in deletes.collect::<Vec<_>>() {
        delete.await.unwrap().unwrap();
    }
    assert_eq!(code(sandbox.get().await), Code::NotFound);
    sandbox.delete().await.unwrap();
    sandbox.create().await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_is_its_sessions_own() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mut stranger = sandbox.clone();
    stranger.context.session_id = Uuid::new_v4().to_string();
    assert_eq!(code(stranger.get().await), Code::NotFound);
    assert_eq!(
        code(stranger.try_create(SandboxSpec::default()).await),
        Code::FailedPrecondition
    );
    assert_eq!(code(stranger.stop().await), Code::NotFound);
    assert_eq!(code(stranger.delete().await), Code::NotFound);
    assert_eq!(code(stranger.stream(line_of("true")).await), Code::NotFound);
    let mut newer = sandbox.clone();
    newer.context.generation = 2;
    assert_eq!(code(newer.get().await), Code::NotFound);
    assert_eq!(sandbox.sh("true").await.code(), 0);
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_by_owner_in_order_and_in_pages() {
    let provider = Provider::start().await;
    let first = provider.client().await;
    let mut mine: Vec<Client> = vec![first.clone(), first.sibling(), first.sibling()];
    for sandbox in &mine {
        sandbox.create().await;
    }
    let other = provider.client().await;
    other.create().await;
    let damaged = Uuid::new_v4().to_string();
    fs::create_dir(provider.folder(&damaged)).unwrap();
    fs::write(provider.folder(&damaged).join("meta.json"), "{").unwrap();
    mine.sort_by(|a, b| a.id().cmp(b.id()));

    let page = first.list(2, "").await;
    let ids = |page: &[sandgate_proto::v1::Sandbox]| {
        page.iter()
            .map(|one| one.sandbox_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&page.sandboxes), [mine[0].id(), mine[1].id()]);
    let page = first.list(2, &page.next_page_token).await;
    assert_eq!(ids(&page.sandboxes), [mine[2].id()]);
    let mut sweep = first.clone();
    sweep.context.session_id.clear();
    sweep.context.sandbox_id.clear();
    let all = sweep.list(0, "").await.sandboxes;
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by_key(|one| one.sandbox_id.clone()));
    let half = all.iter().find(|one| one.sandbox_id == damaged).unwrap();
    assert_eq!(half.state(), SandboxState::Failed);
    assert_eq!(half.reason.as_ref().unwrap().code, "REMAINS");
    sweep.context.gateway_id = "another".into();
    assert_eq!(ids(&sweep.list(0, "").await.sandboxes), [damaged.as_str()]);
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_delete_end_what_runs() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    for delete in [false, true] {
        let mark = mark();
        let line = format!("setsid sleep {mark} & echo up; exec sleep {mark}");
        let mut stream = sandbox.stream(line_of(&line)).await.unwrap();
        read_until(&mut stream, "up").await;
        if delete {
            sandbox.delete().await.unwrap();
        } else {
            sandbox.stop().await.unwrap();
        }
        assert!(
            common::processes(&mark).is_empty(),
            "gone when the call returns"
        );
        let mut last = None;
        while let Some(message) = stream.message().await.unwrap() {
            last = message.event;
        }
        let Some(Event::Ended(ended)) = last else {
            panic!()
        };
        assert!(
            matches!(ended.outcome, Some(Outcome::Cancelled(_))),
            "{ended:?}"
        );
        if !delete {
            sandbox.start().await.unwrap();
        }
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_survive_executions_and_a_restart_of_the_provider() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    let made = sandbox.create().await;
    let capabilities = sandbox.capabilities().await;
    assert_eq!(capabilities.placement(), Placement::Sticky);
    assert_eq!(capabilities.instance_id, made.instance_id);
    sandbox
        .sh("echo w > /workspace/f; echo h > ~/f; echo t > /tmp/f; chmod 0 /tmp/f")
        .await;
    let mark = mark();
    let mut stream = sandbox
        .stream(line_of(&format!("echo up; exec sleep {mark}")))
        .await
        .unwrap();
    read_until(&mut stream, "up").await;
    let data = provider.stop().await;
    assert!(!processes(&mark).is_empty());

    let provider = Provider::start_in(data).await;
    let mut again = provider.client().await;
    again.context = sandbox.context.clone();
    assert_eq!(again.get().await.unwrap(), made);
    assert_eq!(again.capabilities().await.instance_id, made.instance_id);
    let run = again
        .sh("chmod 600 /tmp/f; cat /workspace/f ~/f /tmp/f")
        .await;
    assert_eq!(run.text(), "w\nh\nt");
    assert!(!processes(&mark).is_empty());
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_on_disk_or_in_control_groups() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let line = "mkdir -p a/b/c; touch a/b/c/f; ln -s /etc/passwd a/l; mkfifo a/p; chmod 0 a/b/c a/b a; \
        touch \"$(printf 'odd\\nname\\377')\" ~/.hidden; chmod 0 ~";
    assert_eq!(sandbox.sh(line).await.code(), 0);
    let used = provider.data.groups();
    assert!(used.iter().all(|group| group.join(sandbox.id()).exists()));
    sandbox.delete().await.unwrap();
    assert!(used.iter().all(|group| !group.join(sandbox.id()).exists()));
    let data = provider.stop().await;
    assert!(data.groups().is_empty());
    let mut left: Vec<_> = fs::read_dir(data.path().join("local"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["etc", "instance-id", "lock", "runner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_leaves_nothing() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    let network = |mode: NetworkMode| SandboxSpec {
        network: Some(NetworkPolicy {
            mode: mode.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(
        code(sandbox.try_create(network(NetworkMode::Private)).await),
        Code::Unimplemented
    );
    let spec = SandboxSpec {
        workdir: "/etc".into(),
        ..Default::default()
    };
    assert_eq!(code(sandbox.try_create(spec).await), Code::InvalidArgument);
    assert!(!provider.folder(sandbox.id()).exists());
    assert_eq!(code(sandbox.get().await), Code::NotFound);
    sandbox
        .try_create(network(NetworkMode::None))
        .await
        .unwrap();
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_was_killed_is_told_and_the_sandbox_starts_again() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mark = mark();
    let line = format!("echo kept > f; setsid sleep {mark} & echo up; exec sleep {mark}");
    let mut stream = sandbox.stream(line_of(&line)).await.unwrap();
    read_until(&mut stream, "up").await;
    kill_process(provider.data.init(sandbox.id()).unwrap(), Signal::KILL).unwrap();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.event;
    }
    let Some(Event::Ended(ended)) = last else {
        panic!("{last:?}")
    };
    assert!(matches!(ended.outcome, Some(Outcome::Lost(_))), "{ended:?}");
    assert!(processes(&mark).is_empty());
    let seen = sandbox.get().await.unwrap();
    assert_eq!(seen.state(), SandboxState::Stopped);
    assert_eq!(seen.reason.unwrap().code, "RUNNER_ENDED");
    assert_eq!(
        code(sandbox.stream(line_of("true")).await),
        Code::FailedPrecondition
    );
    let again = sandbox.start().await.unwrap();
    assert_eq!(again.state(), SandboxState::Running);
    assert_eq!(again.reason, None);
    assert_eq!(sandbox.sh("cat f").await.text(), "kept");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_too_large_is_refused() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    let env = |count: u32| SandboxSpec {
        env: (0..count)
            .map(|number| (format!("V{number}"), String::new()))
            .collect(),
        ..Default::default()
    };
    assert_eq!(
        code(sandbox.try_create(env(9000)).await),
        Code::InvalidArgument
    );
    assert!(!provider.folder(sandbox.id()).exists());
    sandbox.try_create(env(2000)).await.unwrap();
    assert_eq!(sandbox.sh("env | grep -c ^V").await.text(), "2000");
    provider.stop().await;
}

/// As where a provider was killed between the start of a runner and the note of it, and the next one had
/// looked for such before this one was up.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_noted_is_ended_with_its_sandbox() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    let made = sandbox.create().await;
    let file = provider.folder(&made.sandbox_id).join("meta.json");
    for delete in [false, true] {
        let mark = mark();
        let line = format!("echo up; exec sleep {mark}");
        let mut stream = sandbox.stream(line_of(&line)).await.unwrap();
        read_until(&mut stream, "up").await;
        let text = fs::read_to_string(&file).unwrap();
        let mut meta: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(meta["init"].take().is_object(), "{text}");
        fs::write(&file, meta.to_string()).unwrap();
        if delete {
            sandbox.delete().await.unwrap();
        } else {
            sandbox.start().await.unwrap();
        }
        let begun = std::time::Instant::now();
        while !common::processes(&mark).is_empty() {
            assert!(begun.elapsed().as_secs() < 5, "it runs on");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    provider.stop().await;
}
