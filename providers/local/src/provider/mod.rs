//! The local provider: a life cycle of folders, and over each a namespace that its runner holds.

mod life;
mod list;
mod start;

use std::{
    collections::HashMap,
    future::Future,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sandgate_kit::{CallContext, Instance, Kind, Page, Provider, ProviderError, Reached, Spec};
use sandgate_proto::{
    Outcome,
    v1::{Capabilities, SandboxSpec},
};
use tokio::net::UnixStream;

use crate::{
    bwrap::{self, Launcher},
    capabilities,
    config::Config,
    identity::Identity,
    init::Init,
    leftovers,
    limits::Limiter,
    probe::probe,
    resolved::resolved,
    store::Store,
};

/// How long a good trial of bwrap is believed.
const TRUST: Duration = Duration::from_secs(60);

/// Runs sandboxes in Linux namespaces on this machine.
#[derive(Debug)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Store,
    launcher: Launcher,
    limiter: Limiter,
    identity: Identity,
    /// The runner's program.
    runner: PathBuf,
    /// When bwrap was last seen to work.
    well: Mutex<Option<Instant>>,
}

impl Local {
    /// Opens the data folder. Sandboxes that run go on; they outlive this provider, too. That bwrap is missing
    /// or may not work is no error here: health and the first sandbox tell it.
    ///
    /// Must be called within a tokio runtime. Marks every descriptor
    /// that this process has by now, but the first three, as not to be inherited by its children.
    ///
    /// # Errors
    /// Where the data folder cannot be used, or another process uses it.
    pub async fn open(config: Config) -> Result<Self, ProviderError> {
        let data_dir = config.data_dir.clone();
        let store = blocking(move || Store::open(&data_dir)).await.map_err(|error| {
            let message = if error.kind() == io::ErrorKind::WouldBlock {
                "another local provider uses this data folder: end it, or give --data-dir another one"
            } else {
                "the data folder cannot be used: give --data-dir one that this user can write"
            };
            internal(message)(error)
        })?;
        let identity = Identity::detect();
        if identity == Identity::PerSandbox {
            check_reachable(&store.etc())?;
        }
        bwrap::publish_etc(&store.etc()).map_err(internal("the data folder cannot be written"))?;
        let folder = store.runner();
        let runner = blocking(move || install(&folder))
            .await
            .map_err(internal("the data folder cannot be written"))?;
        let launcher = Launcher::new(config.bwrap.clone()).map_err(internal(
            "sandboxes cannot be started on this machine; the log says why",
        ))?;
        let name = format!("sandgate-{}", store.instance_id());
        let limiter = Limiter::new(&name);
        end_leftovers(&store, &limiter);
        Ok(Self(Arc::new(Inner {
            config,
            store,
            launcher,
            limiter,
            identity,
            runner,
            well: Mutex::new(None),
        })))
    }
}

impl Inner {
    /// Whether bwrap works, found out by trying now and then.
    async fn check(&self) -> Result<(), ProviderError> {
        let well = || self.well.lock().unwrap_or_else(PoisonError::into_inner);
        if well().is_some_and(|since| since.elapsed() < TRUST) {
            return Ok(());
        }
        let probe = probe(&self.config).await;
        let Some(advice) = probe.advice() else {
            *well() = Some(Instant::now());
            return Ok(());
        };
        let cause = format!("{}; {}", probe.bwrap.found, probe.namespaces.found);
        let message = format!("this machine cannot run sandboxes yet: {advice}");
        Err(ProviderError::new(Kind::Unavailable(Outcome::Rejected), message).caused_by(cause))
    }
}

impl Provider for Local {
    type Link = UnixStream;

    fn id(&self) -> &'static str {
        "local"
    }

    fn sweep(&self) -> impl Future<Output = Result<(), ProviderError>> + Send {
        self.0.take_away()
    }

    async fn close(&self) {
        self.0.limiter.close();
    }

    fn resolved(&self, spec: SandboxSpec) -> SandboxSpec {
        resolved(spec, &self.0.config.defaults)
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let inner = &self.0;
        Ok(capabilities::capabilities(
            self.id(),
            inner.store.instance_id(),
            inner.limiter.mechanism(),
            inner.limiter.kills(),
            inner.config.output_limit,
        ))
    }

    fn health(&self) -> impl Future<Output = Result<(), ProviderError>> + Send {
        self.0.check()
    }

    fn create(
        &self,
        context: &CallContext,
        spec: Spec,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        self.0.create(context, spec)
    }

    fn get(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        self.0.get(context)
    }

    fn list(
        &self,
        context: &CallContext,
        page: Page,
    ) -> impl Future<Output = Result<Vec<Instance>, ProviderError>> + Send {
        self.0.list(context, page)
    }

    fn start(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        self.0.start(context)
    }

    fn stop(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<Instance, ProviderError>> + Send {
        self.0.stop(context)
    }

    fn delete(
        &self,
        context: &CallContext,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send {
        self.0.delete(context)
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<UnixStream>, ProviderError> {
        let link = self.0.reach(context).await?;
        // The runner lets in whoever is outside its namespace, as the kernel says.
        let secret = Default::default();
        Ok(Reached { link, secret })
    }
}

/// Each folder above must let in a user that owns nothing, or be root's own, which bwrap may enter.
fn check_reachable(folder: &Path) -> Result<(), ProviderError> {
    for above in folder.ancestors().skip(1) {
        let facts = above
            .metadata()
            .map_err(internal("the data folder cannot be read"))?;
        let open = facts.mode() & 0o001 != 0 || (facts.uid() == 0 && facts.gid() == 0);
        if !open {
            return Err(ProviderError::new(
                Kind::Internal,
                format!(
                    "sandboxes cannot reach the data folder through {}: let everybody enter it (chmod o+x), or give --data-dir another folder",
                    above.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Puts the runner where namespaces can have it from, and takes away those of earlier builds:
/// sandboxes that run keep theirs.
fn install(folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let runner = sandgate_runner_bundle::install(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path != runner {
            std::fs::remove_file(path)?;
        }
    }
    Ok(runner)
}

/// Ends what was being started when an earlier provider was killed.
fn end_leftovers(store: &Store, limiter: &Limiter) {
    let known = |id| {
        let meta = store.read(id).ok();
        let alive = meta.as_ref().and_then(|meta| meta.alive());
        (id, alive.map(Init::pid))
    };
    let ids = store.ids().unwrap_or_default();
    let sandboxes: HashMap<_, _> = ids.into_iter().map(known).collect();
    match leftovers::end(&sandboxes) {
        Ok(0) => {}
        Ok(sandboxes) => tracing::info!(sandboxes, "ended what was half started"),
        Err(error) => tracing::warn!(%error, "cannot look for what was half started"),
    }
    let alive = sandboxes.iter().filter(|(_, pid)| pid.is_some());
    limiter.clear(&alive.map(|(id, _)| *id).collect::<Vec<_>>());
}

/// A failure of this machine, with its cause for the log.
fn internal(message: &'static str) -> impl Fn(io::Error) -> ProviderError {
    move |error| ProviderError::new(Kind::Internal, message).caused_by(error)
}

/// Does file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
