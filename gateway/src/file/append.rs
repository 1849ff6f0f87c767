//! Little content behind what is there.

use std::mem;

use bytes::Bytes;
use uuid::Uuid;

use super::{Writing, failed, unsigned};
use crate::{
    clock,
    objects::ObjectsError,
    problem::{self, Result},
    store::{FileRecord, How, PartRecord, Written},
};

/// Largest part, in bytes, that is put anew with little content behind it. Each such append leaves the
/// old one to be removed, so that it is far less than a part may have.
const TAIL: u64 = 1 << 20;
/// How often content is put behind a file that others put something behind too.
const TRIES: usize = 16;

impl Writing {
    /// Puts little content behind what is there: into one part with the last, so that many small
    /// writes do not make many parts. Others may do the same meanwhile.
    pub(super) async fn put_behind(&mut self, rest: Bytes, sha256: Vec<u8>) -> Result<FileRecord> {
        for _ in 0..TRIES {
            let last = self.last_part().await?;
            let last = last.filter(|last| unsigned(last.size) + rest.len() as u64 <= TAIL);
            let (part, instead_of) = match last {
                None => (rest.clone(), None),
                Some(last) => match self.joined(last, &rest).await? {
                    Some(joined) => joined,
                    None => continue,
                },
            };
            self.put(part).await?;
            let how = How::Append { instead_of };
            match self.make_known(how, sha256.clone()).await? {
                Written::TailChanged => self.start_again().await?,
                written => return self.done(written),
            }
        }
        Err(problem::etag_mismatch())
    }

    /// The last part of the file, if it has any.
    async fn last_part(&self) -> Result<Option<PartRecord>> {
        let id = self.session.session_id;
        let found = self.files.store.file_with_parts(id, &self.open.path);
        Ok(found.await?.and_then(|(_, mut parts)| parts.pop()))
    }

    /// The last part with the content behind it, and which part that takes the place of; none where
    /// another part is the last by now.
    async fn joined(
        &self,
        last: PartRecord,
        rest: &Bytes,
    ) -> Result<Option<(Bytes, Option<String>)>> {
        let key = last.object_key;
        match self.files.objects.get(&key, 0..unsigned(last.size)).await {
            Ok(before) => Ok(Some(([before, rest.clone()].concat().into(), Some(key)))),
            // Somebody else has replaced it, long ago.
            Err(ObjectsError::Missing) => Ok(Some((rest.clone(), None))),
            // S3 says the same of that, unless the credentials may list the bucket.
            Err(error @ ObjectsError::Refused(_)) => match self.last_part().await? {
                Some(now) if now.object_key == key => Err(failed(&error)),
                _ => Ok(None),
            },
            Err(error) => Err(failed(&error)),
        }
    }

    /// Gives up what was put, and begins with another content.
    async fn start_again(&mut self) -> Result<()> {
        let given_up = mem::replace(&mut self.content_id, Uuid::new_v4());
        (self.parts, self.put) = (0, 0);
        let now = clock::now();
        Ok(self.files.store.abandon_parts(given_up, now, None).await?)
    }
}
