//! Reading a file: the content that it had when it was opened, little by little.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use sandgate_proto::{Problem, Reason};
use uuid::Uuid;

use super::{Files, failed, unsigned};
use crate::{
    objects::{Objects, ObjectsError},
    problem::{self, Result},
    store::{FileRecord, PartRecord, Store},
};

/// Most bytes that are read at once.
const RANGE: u64 = 256 << 10;

/// A file that is being read. Holds next to nothing of it.
pub(crate) struct Reading {
    file: FileRecord,
    store: Arc<dyn Store>,
    objects: Objects,
    /// What is still to be read, each with where in it.
    parts: VecDeque<(PartRecord, u64, u64)>,
    /// Offset that is read up to.
    end: u64,
}

impl Files {
    /// Opens a file of a session: from an offset on, at most so many bytes.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, `IS_A_DIRECTORY`, `ETAG_MISMATCH`, `OFFSET_OUT_OF_RANGE`.
    pub(crate) async fn open(
        &self,
        session_id: Uuid,
        path: &str,
        (offset, limit): (u64, Option<u64>),
        if_match: &str,
    ) -> Result<Reading> {
        if path == "/" {
            return Err(problem::is_a_folder(path));
        }
        let found = self.store.file_with_parts(session_id, path).await?;
        let (file, parts) = found.ok_or_else(|| problem::session_file_not_found(path))?;
        if file.is_folder {
            return Err(problem::is_a_folder(path));
        }
        if !if_match.is_empty() && file.etag != if_match {
            return Err(problem::etag_mismatch());
        }
        let size = unsigned(file.size);
        if offset > size {
            return Err(problem::offset_past_the_end(size));
        }
        let end = limit.map_or(size, |limit| size.min(offset.saturating_add(limit)));
        Ok(Reading {
            parts: within(parts, offset, end),
            end,
            file,
            store: self.store.clone(),
            objects: self.objects.clone(),
        })
    }
}

/// The parts that lie between two offsets, each with the range of it that does.
fn within(parts: Vec<PartRecord>, offset: u64, end: u64) -> VecDeque<(PartRecord, u64, u64)> {
    let mut begin = 0;
    let mut wanted = VecDeque::new();
    for part in parts {
        let size = unsigned(part.size);
        let (from, to) = (offset.saturating_sub(begin), end.saturating_sub(begin));
        let to = to.min(size);
        if from < to {
            wanted.push_back((part, from, to));
        }
        begin += size;
    }
    wanted
}

impl Reading {
    /// What is read.
    pub(crate) fn file(&self) -> &FileRecord {
        &self.file
    }

    /// The next bytes, in order; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some((part, from, to)) = self.parts.pop_front() else {
            return Ok(None);
        };
        let end = to.min(from + RANGE);
        match self.objects.get(&part.object_key, from..end).await {
            Ok(data) => {
                if end < to {
                    self.parts.push_front((part, end, to));
                }
                Ok(Some(data))
            }
            // S3 refuses what is not there, unless the credentials may list the bucket.
            Err(error @ (ObjectsError::Missing | ObjectsError::Refused(_))) => {
                self.parts.push_front((part, from, to));
                self.find_again(&error).await?;
                Box::pin(self.next()).await
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Looks for the next part, which is not there. An append has put what it held into another, and
    /// the same bytes are found there; else the file was changed long enough ago, or somebody else
    /// removed the object, or the store refuses all of them.
    async fn find_again(&mut self, error: &ObjectsError) -> Result<()> {
        let (id, path) = (self.file.session_id, self.file.path.as_str());
        let found = self.store.file_with_parts(id, path).await?;
        let content_id = self.file.content_id;
        let Some((_, parts)) = found.filter(|(now, _)| now.content_id == content_id) else {
            return Err(Problem::new(
                Reason::EtagMismatch,
                "the file was replaced or deleted while it was read; read it again from the start",
            ));
        };
        let missing = self.parts.front().map(|(part, _, _)| &part.object_key);
        let missing = missing.filter(|key| parts.iter().any(|part| part.object_key == **key));
        if let Some(key) = missing {
            return Err(match error {
                ObjectsError::Missing => problem::object_gone(key),
                error => failed(error),
            });
        }
        let left: u64 = self.parts.iter().map(|(_, from, to)| to - from).sum();
        self.parts = within(parts, self.end - left, self.end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_takes_what_it_needs_of_each_part() {
        let part = |place: i64| PartRecord {
            object_key: place.to_string(),
            session_id: Uuid::nil(),
            content_id: Uuid::nil(),
            place,
            size: 10,
        };
        let ranges = |offset, end| {
            let found = within((0..3).map(part).collect(), offset, end);
            let ranges = found
                .into_iter()
                .map(|(part, from, to)| (part.place, from, to));
            ranges.collect::<Vec<_>>()
        };
        assert_eq!(ranges(0, 30), [(0, 0, 10), (1, 0, 10), (2, 0, 10)]);
        assert_eq!(ranges(9, 21), [(0, 9, 10), (1, 0, 10), (2, 0, 1)]);
        assert_eq!(ranges(10, 20), [(1, 0, 10)]);
        assert_eq!(ranges(30, 30), []);
        assert_eq!(ranges(5, 5), []);
    }
}
