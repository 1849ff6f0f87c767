//! What bwrap says on its status pipe: JSON documents, one a line.

use std::{io, os::fd::OwnedFd};

use serde::Deserialize;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

/// More than bwrap ever says.
const LIMIT: usize = 4096;

/// The reading end of a status pipe.
#[derive(Debug)]
pub(super) struct Status {
    pipe: pipe::Receiver,
    text: Vec<u8>,
}

/// One document; the first says who the child is, others are of no interest.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Report {
    /// Pid on the host of the first process in the namespace.
    #[serde(rename = "child-pid")]
    pub(super) child_pid: Option<i32>,
}

impl Status {
    /// Must be called within a runtime.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            text: Vec::new(),
        })
    }

    /// Waits for the next document. None: there will be no more. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Report>> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.text.len() > LIMIT {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "bwrap's status is too long",
                ));
            }
            if self.pipe.read_buf(&mut self.text).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn documents_are_read_one_by_one() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut status = Status::new(reader.into()).unwrap();
        writer
            .write_all(b"{ \"child-pid\": 12, \"pid-namespace\": 4026532182 }\n{ \"exit-")
            .unwrap();
        let first = status.next().await.unwrap().unwrap();
        assert_eq!(first.child_pid, Some(12));
        writer.write_all(b"code\": 137 }\n").unwrap();
        assert_eq!(status.next().await.unwrap(), Some(Report::default()));
        drop(writer);
        assert_eq!(status.next().await.unwrap(), None);
    }
}
