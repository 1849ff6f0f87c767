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
    ready, step,
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
            let id = made.id.clone();
            let handed = match self.hand_out(docker, context, spec, &made).await {
                // The name is taken: the usual way tells by whom.
                Ok(None) => {
                    self.put_back(made);
                    Some(None)
                }
                Ok(handed) => Some(handed),
                Err(error) => {
                    tracing::warn!(%error, container = made.id, "a sandbox that was made ahead cannot be used");
                    self.take_back(docker, &self.marks(context).container(), &made)
                        .await;
                    None
                }
            };
            self.has_left(&id);
            if let Some(handed) = handed {
                return Ok(handed);
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
        shelf.leaving().push(made.id.clone());
        drop(ready);
        shelf.taken.notify_one();
        Some(made)
    }

    fn put_back(&self, made: Made) {
        if let Some(pool) = &self.pool {
            pool.shelf.ready().push(made);
        }
    }

    fn has_left(&self, id: &str) {
        if let Some(pool) = &self.pool {
            pool.shelf.leaving().retain(|one| one != id);
        }
    }

    /// Takes down one that was not quite handed out. If that fails, its owner's file stays: deleting
    /// the sandbox finds it by that.
    async fn take_back(&self, docker: &Docker, name: &str, made: &Made) {
        let owner = self.owners.read(name);
        let Some(owner) = owner.filter(|owner| owner.container == made.id) else {
            return self.discard(made).await;
        };
        if let Err(error) = self.remove_owned(docker, name, &owner).await {
            tracing::warn!(%error, container = made.id, "it is left; deleting the sandbox removes it");
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
        step::reached("container.take.taken")?;
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
        written.map_err(crate::slots::no_folder)?;
        step::reached("container.take.owned")?;
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
        step::reached("container.take.renamed")?;
        // Whether it still runs is told by its runner, and sooner than the engine would.
        let answer = ready::once(docker, &made.container, "").await;
        answer.map_err(|why| find::gone().caused_by(why))?;
        step::reached("container.take.answered")?;
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
