//! Workers as the runner sees them: they are a use of the sandbox, unless they look, and not many.

use std::time::Duration;

use bytes::Bytes;
use sandgate_runner_proto::v1::{FileData, FileRequest, Files, Hello, Shutdown, WriteFile};

use super::Work;
use crate::{
    client::{Ask, Client, Said},
    program::{Runner, wait_until},
};

/// A connection that was handed over, or why it was not.
fn files(runner: &Runner, looks: bool) -> Result<Client, String> {
    let mut client = runner.client();
    let files = Files {
        looks,
        ..Files::default()
    };
    match client.ask(Ask::Files(files)) {
        Said::Done(_) => Ok(client),
        Said::Refused(refused) => Err(refused.reason),
        other => panic!("{other:?}"),
    }
}

fn idle_ms(runner: &Runner) -> u64 {
    let welcome = Client::silent(&runner.socket()).hello(Hello::default());
    welcome.unwrap().idle_ms
}

#[test]
fn work_keeps_the_sandbox_awake_and_looks_do_not() {
    let runner = Runner::start();
    wait_until(|| idle_ms(&runner) > 1500);
    let look = files(&runner, true).unwrap();
    assert!(idle_ms(&runner) > 1500, "a look");
    drop(look);
    let folder = tempfile::tempdir().unwrap();
    let mut work = files(&runner, false).unwrap();
    let write = WriteFile {
        path: folder.path().join("file").to_str().unwrap().to_owned(),
        ..WriteFile::default()
    };
    let call = work.send(Ask::File(FileRequest {
        body: Some(Work::Write(write)),
    }));
    let data = FileData {
        data: Bytes::from_static(b"some"),
        eof: false,
    };
    for _ in 0..6 {
        work.send_as(call, Ask::FileData(data.clone()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(idle_ms(&runner) < 1000, "bytes flow");
    }
    let mut other = runner.client();
    let shutdown = Shutdown {
        only_if_idle_ms: 1000,
        ..Shutdown::default()
    };
    let busy = other.ask(Ask::Shutdown(shutdown));
    assert!(matches!(&busy, Said::Refused(refused) if refused.reason == "BUSY"));
    // One that waits for its caller is no use.
    wait_until(|| idle_ms(&runner) > 1500);
    drop(work);
    wait_until(|| idle_ms(&runner) < 1000);
}

#[test]
fn there_are_only_so_many() {
    let runner = Runner::start();
    let mut all: Vec<_> = (0..128).map(|_| files(&runner, true).unwrap()).collect();
    let refused = files(&runner, false).err();
    assert_eq!(refused.as_deref(), Some("TOO_MANY_FILE_CALLS"));
    all.pop();
    wait_until(|| files(&runner, false).is_ok());
}
