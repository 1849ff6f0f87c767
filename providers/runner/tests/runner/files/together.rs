//! Several who write to one file at once.

use std::{fs, io::Write as _};

use bytes::Bytes;
use sandgate_runner_proto::v1::{Disposition, FileData, FileRequest, StatFile, WriteFile};

use super::{Desk, Found, Work, answers};
use crate::client::{Ask, Client};

fn append() -> WriteFile {
    WriteFile {
        path: "file".to_owned(),
        disposition: Disposition::Append.into(),
        ..WriteFile::default()
    }
}

/// Begins a write, with its first bytes; more than waits anywhere, so that the worker has begun.
fn begun(client: &mut Client, write: WriteFile, with: u8) -> u64 {
    let body = Some(Work::Write(write));
    let call = client.send(Ask::File(FileRequest { body }));
    for _ in 0..32 {
        let data = Bytes::from(vec![with; 256 * 1024]);
        client.send_as(call, Ask::FileData(FileData { data, eof: false }));
    }
    call
}

/// Ends it; the size that the file has then, or why not.
fn ended(client: &mut Client, call: u64) -> Result<u64, String> {
    let end = FileData {
        eof: true,
        ..FileData::default()
    };
    client.send_as(call, Ask::FileData(end));
    match answers(client, call) {
        Ok(found) => match &found[..] {
            [Found::Info(info)] => Ok(info.size),
            other => panic!("{other:?}"),
        },
        Err(refused) => Err(refused.reason),
    }
}

const PART: u64 = 32 * 256 * 1024;

#[test]
fn an_append_that_another_came_between_is_told_and_can_be_repeated() {
    let desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let (mut one, mut other) = (desk.another(), desk.another());
    let first = begun(&mut one, append(), 1);
    let second = begun(&mut other, append(), 2);
    assert_eq!(ended(&mut one, first), Ok(3 + PART));
    assert_eq!(ended(&mut other, second), Err("ETAG_MISMATCH".to_owned()));
    let again = begun(&mut other, append(), 2);
    assert_eq!(ended(&mut other, again), Ok(3 + 2 * PART));
    let all = fs::read(desk.path("file")).unwrap();
    assert!(all.starts_with(b"old\x01") && all.ends_with(b"\x02"));
    assert_eq!(desk.names(), ["file"]);
}

#[test]
fn an_append_loses_nothing_that_a_program_wrote_meanwhile() {
    let desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let mut one = desk.another();
    let call = begun(&mut one, append(), 1);
    let mut file = fs::File::options()
        .append(true)
        .open(desk.path("file"))
        .unwrap();
    file.write_all(b" and more").unwrap();
    assert_eq!(ended(&mut one, call), Err("ETAG_MISMATCH".to_owned()));
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"old and more");
}

#[test]
fn two_first_appends_are_not_one() {
    let desk = Desk::new();
    let (mut one, mut other) = (desk.another(), desk.another());
    let first = begun(&mut one, append(), 1);
    let second = begun(&mut other, append(), 2);
    assert_eq!(ended(&mut one, first), Ok(PART));
    assert_eq!(ended(&mut other, second), Err("ETAG_MISMATCH".to_owned()));
    assert_eq!(fs::metadata(desk.path("file")).unwrap().len(), PART);
}

/// Of many that want to replace the same file, one does.
#[test]
fn an_etag_is_good_for_one_write() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), b"old").unwrap();
    let path = "file".to_owned();
    let if_match = desk.info(Work::Stat(StatFile { path })).unwrap().etag;
    let write = WriteFile {
        disposition: Disposition::Replace.into(),
        if_match,
        ..append()
    };
    let mut clients: Vec<_> = (0..6).map(|_| desk.another()).collect();
    let calls: Vec<_> = clients
        .iter_mut()
        .map(|client| begun(client, write.clone(), 1))
        .collect();
    let end = FileData {
        eof: true,
        ..FileData::default()
    };
    for (client, call) in clients.iter_mut().zip(&calls) {
        client.send_as(*call, Ask::FileData(end.clone()));
    }
    let done = clients.iter_mut().zip(calls);
    let done = done.filter_map(|(client, call)| answers(client, call).ok());
    assert_eq!(done.count(), 1);
}
