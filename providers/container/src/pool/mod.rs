//! Sandboxes made ahead: each is handed out once, and made up for in the background.
//!
//! They are containers without an owner, made as the default spec would make them. The engine's
//! labels cannot change, so whose one becomes is written down beside, and then it is renamed to its
//! sandbox's name, which the engine gives away once.

mod leftovers;
mod make;
mod take;
mod wishes;

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::models::ContainerInspectResponse;
use sandgate_kit::Kind;
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::wishes::Wishes;
use crate::{Container, body::Plan};

/// How long the one that is being made may take to be finished when all are taken down.
const LAST: Duration = Duration::from_secs(20);

/// One that waits for its sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Id of the container.
    id: String,
    /// Name of the container until then, and of its folder on the host.
    name: String,
    /// Id of its network.
    network: String,
    plan: Plan,
    /// Id of the image that it was made from.
    image: String,
    home: String,
    /// As the engine described it once it ran.
    container: ContainerInspectResponse,
}

/// What the pool and its task share.
#[derive(Debug)]
struct Shelf {
    ready: Mutex<Vec<Made>>,
    /// Ids of those that are being handed out.
    leaving: Mutex<Vec<String>>,
    taken: Notify,
    end: CancellationToken,
}

impl Shelf {
    fn ready(&self) -> MutexGuard<'_, Vec<Made>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has a container still. Always locks both in this order.
    fn holds(&self, id: &str) -> bool {
        let ready = self.ready();
        ready.iter().any(|made| made.id == id) || self.leaving().iter().any(|one| one == id)
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<String>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that wait, and the task that makes them.
#[derive(Debug)]
pub(crate) struct Pool {
    shelf: Arc<Shelf>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as the pool: of several processes on one folder only one has a pool.
    _lock: File,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shelf.end.cancel();
    }
}

impl Container {
    /// Takes down what an earlier pool has left, and begins one if any is wished for.
    pub(crate) async fn begin_pool(&mut self) {
        let wishes = self.config.pool.of(&self.config.image);
        let Some(host) = &self.ways.host else {
            if !wishes.is_empty() {
                tracing::warn!("sandboxes are made ahead only where the engine's host is ours");
            }
            return;
        };
        let lock = match lock(&host.lock_file()) {
            Ok(lock) => lock,
            Err(error) => {
                if !wishes.is_empty() {
                    tracing::warn!(%error, "another provider has a pool in this data folder, so this one has none");
                }
                return;
            }
        };
        let removed = async {
            let docker = self.engine.docker().await?;
            self.remove_leftovers(&docker).await
        };
        match removed.await {
            Err(error) if !matches!(error.kind(), Kind::Unavailable(_)) => {
                tracing::warn!(%error, "what an earlier pool left cannot be removed");
            }
            _ => {}
        }
        if wishes.is_empty() {
            return;
        }
        let shelf = Arc::new(Shelf {
            ready: Mutex::default(),
            leaving: Mutex::default(),
            taken: Notify::new(),
            end: CancellationToken::new(),
        });
        // The task's own copy has no pool, or neither would ever be dropped.
        let filling = make::fill(self.clone(), shelf.clone(), wishes);
        self.pool = Some(Arc::new(Pool {
            shelf,
            task: Mutex::new(Some(tokio::spawn(filling))),
            _lock: lock,
        }));
    }

    /// Takes down what was made ahead and not used. Sandboxes stay.
    pub(crate) async fn drain(&self) {
        let Some(pool) = &self.pool else {
            return;
        };
        pool.shelf.end.cancel();
        let task = pool
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && timeout(LAST, task).await.is_err()
        {
            tracing::warn!("a sandbox that is being made ahead is left; the next start removes it");
        }
        let unused = std::mem::take(&mut *pool.shelf.ready());
        for made in unused {
            self.discard(&made).await;
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.try_lock()?;
    Ok(file)
}
