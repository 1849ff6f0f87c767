//! Makes sandboxes ahead, and takes them down.

use std::{sync::Arc, time::Duration};

use bollard::{Docker, models::ContainerInspectResponse};
use sandgate_kit::{ProviderError, Spec};
use sandgate_proto::v1::sandbox_spec::Source;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Made, Shelf};
use crate::{
    Container, body::Plan, create::Failed, instance::Kept, names, network, remove, start::Visit,
    step, way::Choice,
};

/// After one was taken: whoever is taking more has the engine for itself meanwhile.
const REST: Duration = Duration::from_millis(150);
/// Between two looks without any having been taken: an image may have changed.
const LOOK: Duration = Duration::from_secs(60);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps the shelf full until its end.
pub(super) async fn fill(container: Container, shelf: Arc<Shelf>, wishes: Vec<(String, usize)>) {
    while !shelf.end.is_cancelled() {
        let filled = container.fill_once(&shelf, &wishes).await;
        let pause = match &filled {
            Ok(()) => LOOK,
            Err(Failed::NotShared(why)) => {
                tracing::warn!(
                    why,
                    "the engine's host is not ours, so no sandboxes are made ahead"
                );
                return;
            }
            Err(Failed::Other(error)) => {
                tracing::warn!(%error, "a sandbox could not be made ahead; it is tried again");
                PAUSE
            }
        };
        tokio::select! {
            () = shelf.end.cancelled() => return,
            () = sleep(pause) => {}
            () = shelf.taken.notified(), if filled.is_ok() => sleep(REST).await,
        }
    }
}

impl Container {
    async fn fill_once(&self, shelf: &Shelf, wishes: &[(String, usize)]) -> Result<(), Failed> {
        let docker = self.engine.docker().await?;
        for (image, number) in wishes {
            let facts = self.engine.facts().await?;
            let spec = Spec {
                source: Some(Source::Image(image.clone())),
                ..Spec::default()
            };
            let mut plan = Plan::new(&self.config, &facts, &spec)?;
            let people = self.images.people(&docker, self.looker(), image).await?;
            plan.settle(&people)?;
            self.discard_old(shelf, &plan, &people.image).await;
            while !shelf.end.is_cancelled() {
                let there = shelf
                    .ready()
                    .iter()
                    .filter(|made| made.plan == plan)
                    .count();
                if there >= *number {
                    break;
                }
                let made = self.make_ahead(&docker, &plan, &people.image).await?;
                shelf.ready().push(made);
            }
        }
        Ok(())
    }

    /// Takes down those whose image has become another one.
    async fn discard_old(&self, shelf: &Shelf, plan: &Plan, image: &str) {
        let is_old = |made: &mut Made| made.plan == *plan && made.image != image;
        let old: Vec<Made> = shelf.ready().extract_if(.., is_old).collect();
        for made in old {
            self.discard(&made).await;
        }
    }

    async fn make_ahead(&self, docker: &Docker, plan: &Plan, image: &str) -> Result<Made, Failed> {
        let id = Uuid::new_v4().simple().to_string();
        let mut made = Made {
            id: String::new(),
            name: format!("{}{}", self.pool_prefix(), &id[..12]),
            network: String::new(),
            plan: plan.clone(),
            image: image.to_owned(),
            home: String::new(),
            container: ContainerInspectResponse::default(),
        };
        let done = self.make_into(docker, &mut made).await;
        if let Err(failed) = done {
            self.discard(&made).await;
            return Err(failed);
        }
        Ok(made)
    }

    /// Notes what is there as soon as it is, so that a failure leaves nothing.
    async fn make_into(&self, docker: &Docker, made: &mut Made) -> Result<(), Failed> {
        let facts = self.engine.facts().await?;
        let choice = self.ways.choose(&facts.id);
        if choice == Choice::Bridge {
            return Err(Failed::NotShared("a bridge leads to its runners".into()));
        }
        let labels = names::pool(&self.config.name_prefix, &self.own_id());
        let wanted = network::Wanted {
            name: format!("{}-net", made.name),
            seed: made.name.clone(),
            labels: &labels,
        };
        made.network = network::create(docker, wanted, self.subnets, |_| false).await?;
        step::reached("container.pool.network.made")?;
        let way = self.make_way(made.name.clone(), choice, names::Labels::new());
        let way = way.await?;
        let (name, network) = (made.name.as_str(), made.network.as_str());
        let new = self.create_container(docker, name, &made.plan, labels, network, &way, None);
        made.id = new
            .await?
            .map_err(|fault| crate::create::unmade(choice, fault))?;
        step::reached("container.pool.container.made")?;
        let mut kept = Kept::default();
        let visit = Visit::first(&made.id, choice == Choice::TrySocket);
        let container = self.run(docker, visit, &mut kept).await?;
        if choice == Choice::TrySocket {
            self.ways.learn(&facts.id, true);
        }
        made.home = kept.home;
        made.container = container;
        Ok(())
    }

    /// Takes one down that no sandbox will be. What stays is removed by a sweep.
    pub(super) async fn discard(&self, made: &Made) {
        let removed = async {
            let docker = self.engine.docker().await?;
            if !made.id.is_empty() {
                remove::container(&docker, &made.id).await?;
            }
            if !made.network.is_empty() {
                remove::network(&docker, &made.network).await?;
            }
            Ok::<_, ProviderError>(())
        };
        match removed.await {
            Ok(()) => self.remove_slot(made.name.clone()).await,
            Err(error) => {
                tracing::warn!(%error, container = made.id, "a sandbox that was made ahead is left");
            }
        }
    }

    pub(super) fn pool_prefix(&self) -> String {
        format!("{}-pool-", self.config.name_prefix)
    }
}
