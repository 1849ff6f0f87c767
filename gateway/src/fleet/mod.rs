//! The providers of this gateway: connections to each, and what is known of their health. A
//! provider is an entry of the configuration; none is known by name.

mod call;
mod endpoint;
mod failure;
mod files;
mod health;
mod request;

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderValue;
use sandgate_service::{Drain, PeerError, TlsFiles, Wire, WirePeer, WorkerId};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::task::TaskTracker;

pub(crate) use call::{Answer, Context, Renewed};
pub(crate) use endpoint::{Endpoint, Runtimes, Seen};
pub(crate) use failure::failure;
pub(crate) use files::{Archive, Moved, Piece};

use crate::{problem, problem::Result};

/// One provider of the configuration: an id, and the services that stand behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEntry {
    /// Its id.
    pub id: String,
    /// `http://host:port` or `https://host:port` of each replica.
    pub urls: Vec<String>,
}

/// How all providers are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Token that each provider wants.
    pub token: Option<SecretString>,
    /// Files for `https`.
    pub tls: TlsFiles,
    /// Connections of each worker to each endpoint.
    pub connections: usize,
}

/// Every configured provider.
pub(crate) struct Fleet {
    providers: BTreeMap<String, Provider>,
}

/// One provider and its endpoints.
pub(crate) struct Provider {
    id: Arc<str>,
    endpoints: Vec<Arc<Endpoint>>,
    authorization: Option<HeaderValue>,
}

/// A way to send one call: a connection, and what lets it in.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) provider: Arc<str>,
    pub(crate) wire: Wire,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Fleet {
    /// Sets up the wires; connects to nobody yet.
    pub(crate) fn new(
        entries: &[ProviderEntry],
        access: &Access,
        runtimes: &Runtimes,
    ) -> std::result::Result<Self, PeerError> {
        let authorization = access.token.as_ref().and_then(bearer);
        let mut providers = BTreeMap::new();
        for entry in entries {
            let endpoints = entry.urls.iter().map(|url| {
                let peer = WirePeer {
                    url: url.clone(),
                    tls: access.tls.clone(),
                };
                Endpoint::new(&peer, access.connections, runtimes).map(Arc::new)
            });
            let provider = Provider {
                id: entry.id.as_str().into(),
                endpoints: endpoints.collect::<std::result::Result<_, _>>()?,
                authorization: authorization.clone(),
            };
            providers.insert(entry.id.clone(), provider);
        }
        Ok(Self { providers })
    }

    /// Starts to watch the health of every endpoint, until the drain begins.
    pub(crate) fn watch(&self, tasks: &TaskTracker, drain: &Drain) {
        for provider in self.providers.values() {
            for endpoint in &provider.endpoints {
                let lane = provider.lane_to(endpoint, None);
                tasks.spawn(health::watch(endpoint.clone(), lane, drain.clone()));
            }
        }
    }

    /// Whether there is a provider with this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.providers.contains_key(id)
    }

    /// The ids of all providers, sorted.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.providers.keys().map(String::as_str).collect()
    }

    /// All providers, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// A provider by its id.
    pub(crate) fn provider(&self, id: &str) -> Result<&Provider> {
        self.providers
            .get(id)
            .ok_or_else(|| problem::provider_not_configured(id, &self.ids()))
    }
}

impl Provider {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Its endpoints, as configured.
    pub(crate) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// A way to the replica that holds a sandbox, or to any that is well if `instance_id` is
    /// empty: for what a worker relays, or for the gateway's own calls.
    pub(crate) fn lane(&self, instance_id: &str, worker: Option<WorkerId>) -> Result<Lane> {
        let chosen = match instance_id {
            "" => self.endpoints.iter().min_by_key(|endpoint| endpoint.rank()),
            // A single endpoint needs no health check to be the one that holds it.
            _ if self.endpoints.len() == 1 => self.endpoints.first(),
            _ => self
                .endpoints
                .iter()
                .find(|endpoint| endpoint.is_instance(instance_id)),
        };
        chosen
            .map(|endpoint| self.lane_to(endpoint, worker))
            .ok_or_else(|| problem::holder_unavailable(&self.id, instance_id))
    }

    fn lane_to(&self, endpoint: &Endpoint, worker: Option<WorkerId>) -> Lane {
        Lane {
            provider: self.id.clone(),
            wire: endpoint.wire(worker).clone(),
            authorization: self.authorization.clone(),
        }
    }
}

fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
