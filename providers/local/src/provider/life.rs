//! The life of a sandbox: made, found, stopped, started, removed.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Kind, ProviderError, Spec};
use sandgate_proto::{Outcome, v1::SandboxState};
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Inner, blocking, internal, start::GRACE};
use crate::{
    bwrap::HOME,
    control::connect,
    init::Init,
    leftovers,
    request::{sandbox_id, wanted},
    step,
    store::{CONTROL, Meta, State},
    sweep,
};

/// How long a runner may take to end after the last process was killed, before it is killed.
const FLUSH: Duration = Duration::from_secs(3);
/// How long killed processes may take to be gone.
const END: Duration = Duration::from_secs(10);

impl Inner {
    pub(super) async fn create(
        self: &Arc<Self>,
        context: &CallContext,
        spec: Spec,
    ) -> Result<Instance, ProviderError> {
        let id = sandbox_id(context)?;
        let mut meta = match self.read(id).await {
            Ok(meta) if owned(&meta, context) && meta.generation == context.generation => {
                end_half_started(&meta).await?;
                meta
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let wanted = wanted(spec, &self.config.defaults)?;
                self.check().await?;
                step::reached("local.create.begin")?;
                let meta = Meta::new(id, context.owner.clone(), context.generation, wanted);
                let (inner, made) = (self.clone(), meta.clone());
                blocking(move || inner.store.create(&made, inner.identity.of(id)))
                    .await
                    .map_err(internal(
                        "the sandbox's folders cannot be made; look at the free space of the data folder",
                    ))?;
                meta
            }
            _ => {
                return Err(ProviderError::new(
                    Kind::Rejected,
                    "a sandbox with this id is there already, of another session or generation; choose another sandbox_id, or delete that one",
                ));
            }
        };
        // One that was stopped stays so; one that a crash cut off is finished.
        if meta.start_time.is_none()
            && let Err(error) = self.bring_up(&mut meta).await
        {
            self.remove(id).await?;
            return Err(error);
        }
        Ok(self.instance(&meta))
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        Ok(self.instance(&self.find(context).await?))
    }

    pub(super) async fn start(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        let mut meta = self.find(context).await?;
        if meta.alive().is_none() {
            self.check().await?;
            end_half_started(&meta).await?;
            self.bring_up(&mut meta).await?;
        }
        Ok(self.instance(&meta))
    }

    pub(super) async fn stop(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        let mut meta = self.find(context).await?;
        // Also where it is stopped already: then there is nothing to end.
        self.end(meta.sandbox_id, meta.init.as_ref()).await?;
        if meta.state == State::Running {
            meta.stopped();
            self.write(&meta).await?;
        }
        Ok(self.instance(&meta))
    }

    pub(super) async fn delete(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<(), ProviderError> {
        let id = sandbox_id(context)?;
        step::reached("local.delete.begin")?;
        match self.read(id).await {
            Ok(meta) if !owned(&meta, context) => return Err(gone()),
            Ok(meta) => self.end(id, meta.init.as_ref()).await?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // One whose file is damaged is nobody's any more; the gateway knows whose it was.
            Err(_) => self.end(id, None).await?,
        }
        step::reached("local.delete.ended")?;
        self.remove(id).await?;
        step::reached("local.delete.end")
    }

    pub(super) async fn take_away(self: &Arc<Self>) -> Result<(), ProviderError> {
        let inner = self.clone();
        blocking(move || sweep::take_away(&inner.store, &inner.limiter))
            .await
            .map_err(internal("the data folder cannot be read"))
    }

    async fn remove(self: &Arc<Self>, id: Uuid) -> Result<(), ProviderError> {
        let inner = self.clone();
        blocking(move || inner.store.remove(id)).await.map_err(internal(
            "not all files of the sandbox can be removed; the log says why, and deleting again is safe",
        ))
    }

    /// Ends all of a sandbox and waits until its processes and control groups are gone. A signal and
    /// no `Shutdown`, which is the same to the runner: code inside can take its socket away.
    pub(super) async fn end(&self, id: Uuid, init: Option<&Init>) -> Result<(), ProviderError> {
        let failed = internal("the sandbox cannot be ended; the provider's log says why");
        let held = match init {
            Some(init) => init.hold().map_err(&failed)?,
            None => {
                end_unnoted(id).await?;
                None
            }
        };
        let ended = async {
            if let Some(held) = &held {
                held.terminate();
                if timeout(GRACE + FLUSH, held.gone()).await.is_err() {
                    held.kill();
                    held.gone().await;
                }
            }
            step::reached("local.end.processes")?;
            // The kernel lets go of a control group some moments after its last process.
            while let Err(error) = self.limiter.forget(id) {
                tracing::debug!(%error, "a control group is not empty yet");
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        let ended = timeout(GRACE + FLUSH + END, ended).await;
        ended.unwrap_or_else(|_| {
            Err(ProviderError::new(
                Kind::Internal,
                "some processes of the sandbox do not end; try again",
            ))
        })
    }

    /// A stream to the sandbox's runner.
    pub(super) async fn reach(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<UnixStream, ProviderError> {
        let meta = self.find(context).await?;
        let Some(init) = meta.alive() else {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is stopped; start it with StartSandbox, then repeat the call",
            ));
        };
        let control = self.store.folder(meta.sandbox_id).join(CONTROL);
        connect(&control, init).await.map_err(|error| {
            ProviderError::new(
                Kind::Unavailable(Outcome::Rejected),
                "the sandbox's runner cannot be reached; if it lasts, stop the sandbox and start it again",
            )
            .caused_by(error)
        })
    }

    /// The sandbox of this call, if it is its owner's.
    pub(super) async fn find(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Meta, ProviderError> {
        let id = sandbox_id(context)?;
        match self.read(id).await {
            Ok(meta) if owned(&meta, context) && meta.generation == context.generation => Ok(meta),
            Ok(_) => Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(internal(
                "the sandbox's file cannot be read; delete the sandbox",
            )(error)),
        }
    }

    async fn read(self: &Arc<Self>, id: Uuid) -> io::Result<Meta> {
        let inner = self.clone();
        blocking(move || inner.store.read(id)).await
    }

    pub(super) async fn write(self: &Arc<Self>, meta: &Meta) -> Result<(), ProviderError> {
        let (inner, meta) = (self.clone(), meta.clone());
        blocking(move || inner.store.write(&meta))
            .await
            .map_err(internal(
                "the sandbox's file cannot be written; look at the free space of the data folder",
            ))
    }

    pub(super) fn instance(&self, meta: &Meta) -> Instance {
        let (state, reason) = match (meta.state, meta.alive()) {
            (State::Running, Some(_)) => (SandboxState::Running, None),
            (State::Running, None) => (SandboxState::Stopped, Some(ended_unasked())),
            (State::Stopped, _) => (SandboxState::Stopped, None),
        };
        Instance {
            sandbox_id: meta.sandbox_id.to_string(),
            session_id: meta.session_id.clone(),
            provider_sandbox_id: meta.sandbox_id.to_string(),
            instance_id: self.store.instance_id().to_owned(),
            state,
            reason,
            generation: meta.generation,
            workspace_path: meta.workdir.clone(),
            home_path: HOME.to_owned(),
            create_time: Some(meta.create_time),
            start_time: meta.start_time,
            expire_time: None,
            state_data: Bytes::new(),
        }
    }
}

/// Ends what was being started when a provider was killed, and came up only after the next one had
/// looked. One that is noted needs no look.
async fn end_half_started(meta: &Meta) -> Result<(), ProviderError> {
    match meta.init {
        Some(_) => Ok(()),
        None => end_unnoted(meta.sandbox_id).await,
    }
}

/// Ends what runs of a sandbox of which nothing is noted.
async fn end_unnoted(id: Uuid) -> Result<(), ProviderError> {
    blocking(move || leftovers::end(&[(id, None)].into()).map(drop))
        .await
        .map_err(internal("the processes of the sandbox cannot be found"))
}

fn owned(meta: &Meta, context: &CallContext) -> bool {
    meta.gateway_id == context.owner.gateway_id && meta.session_id == context.owner.session_id
}

/// Why a sandbox that nobody stopped does not run.
fn ended_unasked() -> (&'static str, String) {
    let message = "its runner has ended without being asked: killed from outside, out of memory, or the machine was restarted; start the sandbox again";
    ("RUNNER_ENDED", message.to_owned())
}

fn gone() -> ProviderError {
    ProviderError::new(
        Kind::SandboxGone,
        "no such sandbox on this machine; make a new one with CreateSandbox",
    )
}
