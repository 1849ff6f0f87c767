//! Takes down what a pool of this folder has made, nobody has, and nobody will hand out.

use std::time::Duration;

use bollard::Docker;
use sandgate_kit::ProviderError;

use super::lock;
use crate::{
    Container, find,
    names::{self, label},
    remove,
    sweep::{AGE, is_old},
};

impl Container {
    /// The same for a sweep, which may come while another process has the pool: then it is that
    /// one's to do.
    pub(crate) async fn remove_unshelved(&self, docker: &Docker) -> Result<(), ProviderError> {
        let Some(host) = &self.ways.host else {
            return Ok(());
        };
        let _lock = match &self.pool {
            Some(_) => None,
            None => match lock(&host.lock_file()) {
                Ok(lock) => Some(lock),
                Err(_) => return Ok(()),
            },
        };
        self.remove_leftovers(docker).await
    }

    /// The lock of the pool is held. Without a pool nothing is in the making, so all may go.
    pub(super) async fn remove_leftovers(&self, docker: &Docker) -> Result<(), ProviderError> {
        let age = self.pool.as_ref().map_or(Duration::ZERO, |_| AGE);
        let ours = names::labelled(&self.config.name_prefix, label::POOL, Some(&self.own_id()));
        for found in find::listed(docker, &ours).await? {
            let names = found.names.iter().flatten();
            let mut names = names.map(|name| name.trim_start_matches('/'));
            let unused = names.find(|name| name.starts_with(&self.pool_prefix()));
            let (Some(id), Some(slot)) = (&found.id, unused) else {
                continue;
            };
            if is_old(&found, age) && !self.is_held(id) {
                remove::container(docker, id).await?;
                self.remove_slot(slot.to_owned()).await;
            }
        }
        self.remove_unused_networks(docker, &ours, age).await
    }

    /// Whether the pool has a container, or has handed it out.
    fn is_held(&self, id: &str) -> bool {
        let Some(pool) = &self.pool else {
            return false;
        };
        // In this order: one that has just been handed out has an owner by then.
        pool.shelf.holds(id) || self.owners.all().iter().any(|(_, one)| one.container == id)
    }
}
