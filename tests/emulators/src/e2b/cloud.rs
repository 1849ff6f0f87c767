//! All that an emulated E2B knows.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use super::{
    Settings,
    sandbox::{Born, Phase, Refused, Sandbox},
};
use crate::{faults::Faults, locks::lock, requests::Requests};

/// A create that was asked for with a key of idempotency: what became of it.
type Created = Arc<OnceCell<Arc<Sandbox>>>;

/// The emulator's state.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) settings: Settings,
    pub(crate) requests: Requests,
    pub(crate) faults: Faults,
    /// What runs beside the calls.
    pub(crate) tasks: TaskTracker,
    folder: PathBuf,
    sandboxes: Mutex<BTreeMap<String, Arc<Sandbox>>>,
    creates: Mutex<HashMap<(String, String), Created>>,
    /// Removes the folder at the end, after the sandboxes.
    _temporary: Option<TempDir>,
}

impl Cloud {
    pub(crate) fn new(settings: Settings, tasks: TaskTracker) -> io::Result<Self> {
        let temporary = match &settings.data {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                None
            }
            None => Some(tempfile::Builder::new().prefix("e2b").tempdir()?),
        };
        let folder = temporary.as_ref().map(|folder| folder.path().to_owned());
        Ok(Self {
            folder: folder.or(settings.data.clone()).unwrap_or_default(),
            _temporary: temporary,
            settings,
            requests: Requests::default(),
            faults: Faults::default(),
            tasks,
            sandboxes: Mutex::default(),
            creates: Mutex::default(),
        })
    }

    /// The folder of a sandbox.
    pub(crate) fn folder(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// The sandboxes of an account.
    pub(crate) fn of(&self, key: &str) -> Vec<Arc<Sandbox>> {
        let all = lock(&self.sandboxes);
        let own = all.values().filter(|sandbox| sandbox.born.key == key);
        own.cloned().collect()
    }

    /// A sandbox, whoever owns it.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Sandbox>> {
        lock(&self.sandboxes).get(id).cloned()
    }

    /// How many of an account's sandboxes run.
    pub(crate) fn running(&self, key: &str) -> usize {
        let runs = |sandbox: &Arc<Sandbox>| sandbox.now().phase == Phase::Running;
        self.of(key).iter().filter(|sandbox| runs(sandbox)).count()
    }

    /// The place of a create with a key of idempotency.
    pub(crate) fn create_of(&self, key: &str, idempotency: &str) -> Created {
        let place = (key.to_owned(), idempotency.to_owned());
        Arc::clone(lock(&self.creates).entry(place).or_default())
    }

    /// Starts a sandbox.
    pub(crate) async fn create(&self, born: Born, timeout: Duration) -> io::Result<Arc<Sandbox>> {
        let id = born.id.clone();
        let sandbox = Sandbox::start(born, timeout, &self.settings.program).await?;
        let sandbox = Arc::new(sandbox);
        lock(&self.sandboxes).insert(id, Arc::clone(&sandbox));
        Ok(sandbox)
    }

    /// Resumes one; `timeout` from now.
    pub(crate) async fn resume(
        &self,
        sandbox: &Sandbox,
        timeout: Duration,
        reboot: bool,
    ) -> Result<(), Refused> {
        sandbox.resume(timeout, reboot, &self.settings).await
    }

    /// Ends one; it is unknown from then on.
    pub(crate) async fn kill(&self, sandbox: &Sandbox) -> Result<(), Refused> {
        sandbox.kill().await?;
        lock(&self.sandboxes).remove(&sandbox.born.id);
        Ok(())
    }

    /// Ends all.
    pub(crate) async fn kill_all(&self) {
        let all: Vec<_> = lock(&self.sandboxes).values().cloned().collect();
        for sandbox in all {
            // Where another call ends it already, that one does all there is to do.
            let _ = self.kill(&sandbox).await;
        }
    }

    /// Those that run and whose time is over.
    pub(crate) fn over(&self) -> Vec<Arc<Sandbox>> {
        let time = SystemTime::now();
        let over = |sandbox: &&Arc<Sandbox>| {
            let now = sandbox.now();
            now.phase == Phase::Running && now.ends <= time
        };
        let all = lock(&self.sandboxes);
        all.values().filter(over).cloned().collect()
    }

    /// What happens to one whose time is over.
    pub(crate) async fn expire(&self, sandbox: &Sandbox) {
        let done = if sandbox.born.auto_pause {
            sandbox.pause(sandbox.born.auto_pause_memory).await
        } else {
            self.kill(sandbox).await
        };
        if let Err(Refused::Io(error)) = done {
            tracing::warn!(%error, sandbox = sandbox.born.id, "its time is over");
        }
    }
}

/// Letters and digits that nobody guesses.
pub(crate) fn random(length: usize) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = vec![0; length];
    // Without the system's random numbers nothing here would be worth running.
    let filled = getrandom::fill(&mut bytes);
    assert!(filled.is_ok(), "no random numbers: {filled:?}");
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    bytes.iter().map(letter).collect()
}

/// A token.
pub(crate) fn secret() -> String {
    random(40)
}
