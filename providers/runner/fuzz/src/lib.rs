//! The runner's work on files, as the fuzzer drives it: over a connection, in a folder of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "for a fuzzer, which looks for what goes wrong here; the modules are the runner's"
)]

#[path = "../../src/answer.rs"]
mod answer;
#[path = "../../src/files/mod.rs"]
mod files;

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    thread,
};

use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, put_frame,
    v1::{
        FileAnswer, FileData, FileRequest, FromRunner, ToRunner, Unpack, file_answer, file_request,
        from_runner, to_runner,
    },
};
use tempfile::TempDir;

/// Bytes in one frame.
const PART: usize = 100_000;

/// Unpacks an archive in a folder beside a secret, and panics where that is touched, something else
/// appears, or the answer is no summary and no refusal that is due.
pub fn unpack(archive: &[u8]) {
    let base = TempDir::new_in("/dev/shm").unwrap();
    let secret = base.path().join("secret");
    std::fs::write(&secret, b"secret").unwrap();
    let top = base.path().join("in");
    match answered(&top, archive) {
        from_runner::Body::FileAnswer(FileAnswer {
            body: Some(file_answer::Body::Summary(_)),
        }) => {}
        from_runner::Body::Refused(refusal) if refusal.reason == "ARCHIVE_INVALID" => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    let names = std::fs::read_dir(base.path()).unwrap();
    assert_eq!(names.count(), 2, "something is beside the folder");
    assert_no_temporary(&top);
}

fn assert_no_temporary(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        assert!(!name.starts_with(".sandgate-"), "{name} was left behind");
        if entry.file_type().unwrap().is_dir() {
            assert_no_temporary(&entry.path());
        }
    }
}

fn answered(top: &Path, archive: &[u8]) -> from_runner::Body {
    let (mut near, far) = UnixStream::pair().unwrap();
    let far = File::from(OwnedFd::from(far));
    let inherited = files::Inherited {
        socket: far,
        before: None,
        life: None,
    };
    let worker = thread::spawn(move || files::serve_on(inherited));
    let unpack = Unpack {
        path: top.to_str().unwrap().to_owned(),
        ..Unpack::default()
    };
    let work = Some(file_request::Body::Unpack(unpack));
    let mut frames = BytesMut::new();
    put(
        &mut frames,
        to_runner::Body::File(FileRequest { body: work }),
    );
    for data in archive.chunks(PART).map(Bytes::copy_from_slice) {
        put(
            &mut frames,
            to_runner::Body::FileData(FileData { data, eof: false }),
        );
    }
    let end = FileData {
        eof: true,
        ..FileData::default()
    };
    put(&mut frames, to_runner::Body::FileData(end));
    near.write_all(&frames).unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let mut answers = FrameReader::new(FROM_RUNNER_BYTES);
    let mut bytes = Vec::new();
    near.read_to_end(&mut bytes).unwrap();
    answers.buffer().extend_from_slice(&bytes);
    worker.join().unwrap().unwrap();
    let answer: FromRunner = answers.next().unwrap().unwrap();
    assert!(answers.next::<FromRunner>().unwrap().is_none());
    answer.body.unwrap()
}

fn put(frames: &mut BytesMut, body: to_runner::Body) {
    let body = Some(body);
    put_frame(&ToRunner { call: 1, body }, frames);
}
