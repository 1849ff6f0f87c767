//! What code that was let out of its bounds could do to the folder it shares with the host, and
//! how output is bounded.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs, io,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use common::{Client, Data, Provider, code, line_of};
use sandgate_proto::v1::{SandboxState, exec_response::Event};
use sandgate_provider_local::{Config, OutputLimit};
use tonic::Code;

/// A new provider over the folder, which has no connection yet.
async fn anew(provider: Provider, sandbox: &Client) -> (Provider, Client) {
    let provider = Provider::start_in(provider.stop().await).await;
    let mut again = provider.client().await;
    again.context = sandbox.context.clone();
    (provider, again)
}

fn listen(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_socket_is_told_nothing() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let socket = provider.folder(sandbox.id()).join("control/runner.sock");
    let aside = socket.with_extension("aside");
    fs::rename(&socket, &aside).unwrap();
    let impostor = listen(&socket);

    let (provider, sandbox) = anew(provider, &sandbox).await;
    assert_eq!(
        code(sandbox.stream(line_of("true")).await),
        Code::Unavailable
    );
    // It was connected to, and then left without a word.
    let (mut taken, _) = impostor.accept().unwrap();
    assert_eq!(io::Read::read(&mut taken, &mut [0; 8]).unwrap(), 0);
    assert_eq!(sandbox.get().await.unwrap().state(), SandboxState::Running);

    fs::rename(&aside, &socket).unwrap();
    assert_eq!(sandbox.sh("echo back").await.text(), "back");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_socket_of_the_host_is_not_followed() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let host = tempfile::tempdir().unwrap();
    let precious = listen(&host.path().join("host.sock"));
    let socket = provider.folder(sandbox.id()).join("control/runner.sock");
    fs::remove_file(&socket).unwrap();
    symlink(host.path().join("host.sock"), &socket).unwrap();

    let (provider, sandbox) = anew(provider, &sandbox).await;
    assert_eq!(
        code(sandbox.stream(line_of("true")).await),
        Code::Unavailable
    );
    assert!(precious.accept().is_err(), "the host's socket was touched");

    // Without its socket it can still be ended, and a new start has a folder of its own.
    assert_eq!(sandbox.stop().await.unwrap().state(), SandboxState::Stopped);
    sandbox.start().await.unwrap();
    assert_eq!(sandbox.sh("echo back").await.text(), "back");
    assert!(host.path().join("host.sock").exists());
    sandbox.delete().await.unwrap();
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_past_its_limit_is_a_gap_and_the_limit_is_said() {
    let data = Data::new();
    let mut config = Config::new(data.path());
    config.output_limit = OutputLimit(256 << 10);
    let provider = Provider::start_with(data, config).await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let limits = sandbox.capabilities().await.limits.unwrap();
    assert_eq!(limits.max_output_bytes, 256 << 10);
    assert_eq!(limits.max_running_executions, 1024);

    let id = sandbox.begin("head -c 2000000 /dev/zero").await;
    while sandbox.execution(&id).await.unwrap().ended.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut stream = sandbox.watch(&id, 0).await.unwrap();
    let (mut next, mut kept, mut gaps) = (0, 0, Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        use sandgate_proto::v1::stream_execution_response::Event;
        match message.event.unwrap() {
            Event::Output(chunk) => {
                assert_eq!(chunk.offset, next);
                next += chunk.data.len() as u64;
                kept += chunk.data.len();
            }
            Event::Gap(gap) => {
                assert_eq!(gap.start_offset, next);
                next = gap.end_offset;
                gaps.push(gap.reason);
            }
            _ => {}
        }
    }
    assert_eq!((next, gaps), (2_000_000, vec!["OUTPUT_LIMIT".to_owned()]));
    assert!(kept <= 256 << 10, "{kept}");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_filled_blocks_no_process() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    // No place to spool to any more.
    let spool = provider.folder(sandbox.id()).join("control/spool");
    fs::remove_dir(&spool).unwrap();
    let mut stream = sandbox
        .stream(line_of("head -c 3000000 /dev/zero; echo done >&2"))
        .await
        .unwrap();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.event;
    }
    let Some(Event::Ended(ended)) = last else {
        panic!("{last:?}")
    };
    assert_eq!(ended.stdout.unwrap().bytes, 3_000_000);
    provider.stop().await;
}
