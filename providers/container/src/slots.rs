//! What a container has on the host: made before it, removed after it.

use sandgate_kit::{Kind, ProviderError};
use tokio::task::spawn_blocking;

use crate::{
    Container,
    host::Slot,
    names::Labels,
    way::{Choice, Way},
};

impl Container {
    /// Makes on the host what a container is to have mounted.
    pub(crate) async fn make_way(
        &self,
        slot: String,
        choice: Choice,
        labels: Labels,
    ) -> Result<Way, ProviderError> {
        if choice == Choice::Bridge {
            return Ok(Way::Bridge);
        }
        let (ways, facts) = (self.ways.clone(), self.engine.facts().await?);
        let made = spawn_blocking(move || ways.make(&slot, &facts.id, &labels)).await;
        made.map_err(std::io::Error::from)
            .flatten()
            .map_err(no_folder)
    }

    /// What is mounted into a container, the runner among it.
    pub(crate) async fn mounts(
        &self,
        way: &Way,
    ) -> Result<Vec<bollard::models::Mount>, ProviderError> {
        let ways = self.ways.clone();
        let runner = spawn_blocking(move || ways.host.as_ref().map(|host| host.runner()));
        let runner = runner.await.map_err(std::io::Error::from);
        let runner = runner.and_then(Option::transpose).map_err(no_folder)?;
        Ok(runner.map_or_else(Vec::new, |runner| way.mounts(&runner)))
    }

    /// Removes what is a container's on the host. What stays is removed by a sweep.
    pub(crate) async fn remove_slot(&self, slot: String) {
        let ways = self.ways.clone();
        let removed = spawn_blocking(move || ways.remove(&slot).map_err(|error| (slot, error)));
        if let Ok(Err((slot, error))) = removed.await {
            tracing::warn!(%error, slot, "what a container had on the host is left");
        }
    }

    /// The folders on the host for containers of an engine.
    pub(crate) async fn slots(&self, engine: &str) -> Result<Vec<Slot>, ProviderError> {
        let (ways, engine) = (self.ways.clone(), engine.to_owned());
        let read = move || ways.host.as_ref().map(|host| host.slots(&engine));
        let slots = spawn_blocking(read).await.map_err(std::io::Error::from);
        let slots = slots.and_then(Option::transpose).map_err(no_folder)?;
        Ok(slots.unwrap_or_default())
    }
}

pub(crate) fn no_folder(error: std::io::Error) -> ProviderError {
    let message = "the folder of the sandbox cannot be made on the host: check SANDGATE_DATA_DIR, its space and its owner";
    ProviderError::new(Kind::Internal, message).caused_by(error)
}
