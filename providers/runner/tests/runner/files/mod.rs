//! Work on files, over a connection that was handed over.

mod archive;
mod bombs;
mod edges;
mod hostile;
mod names;
mod together;
mod workers;
mod written;

use std::{fs, path::PathBuf};

use bytes::Bytes;
use sandgate_runner_proto::v1::{
    FileAnswer, FileData, FileFacts, FileRequest, Files, Refused, file_answer, file_request,
};
use tempfile::TempDir;

use crate::{
    client::{Ask, Client, Said},
    program::Runner,
};

pub(crate) use file_answer::Body as Found;
pub(crate) use file_request::Body as Work;

/// A runner, a folder to work in, and a connection for files.
pub(crate) struct Desk {
    runner: Runner,
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::of("")
    }

    /// Of another user.
    pub(crate) fn of(user: &str) -> Self {
        let (runner, folder) = (Runner::start(), tempfile::tempdir().unwrap());
        let client = files(&runner, &folder, user);
        Self {
            runner,
            folder,
            client,
        }
    }

    /// Another connection to the same folder.
    pub(crate) fn another(&self) -> Client {
        files(&self.runner, &self.folder, "")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The answers up to the last one.
    pub(crate) fn ask(&mut self, work: Work) -> Result<Vec<Found>, Refused> {
        self.give(work, &[])
    }

    /// The same, with the bytes that go with it.
    pub(crate) fn give(&mut self, work: Work, parts: &[&[u8]]) -> Result<Vec<Found>, Refused> {
        let takes = matches!(work, Work::Write(_) | Work::Unpack(_));
        let call = self
            .client
            .send(Ask::File(FileRequest { body: Some(work) }));
        for data in parts {
            let data = Bytes::copy_from_slice(data);
            self.client
                .send_as(call, Ask::FileData(FileData { data, eof: false }));
        }
        if takes {
            let end = FileData {
                eof: true,
                ..FileData::default()
            };
            self.client.send_as(call, Ask::FileData(end));
        }
        answers(&mut self.client, call)
    }

    /// Facts, of what answers with them.
    pub(crate) fn info(&mut self, work: Work) -> Result<FileFacts, Refused> {
        match &self.ask(work)?[..] {
            [Found::Info(info)] => Ok(info.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// Why it is refused.
    pub(crate) fn refusal(&mut self, work: Work) -> String {
        self.ask(work).unwrap_err().reason
    }

    /// Names in the folder, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path()).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

pub(crate) fn answers(client: &mut Client, call: u64) -> Result<Vec<Found>, Refused> {
    let mut found = Vec::new();
    loop {
        match client.next(call) {
            Said::FileAnswer(FileAnswer {
                body: Some(Found::Working(_)),
            }) => {}
            Said::FileAnswer(FileAnswer { body: Some(body) }) => {
                let is_last = match &body {
                    Found::Opened(_) | Found::Data(_) | Found::Working(_) => false,
                    Found::Entries(entries) => entries.last,
                    Found::Info(_) | Found::End(_) | Found::Summary(_) => true,
                };
                found.push(body);
                if is_last {
                    return Ok(found);
                }
            }
            Said::Refused(refusal) => return Err(refusal),
            other => panic!("{other:?}"),
        }
    }
}

fn files(runner: &Runner, folder: &TempDir, user: &str) -> Client {
    let mut client = runner.client();
    let cwd = folder.path().to_str().unwrap().to_owned();
    let files = Files {
        cwd,
        user: user.to_owned(),
        ..Files::default()
    };
    match client.ask(Ask::Files(files)) {
        Said::Done(_) => client,
        other => panic!("{other:?}"),
    }
}
