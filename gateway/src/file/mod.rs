//! Files of sessions, which outlive their sandboxes. Names and facts are rows, content is objects.
//!
//! A write puts parts, each noted before it is put, and then makes all of them known in one
//! transaction: the file is there as a whole, or not at all. What nothing came of, and what was
//! replaced or deleted, is due to be removed: by the sweep, on any gateway.

mod append;
mod kind;
mod list;
mod open;
mod path;
mod read;
mod refused;
mod sweep;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use sandgate_proto::Problem;
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use list::well_formed;
pub(crate) use open::Open;
pub(crate) use path::{join, normal};
pub(crate) use read::Reading;
pub(crate) use write::Writing;

use crate::{
    clock,
    config::LimitArgs,
    objects::Objects,
    principal::Principal,
    problem::{self, Result},
    session::{Owned, Sessions},
    store::{FilePage, FileRecord, Removed, SessionRecord, Store},
};

/// Largest part of a file, in bytes: one object.
const PART: usize = 4 << 20;

/// The files of sessions.
pub(crate) struct Files {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    objects: Objects,
    limits: LimitArgs,
    tasks: TaskTracker,
    runtime: Handle,
    /// Something is due.
    due: Arc<Notify>,
}

impl Files {
    /// What is left of broken writes is cleaned up where this is called: on no worker, which ends with
    /// its connections.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        sessions: Arc<Sessions>,
        objects: Objects,
        limits: LimitArgs,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            store,
            sessions,
            objects,
            limits,
            tasks,
            runtime: Handle::current(),
            due: Arc::default(),
        }
    }

    /// A session of the caller's own.
    pub(crate) async fn session(
        &self,
        principal: &Principal,
        session_id: Uuid,
    ) -> Result<SessionRecord> {
        self.sessions.get(principal, session_id).await
    }

    /// Facts about a file or folder of a session.
    pub(crate) async fn stat(&self, session_id: Uuid, path: &str) -> Result<FileRecord> {
        if path == "/" {
            return Ok(root(session_id));
        }
        let found = self.store.file(session_id, path).await?;
        found.ok_or_else(|| problem::session_file_not_found(path))
    }

    /// Files and folders below a folder, in bytewise order of their paths.
    pub(crate) async fn list(&self, page: &FilePage) -> Result<Vec<FileRecord>> {
        let folder = self.stat(page.session_id, &page.folder).await?;
        if !folder.is_folder {
            return Err(problem::not_a_folder(&page.folder));
        }
        Ok(self.store.list_files(page).await?)
    }

    /// Deletes a file, or a folder with all below it; false where nothing has this name.
    pub(crate) async fn delete(
        &self,
        session_id: Uuid,
        path: &str,
        recursive: bool,
    ) -> Result<bool> {
        let now = clock::now();
        let removed = self.store.remove_files(session_id, path, recursive, now);
        match removed.await? {
            Removed::Done(_) => {
                self.due.notify_one();
                Ok(true)
            }
            Removed::Missing => Ok(false),
            Removed::IsAFolder => Err(problem::folder_not_empty(path)),
        }
    }

    /// Bytes that the organisation may still keep in its sessions; none: any number.
    pub(crate) async fn room(&self, org_id: &str) -> Result<Option<u64>> {
        let Some(most) = self.limits.quota_session_bytes else {
            return Ok(None);
        };
        let kept = self.store.file_bytes_of_org(org_id).await?;
        let kept = kept + self.store.bytes_of_org(org_id).await?;
        Ok(Some(most.saturating_sub(unsigned(kept))))
    }

    /// Has work done beside the call that wants it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.tasks.spawn_on(work, &self.runtime));
    }

    /// Largest size of one file.
    pub(crate) fn largest(&self) -> u64 {
        self.limits.session_file_bytes()
    }
}

#[async_trait]
impl Owned for Files {
    /// Its objects go with the next round of the sweep, which begins now.
    async fn forget_session(&self, session: &SessionRecord) -> Result<()> {
        let (store, id) = (&self.store, session.session_id);
        store.remove_files_of_session(id, clock::now()).await?;
        self.due.notify_one();
        Ok(())
    }
}

/// The folder that every session has.
fn root(session_id: Uuid) -> FileRecord {
    FileRecord {
        session_id,
        path: "/".to_owned(),
        is_folder: true,
        content_id: Uuid::nil(),
        etag: String::new(),
        size: 0,
        content_type: String::new(),
        sha256: Vec::new(),
        create_time: 0,
        modify_time: 0,
    }
}

/// A count of the store, which is never negative.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// A count for the store.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Objects that cannot be read or put.
fn failed(error: &crate::objects::ObjectsError) -> Problem {
    Problem::from(error)
}

#[cfg(test)]
mod tests;
