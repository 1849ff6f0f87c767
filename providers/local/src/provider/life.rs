//! The life of a sandbox: made, found, listed, stopped, started, removed.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Kind, Page, ProviderError, Spec};
use sandgate_proto::v1::SandboxState;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Inner, blocking, internal};
use crate::{
    bwrap::HOME,
    live::Slot,
    request::{sandbox_id, wanted},
    store::{Meta, State},
};

/// How long killed processes may take to be gone.
const END: Duration = Duration::from_secs(10);

impl Inner {
    pub(super) async fn create(
        self: &Arc<Self>,
        context: &CallContext,
        spec: Spec,
    ) -> Result<Instance, ProviderError> {
        let id = sandbox_id(context)?;
        let slot = self.live.slot(id);
        let _life = slot.life.write().await;
        match self.read(id).await {
            Ok(meta) if owned(&meta, context) && meta.generation == context.generation => {
                return Ok(self.instance(&meta));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                return Err(ProviderError::new(
                    Kind::Rejected,
                    "a sandbox with this id is there already, of another session or generation; choose another sandbox_id, or delete that one",
                ));
            }
        }
        let wanted = wanted(spec, &self.config.defaults)?;
        self.check().await?;
        let meta = Meta::new(id, context.owner.clone(), context.generation, wanted);
        let (inner, made) = (self.clone(), meta.clone());
        blocking(move || inner.store.create(&made, inner.identity.of(id)))
            .await
            .map_err(internal(
                "the sandbox's folders cannot be made; look at the free space of the data folder",
            ))?;
        Ok(self.instance(&meta))
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        Ok(self.instance(&self.find(context).await?))
    }

    pub(super) async fn list(
        self: &Arc<Self>,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        let (inner, context) = (self.clone(), context.clone());
        let read = move || {
            let mut found = Vec::new();
            for id in inner.store.ids()? {
                if found.len() >= page.size {
                    break;
                }
                if id.to_string() <= page.after {
                    continue;
                }
                match inner.store.read(id) {
                    Ok(meta) if listed(&meta, &context) => found.push(inner.instance(&meta)),
                    Ok(_) => {}
                    // Removed since the folder was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(sandbox_id = %id, %error, "not listed: its file is damaged");
                    }
                }
            }
            Ok(found)
        };
        blocking(read)
            .await
            .map_err(internal("the data folder cannot be read"))
    }

    pub(super) async fn start(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        let slot = self.slot(sandbox_id(context)?)?;
        let _life = slot.life.write().await;
        let mut meta = self.find(context).await?;
        if meta.state == State::Stopped {
            meta.state = State::Running;
            meta.start_time = SystemTime::now();
            self.write(&meta).await?;
        }
        Ok(self.instance(&meta))
    }

    pub(super) async fn stop(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<Instance, ProviderError> {
        let id = sandbox_id(context)?;
        let slot = self.slot(id)?;
        let _life = slot.life.write().await;
        let mut meta = self.find(context).await?;
        // Also where it is stopped already: then there is nothing to end.
        self.end_all(id, &slot).await?;
        if meta.state == State::Running {
            meta.state = State::Stopped;
            self.write(&meta).await?;
        }
        Ok(self.instance(&meta))
    }

    pub(super) async fn delete(
        self: &Arc<Self>,
        context: &CallContext,
    ) -> Result<(), ProviderError> {
        let id = sandbox_id(context)?;
        let slot = self.live.slot(id);
        {
            let _life = slot.life.write().await;
            match self.read(id).await {
                Ok(meta) if !owned(&meta, context) => return Err(gone()),
                // One whose file is damaged is nobody's any more; the gateway knows whose it was.
                _ => {}
            }
            self.end_all(id, &slot).await?;
            let inner = self.clone();
            blocking(move || inner.store.remove(id)).await.map_err(internal(
                "not all files of the sandbox can be removed; the log says why, and deleting again is safe",
            ))?;
        }
        self.live.forget(id, slot);
        Ok(())
    }

    /// Ends all commands of a sandbox and waits until their processes are gone.
    async fn end_all(&self, id: Uuid, slot: &Slot) -> Result<(), ProviderError> {
        let running = slot.running();
        for namespace in &running {
            namespace.kill();
        }
        let ended = async {
            for namespace in &running {
                namespace.gone().await;
            }
            // The kernel lets go of a control group some moments after its last process.
            while let Err(error) = self.limiter.forget(id) {
                tracing::debug!(%error, "a control group is not empty yet");
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(END, ended).await.map_err(|_| {
            ProviderError::new(
                Kind::Internal,
                "some processes of the sandbox do not end; try again",
            )
        })
    }

    /// The slot of a sandbox that is there; ids that are made up take no memory.
    pub(super) fn slot(&self, id: Uuid) -> Result<Arc<Slot>, ProviderError> {
        if self.store.folder(id).exists() {
            Ok(self.live.slot(id))
        } else {
            Err(gone())
        }
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

    async fn write(self: &Arc<Self>, meta: &Meta) -> Result<(), ProviderError> {
        let (inner, meta) = (self.clone(), meta.clone());
        blocking(move || inner.store.write(&meta))
            .await
            .map_err(internal(
                "the sandbox's file cannot be written; look at the free space of the data folder",
            ))
    }

    fn instance(&self, meta: &Meta) -> Instance {
        let state = match meta.state {
            State::Running => SandboxState::Running,
            State::Stopped => SandboxState::Stopped,
        };
        Instance {
            sandbox_id: meta.sandbox_id.to_string(),
            session_id: meta.session_id.clone(),
            provider_sandbox_id: meta.sandbox_id.to_string(),
            instance_id: self.store.instance_id().to_owned(),
            state,
            reason: None,
            generation: meta.generation,
            workspace_path: meta.workdir.clone(),
            home_path: HOME.to_owned(),
            create_time: Some(meta.create_time),
            start_time: Some(meta.start_time),
            state_data: Bytes::new(),
        }
    }
}

fn owned(meta: &Meta, context: &CallContext) -> bool {
    meta.gateway_id == context.owner.gateway_id && meta.session_id == context.owner.session_id
}

fn listed(meta: &Meta, context: &CallContext) -> bool {
    let owner = &context.owner;
    meta.gateway_id == owner.gateway_id
        && (owner.session_id.is_empty() || meta.session_id == owner.session_id)
}

fn gone() -> ProviderError {
    ProviderError::new(
        Kind::SandboxGone,
        "no such sandbox on this machine; make a new one with CreateSandbox",
    )
}
