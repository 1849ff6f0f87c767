//! Hands one out: to one sandbox, once.

use bollard::{Docker, query_parameters::RenameContainerOptions};
use sandgate_kit::{CallContext, Instance, Network, ProviderError, Spec};

use super::Made;
use crate::{
    Container,
    body::Plan,
    call,
    fault::Fault,
    find::{self, Found},
    instance::Kept,
    owners::Owner,
    ready,
};

impl Container {
    /// One that was made ahead, if there is one that is just what the spec asks for.
    pub(crate) async fn take_ahead(
        &self,
        docker: &Docker,
        context: &CallContext,
        spec: &Spec,
        plan: &Plan,
        image: &str,
    ) -> Result<Option<Instance>, ProviderError> {
        let private = matches!(spec.network, Network::Private | Network::Unspecified);
        while let Some(made) = private.then(|| self.take(plan, image)).flatten() {
            match self.hand_out(docker, context, spec, &made).await {
                Ok(Some(instance)) => return Ok(Some(instance)),
                // The name is taken: the usual way tells by whom.
                Ok(None) => {
                    self.put_back(made);
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(%error, container = made.id, "a sandbox that was made ahead cannot be used");
                    self.owners.remove(&self.marks(context).container());
                    self.discard(&made).await;
                }
            }
        }
        Ok(None)
    }

    /// Takes one out of the pool, so that nobody else can.
    fn take(&self, plan: &Plan, image: &str) -> Option<Made> {
        let shelf = &self.pool.as_ref()?.shelf;
        let mut ready = shelf.ready();
        let same = |made: &Made| made.plan == *plan && made.image == image;
        let at = ready.iter().position(same)?;
        let made = ready.remove(at);
        drop(ready);
        shelf.taken.notify_one();
        Some(made)
    }

    fn put_back(&self, made: Made) {
        if let Some(pool) = &self.pool {
            pool.shelf.ready().push(made);
        }
    }

    /// Writes down whose it is, and renames it; nothing where the name is taken.
    async fn hand_out(
        &self,
        docker: &Docker,
        context: &CallContext,
        spec: &Spec,
        made: &Made,
    ) -> Result<Option<Instance>, ProviderError> {
        let marks = self.marks(context);
        let name = marks.container();
        let owner = Owner {
            engine: self.engine.facts().await?.id.clone(),
            container: made.id.clone(),
            network: made.network.clone(),
            slot: made.name.clone(),
            labels: marks.labels(&made.name, &spec.labels),
        };
        let written = self.owners.write(&name, &owner);
        written.map_err(crate::create::no_folder)?;
        let options = RenameContainerOptions { name: name.clone() };
        let renamed = call::RENAME.run(docker.rename_container(&made.id, options));
        match renamed.await {
            Ok(()) => {}
            Err(fault) if is_taken(&fault) => {
                self.owners.remove(&name);
                return Ok(None);
            }
            Err(fault) => return Err(fault.into()),
        }
        // Whether it still runs is told by its runner, and sooner than the engine would.
        let answer = ready::once(docker, &made.container, "").await;
        answer.map_err(|why| find::gone().caused_by(why))?;
        let found = Found {
            container: made.container.clone(),
            labels: owner.labels,
        };
        let kept = Kept {
            home: made.home.clone(),
            secret: String::new(),
        };
        Ok(Some(self.instance(context, &found, &kept).await?))
    }
}

fn is_taken(fault: &Fault) -> bool {
    fault.status() == Some(409)
}
