//! Writing a file: parts are put as they come, and made known at the end.

use std::{mem, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Files, Open, PART, failed, kind,
    refused::{refused, unreserved},
    signed, unsigned,
};
use crate::{
    clock::{self, span},
    problem::{self, Result},
    store::{FileRecord, FileWrite, How, NewPart, PartRecord, SessionRecord, Unsure, Written},
};

/// How long a part is kept of a write that gives no further sign of life.
const UNFINISHED: Duration = Duration::from_secs(3600);
/// How long content that comes slowly may wait to be a whole part: it is a sign of life when it is put.
pub(super) const SLOW: Duration = Duration::from_secs(1200);
/// How long replaced content is kept for those who read it.
const READ_ON: Duration = Duration::from_secs(900);
/// The same of a part that an append has replaced, which readers find again in the new one.
const READ_TAIL: Duration = Duration::from_secs(10);
/// How long a put that nobody waits for any more may still have its object appear.
const ON_THE_WAY: Duration = Duration::from_secs(300);

/// A file that is being written. Dropped before it is finished, it leaves the old one.
pub(crate) struct Writing {
    pub(super) files: Arc<Files>,
    pub(super) session: SessionRecord,
    pub(super) open: Open,
    pub(super) content_id: Uuid,
    /// What was not put yet: less than a part.
    buffer: BytesMut,
    /// What the content begins with, as much as a guess needs.
    start: Bytes,
    pub(super) parts: i64,
    /// When something was last put.
    pub(super) put_at: Instant,
    /// Bytes of what was put.
    pub(super) put: i64,
    /// Bytes that came.
    size: u64,
    hash: Sha256,
    /// Bytes of the file that is replaced.
    replaced: u64,
    /// Something was noted that has to go.
    reserved: bool,
    /// What is being put: whether it is there is not known.
    unsure: Option<String>,
    finished: bool,
}

impl Files {
    /// Begins to write a file.
    ///
    /// # Errors
    /// What can be told before there is any content: `FILE_EXISTS`, `ETAG_MISMATCH`,
    /// `IS_A_DIRECTORY`, `FILE_TOO_LARGE`.
    pub(crate) async fn write(
        self: &Arc<Self>,
        session: SessionRecord,
        open: Open,
    ) -> Result<Writing> {
        if open.path == "/" {
            return Err(problem::is_a_folder(&open.path));
        }
        if open.expected_size.is_some_and(|size| size > self.largest()) {
            return Err(problem::file_too_large(&open.path, self.largest()));
        }
        let old = self.store.file(session.session_id, &open.path).await?;
        if old.as_ref().is_some_and(|old| old.is_folder) {
            return Err(problem::is_a_folder(&open.path));
        }
        if old.is_some() && open.how == How::Create {
            return Err(problem::file_exists(&open.path));
        }
        let etag = old.as_ref().map(|old| old.etag.as_str());
        if !open.if_match.is_empty() && etag != Some(&open.if_match) {
            return Err(problem::etag_mismatch());
        }
        Ok(Writing {
            replaced: match open.how {
                How::Append { .. } => 0,
                _ => old.map_or(0, |old| unsigned(old.size)),
            },
            files: self.clone(),
            session,
            open,
            content_id: Uuid::new_v4(),
            buffer: BytesMut::new(),
            start: Bytes::new(),
            parts: 0,
            put_at: Instant::now(),
            put: 0,
            size: 0,
            hash: Sha256::new(),
            reserved: false,
            unsure: None,
            finished: false,
        })
    }
}

impl Writing {
    /// The next bytes.
    pub(crate) async fn push(&mut self, mut data: Bytes) -> Result<()> {
        self.size += data.len() as u64;
        if self.size > self.files.largest() {
            return Err(problem::file_too_large(
                &self.open.path,
                self.files.largest(),
            ));
        }
        if self.open.expected_size.is_some_and(|size| self.size > size) {
            return Err(problem::content_mismatch("expected_size"));
        }
        self.hash.update(&data);
        while !data.is_empty() {
            let room = PART - self.buffer.len();
            let taken = data.len().min(room);
            self.buffer.extend_from_slice(&data[..taken]);
            data.advance(taken);
            let is_slow = self.parts > 0 && self.put_at.elapsed() >= SLOW;
            if self.buffer.len() == PART || is_slow {
                self.has_room().await?;
                let part = mem::take(&mut self.buffer).freeze();
                self.put(part).await?;
            }
        }
        Ok(())
    }

    /// All has come: makes it known.
    pub(crate) async fn finish(mut self) -> Result<FileRecord> {
        let expected = self.open.expected_size;
        if expected.is_some_and(|size| self.size != size) {
            return Err(problem::content_mismatch("expected_size"));
        }
        let sha256 = mem::take(&mut self.hash).finalize().to_vec();
        if !self.open.sha256.is_empty() && self.open.sha256 != sha256 {
            return Err(problem::content_mismatch("sha256"));
        }
        let rest = mem::take(&mut self.buffer).freeze();
        let done = match (&self.open.how, self.parts) {
            (How::Append { .. }, 0) if !rest.is_empty() => self.put_behind(rest, sha256).await,
            _ => {
                if !rest.is_empty() {
                    self.put(rest).await?;
                }
                let written = self.make_known(self.open.how.clone(), sha256).await?;
                self.done(written)
            }
        };
        self.finished = done.is_ok();
        done
    }

    /// Refuses early what would not be let in at the end.
    async fn has_room(&self) -> Result<()> {
        let org_id = &self.session.org_id;
        let room = self.files.room(org_id).await?;
        if room.is_some_and(|room| self.size > room.saturating_add(self.replaced)) {
            return Err(problem::too_many_session_bytes(org_id));
        }
        Ok(())
    }

    pub(super) async fn put(&mut self, data: Bytes) -> Result<()> {
        if self.parts == 0 {
            // Not a slice, which would keep the whole part in memory.
            self.start = Bytes::copy_from_slice(&data[..data.len().min(kind::LOOKED_AT)]);
        }
        let (key, size) = (Uuid::new_v4().simple().to_string(), data.len() as u64);
        self.reserve(&key, signed(size)).await?;
        self.unsure = Some(key.clone());
        let put = self.files.objects.put(&key, data).await;
        put.map_err(|error| failed(&error))?;
        self.unsure = None;
        self.parts += 1;
        self.put_at = Instant::now();
        self.put += signed(size);
        Ok(())
    }

    /// Notes a part before it is put.
    async fn reserve(&mut self, object_key: &str, size: i64) -> Result<()> {
        let new = NewPart {
            part: PartRecord {
                object_key: object_key.to_owned(),
                session_id: self.session.session_id,
                content_id: self.content_id,
                place: self.parts,
                size,
            },
            org_id: self.session.org_id.clone(),
            due_time: clock::now() + span(UNFINISHED),
            most_bytes: self.files.limits.quota_session_bytes,
        };
        self.reserved = true;
        let reserved = self.files.store.reserve_part(&new).await?;
        unreserved(reserved, &new).map_or(Ok(()), |problem| {
            // Where there is no room, what may go is to go now.
            self.files.due.notify_one();
            Err(problem)
        })
    }

    pub(super) async fn make_known(&self, how: How, sha256: Vec<u8>) -> Result<Written> {
        Ok(self
            .files
            .store
            .write_file(&self.known(how, sha256))
            .await?)
    }

    fn known(&self, how: How, sha256: Vec<u8>) -> FileWrite {
        let (files, open, now) = (&self.files, &self.open, clock::now());
        let guessed = open.content_type.is_empty();
        FileWrite {
            session_id: self.session.session_id,
            org_id: self.session.org_id.clone(),
            path: open.path.clone(),
            content_id: self.content_id,
            parts: self.parts,
            size: self.put,
            sha256,
            etag: Uuid::new_v4().simple().to_string(),
            content_type: match guessed {
                true => kind::guess(&open.path, &self.start),
                false => open.content_type.clone(),
            },
            keeps_type: guessed,
            now,
            due_time: now
                + span(match how {
                    How::Append { .. } => READ_TAIL,
                    _ => READ_ON,
                }),
            how,
            if_match: open.if_match.clone(),
            most_bytes: files.limits.quota_session_bytes,
            most_files: files.limits.session_files(),
            most_file_bytes: files.largest(),
        }
    }

    pub(super) fn done(&self, written: Written) -> Result<FileRecord> {
        match written {
            Written::Done(file) => Ok(file),
            other => Err(refused(other, &self.known(How::Replace, Vec::new()))),
        }
    }
}

impl Drop for Writing {
    /// What was put of a write that came to nothing is due at once, but for what may still be on its
    /// way. Where this is not reached any more, it is due in an hour.
    fn drop(&mut self) {
        if self.finished || !self.reserved {
            return;
        }
        let (files, content_id, now) = (self.files.clone(), self.content_id, clock::now());
        let unsure = self.unsure.take().map(|object_key| Unsure {
            object_key,
            due_time: now + span(ON_THE_WAY),
        });
        let work = async move {
            let abandoned = files.store.abandon_parts(content_id, now, unsure.as_ref());
            match abandoned.await {
                Ok(()) => files.due.notify_one(),
                Err(error) => tracing::debug!(%error, "what a broken write left goes later"),
            }
        };
        let tasks = self.files.tasks.clone();
        drop(tasks.spawn_on(work, &self.files.runtime));
    }
}
