//! A copy of the log as lines of JSON in a file, for those who collect logs.

use std::{io, os::unix::fs::MetadataExt as _, path::PathBuf};

use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    fs::{self, File, OpenOptions},
    io::AsyncWriteExt as _,
};

use crate::{clock, store::AuditRecord};

/// Bytes that wait for a file which cannot be written.
const WAITING_BYTES: usize = 8 << 20;

/// The file. Its lines are not flushed to the disk one by one: the database is what must survive.
pub(super) struct Lines {
    path: PathBuf,
    file: Option<File>,
    waiting: Vec<u8>,
    /// The last try failed, and that was said.
    failing: bool,
    lost: u64,
}

impl Lines {
    /// Opens the file, making it.
    pub(super) async fn open(path: PathBuf) -> io::Result<Self> {
        let file = open(&path).await?;
        Ok(Self {
            path,
            file: Some(file),
            waiting: Vec::new(),
            failing: false,
            lost: 0,
        })
    }

    /// Whether lines wait for the next try.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds events to what is to be written. Lines that have waited for too long make room.
    pub(super) fn add(&mut self, records: &[AuditRecord]) {
        for record in records {
            if self.waiting.len() > WAITING_BYTES {
                self.lost += 1;
                continue;
            }
            self.waiting
                .extend_from_slice(line(record).to_string().as_bytes());
            self.waiting.push(b'\n');
        }
    }

    /// Writes what is to be written; what could not be is tried again with the next call.
    pub(super) async fn write(&mut self) {
        match self.try_write().await {
            Ok(()) if self.failing => {
                tracing::info!(path = %self.path.display(), lost = self.lost, "audit file is written again");
                (self.failing, self.lost) = (false, 0);
            }
            Ok(()) => {}
            Err(error) => {
                self.file = None;
                if !self.failing {
                    // What stands there may end in the middle of a line.
                    self.waiting.insert(0, b'\n');
                    tracing::error!(path = %self.path.display(), %error, "cannot write the audit file");
                }
                self.failing = true;
            }
        }
    }

    async fn try_write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.moved_away().await {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path).await?),
        };
        while !self.waiting.is_empty() {
            let written = file.write(&self.waiting).await?;
            // What a file of this library took may still fail until it is flushed.
            file.flush().await?;
            self.waiting.drain(..written);
        }
        Ok(())
    }

    /// Whether the path leads to another file by now, or to none.
    async fn moved_away(&self) -> bool {
        let Some(file) = &self.file else { return true };
        match (file.metadata().await, fs::metadata(&self.path).await) {
            (Ok(open), Ok(named)) => (open.dev(), open.ino()) != (named.dev(), named.ino()),
            _ => true,
        }
    }
}

async fn open(path: &PathBuf) -> io::Result<File> {
    // Who did what is nobody's business on this machine.
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(path).await
}

/// An event with the names, and the forms, of the contract's JSON; what is empty is left out.
fn line(record: &AuditRecord) -> Value {
    let time: Timestamp = clock::timestamp(record.time);
    let micros = record.duration;
    let duration = Duration {
        seconds: micros / 1_000_000,
        nanos: i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default(),
    };
    let mut line = json!({
        "event_id": record.event_id,
        "time": time.to_string(),
        "org_id": record.org_id,
        "user_id": record.user_id,
        "session_id": record.session_id,
        "sandbox_id": record.sandbox_id,
        "execution_id": record.execution_id,
        "principal": record.principal,
        "method": record.method,
        "target": record.target,
        "code": record.code,
        "reason": record.reason,
        "request_id": record.request_id,
        "peer_address": record.peer_address,
        "trace_id": record.trace_id,
        "duration": duration.to_string(),
        "details": record.details,
    });
    if let Some(fields) = line.as_object_mut() {
        fields.retain(|_, value| {
            value.as_str().is_none_or(|text| !text.is_empty())
                && value.as_object().is_none_or(|map| !map.is_empty())
        });
    }
    line
}
