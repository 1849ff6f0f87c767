//! Objects: content of session files, in a folder of this machine or in an object store. The only
//! place that knows which.

mod cloud;
mod disk;
mod error;

use std::{
    future::Future,
    ops::Range,
    path::{Path as DiskPath, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path};
use tokio::time::timeout;

pub use error::ObjectsError;

use crate::config::FilesPlace;

/// How long one object may take to be put, read or removed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Objects that are removed at the same time.
const REMOVALS: usize = 8;

/// Where objects are. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// What all keys begin with.
    prefix: Path,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
}

impl Objects {
    /// At this place; a folder is made.
    pub(crate) fn open(place: &FilesPlace) -> Result<Self, ObjectsError> {
        match place {
            FilesPlace::Folder(folder) => Self::in_folder(folder),
            FilesPlace::Store { url, options } => {
                let (store, prefix) = cloud::open(url, options)?;
                Ok(Self {
                    store,
                    prefix,
                    folder: None,
                })
            }
        }
    }

    fn in_folder(folder: &DiskPath) -> Result<Self, ObjectsError> {
        disk::make(folder)?;
        // What is acknowledged has to survive a power cut, as its row does.
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::default(),
            folder: Some(folder.to_owned()),
        })
    }

    /// Puts a new object: whole, or not at all.
    pub(crate) async fn put(&self, key: &str, data: Bytes) -> Result<(), ObjectsError> {
        let at = self.at(key);
        match in_time(self.store.put(&at, data.into())).await {
            Ok(_) => Ok(()),
            // Nothing has to be there for a put but the place.
            Err(ObjectsError::Missing) => Err(ObjectsError::NoPlace("404".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// A part of an object.
    pub(crate) async fn get(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectsError> {
        let at = self.at(key);
        let wanted = range.end - range.start;
        let data = in_time(self.store.get_range(&at, range)).await?;
        match data.len() as u64 == wanted {
            true => Ok(data),
            false => Err(ObjectsError::Cut),
        }
    }

    /// Removes objects, of which some may not be there; those that are gone then.
    pub(crate) async fn remove(&self, keys: Vec<String>) -> Vec<String> {
        let removed = stream::iter(keys).map(|key| async move {
            match self.remove_one(&key).await {
                Ok(()) => Some(key),
                Err(error) => {
                    tracing::warn!(key, %error, "an object cannot be removed yet");
                    None
                }
            }
        });
        let removed = removed.buffer_unordered(REMOVALS);
        removed.filter_map(std::future::ready).collect().await
    }

    async fn remove_one(&self, key: &str) -> Result<(), ObjectsError> {
        if let Some(folder) = &self.folder {
            disk::remove_drafts(folder, key).await?;
        }
        let at = self.at(key);
        match in_time(self.store.delete(&at)).await {
            Err(ObjectsError::Missing) => Ok(()),
            done => done,
        }
    }

    /// Keys are ours, so that they are always paths. Spread over folders, so that none is large.
    fn at(&self, key: &str) -> Path {
        let parts = self.prefix.parts().map(|part| part.as_ref().to_owned());
        let start = key.get(..2).unwrap_or_default().to_owned();
        parts.chain([start, key.to_owned()]).collect()
    }
}

async fn in_time<T>(
    work: impl Future<Output = object_store::Result<T>>,
) -> Result<T, ObjectsError> {
    match timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ObjectsError::Late),
    }
}

#[cfg(test)]
mod hiding;
#[cfg(test)]
mod tests;
