//! One sandbox and its life.
//!
//! ```text
//! Running ─ pause ─▶ Pausing ─▶ Paused ─ resume ─▶ Running
//!    └───────── kill ─────┴──────────▶ Killing ─▶ Gone
//! ```
//! Whoever moves it holds `cage`; the phase is set before, so that others are told meanwhile.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Settings, proxy, templates::Template};
use crate::{
    cage::{Cage, Plan, SOCKET},
    locks::lock,
};

/// Longest life, from the start.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What it was made with.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) id: String,
    /// The key of its account.
    pub(crate) key: String,
    pub(crate) template: &'static Template,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secure: bool,
    pub(crate) auto_pause: bool,
    pub(crate) auto_pause_memory: bool,
    pub(crate) auto_resume: bool,
    pub(crate) internet: Option<bool>,
    pub(crate) network: Option<Value>,
    /// Asked for at other ports than envd's.
    pub(crate) traffic_token: Option<String>,
    pub(crate) started: SystemTime,
    /// Its own folder.
    pub(crate) folder: PathBuf,
}

/// Where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Pausing,
    Paused { memory: bool },
    Killing,
    Gone,
}

/// What changes.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) phase: Phase,
    pub(crate) ends: SystemTime,
    /// How long it lives after it is woken by traffic.
    pub(crate) timeout: Duration,
    /// envd's; none where it is not secure.
    pub(crate) token: Option<String>,
    /// Cancelled when connections to it break.
    pub(crate) cut: CancellationToken,
}

/// A sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) born: Born,
    now: Mutex<Now>,
    cage: tokio::sync::Mutex<Option<Cage>>,
}

/// Why it does not do what it is told.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is in this phase.
    Phase(Phase),
    /// Its processes do not.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Sandbox {
    /// Starts one. `program`: what is envd in it.
    pub(crate) async fn start(
        born: Born,
        timeout: Duration,
        program: &std::path::Path,
    ) -> io::Result<Self> {
        std::fs::create_dir(&born.folder)?;
        let now = Now {
            phase: Phase::Running,
            ends: born.started + timeout,
            timeout,
            token: born.secure.then(super::cloud::secret),
            cut: CancellationToken::new(),
        };
        let sandbox = Self {
            born,
            now: Mutex::new(now),
            cage: tokio::sync::Mutex::default(),
        };
        let cage = sandbox.boot(program).await?;
        sandbox.init(&cage, Some(&sandbox.born.env)).await?;
        *sandbox.cage.lock().await = Some(cage);
        Ok(sandbox)
    }

    async fn boot(&self, program: &std::path::Path) -> io::Result<Cage> {
        Cage::start(&Plan {
            name: &self.born.id,
            folder: &self.born.folder,
            program,
            arguments: &["envd", "--socket", SOCKET],
            internet: self.born.internet != Some(false),
        })
        .await
    }

    /// Tells envd its token, and at the create its environment: that is in its memory alone, and not
    /// told again to one that boots from its disk.
    async fn init(&self, cage: &Cage, env: Option<&BTreeMap<String, String>>) -> io::Result<()> {
        let mut body = serde_json::json!({"accessToken": self.now().token});
        if let Some(env) = env {
            body["envVars"] = serde_json::json!(env);
        }
        proxy::init(cage.socket(), &body).await
    }

    /// As it is at this moment.
    pub(crate) fn now(&self) -> Now {
        lock(&self.now).clone()
    }

    /// Changes it and gives what it was.
    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut lock(&self.now))
    }

    /// Where its envd listens, if it runs.
    pub(crate) async fn socket(&self) -> Option<PathBuf> {
        let cage = self.cage.lock().await;
        cage.as_ref().map(|cage| cage.socket().to_owned())
    }

    /// Moves it on if it is in the phase that this begins from, and breaks its connections.
    fn begin(&self, wanted: impl FnOnce(Phase) -> bool, to: Phase) -> Result<Phase, Refused> {
        self.set(|now| {
            let before = now.phase;
            if !wanted(before) {
                return Err(Refused::Phase(before));
            }
            now.phase = to;
            now.cut.cancel();
            Ok(before)
        })
    }

    /// Pauses it; without `memory`, only files are kept.
    pub(crate) async fn pause(&self, memory: bool) -> Result<(), Refused> {
        self.begin(|phase| phase == Phase::Running, Phase::Pausing)?;
        let mut cage = self.cage.lock().await;
        if memory {
            if let Some(cage) = cage.as_ref()
                && let Err(error) = cage.freeze(true).await
            {
                self.set(|now| {
                    now.phase = Phase::Running;
                    now.cut = CancellationToken::new();
                });
                return Err(error.into());
            }
        } else if let Some(cage) = cage.take() {
            cage.end().await;
        }
        self.set(|now| {
            if now.phase == Phase::Pausing {
                now.phase = Phase::Paused { memory };
            }
        });
        Ok(())
    }

    /// Lets it go on. `reboot`: without what its processes were.
    pub(crate) async fn resume(
        &self,
        timeout: Duration,
        reboot: bool,
        settings: &Settings,
    ) -> Result<(), Refused> {
        let mut cage = self.cage.lock().await;
        let phase = self.now().phase;
        let Phase::Paused { memory } = phase else {
            return Err(Refused::Phase(phase));
        };
        if settings.new_tokens && self.born.secure {
            self.set(|now| now.token = Some(super::cloud::secret()));
        }
        if reboot && let Some(cage) = cage.take() {
            cage.end().await;
        }
        match cage.as_ref().filter(|_| memory) {
            Some(cage) => {
                cage.freeze(false).await?;
                self.init(cage, None).await?;
            }
            None => {
                let booted = self.boot(&settings.program).await?;
                self.init(&booted, None).await?;
                *cage = Some(booted);
            }
        }
        self.set(|now| {
            if matches!(now.phase, Phase::Paused { .. }) {
                now.phase = Phase::Running;
                now.cut = CancellationToken::new();
                now.ends = SystemTime::now() + timeout;
                now.timeout = timeout;
            }
        });
        Ok(())
    }

    /// Gives envd a new token while it runs.
    pub(crate) async fn rotate(&self) -> Result<(), Refused> {
        let cage = self.cage.lock().await;
        let phase = self.now().phase;
        let Some(cage) = cage.as_ref().filter(|_| phase == Phase::Running) else {
            return Err(Refused::Phase(phase));
        };
        self.set(|now| now.token = Some(super::cloud::secret()));
        Ok(self.init(cage, None).await?)
    }

    /// Ends it, with its files.
    pub(crate) async fn kill(&self) -> Result<(), Refused> {
        let alive = |phase| !matches!(phase, Phase::Killing | Phase::Gone);
        self.begin(alive, Phase::Killing)?;
        if let Some(cage) = self.cage.lock().await.take() {
            cage.end().await;
        }
        if let Err(error) = tokio::fs::remove_dir_all(&self.born.folder).await {
            tracing::warn!(%error, sandbox = self.born.id, "files of a sandbox stay behind");
        }
        self.set(|now| now.phase = Phase::Gone);
        Ok(())
    }
}
