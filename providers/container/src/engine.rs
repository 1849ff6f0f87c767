//! The way to one engine. Made without asking it anything; connects at the first call, and again
//! after the engine was away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};

use crate::{
    call::{self, CLIENT_SECONDS},
    detect::Endpoint,
    fault::{Cause, Fault},
};

/// A handle on the engine; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// A client of the version that both sides speak.
    docker: Option<Docker>,
    /// What the engine last said of itself; kept while it is away.
    facts: Option<Arc<Facts>>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its id, stable over restarts.
    pub(crate) id: String,
    /// Its cores.
    pub(crate) cpus: u64,
    /// Its memory, bytes.
    pub(crate) memory_bytes: u64,
    /// Runtime of containers that ask for none.
    pub(crate) default_runtime: String,
}

impl Engine {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            known: Mutex::default(),
        }))
    }

    /// A client. Cheap but for the first time and for the first after [`Self::check`] failed.
    pub(crate) async fn docker(&self) -> Result<Docker, Fault> {
        if let Some(docker) = self.known().docker.clone() {
            return Ok(docker);
        }
        let docker = client(&self.0.endpoint)
            .map_err(|error| Fault::new("connect", false, Cause::Engine(error)))?;
        let docker = call::NEGOTIATE.run(docker.negotiate_version()).await?;
        let info = call::INFO.run(docker.info()).await?;
        let facts = Facts {
            id: info.id.unwrap_or_default(),
            cpus: positive(info.ncpu),
            memory_bytes: positive(info.mem_total),
            default_runtime: info.default_runtime.unwrap_or_default(),
        };
        tracing::info!(engine = facts.id, version = info.server_version, api = %docker.client_version(), "connected to the Docker Engine");
        *self.known() = Known {
            docker: Some(docker.clone()),
            facts: Some(Arc::new(facts)),
        };
        Ok(docker)
    }

    /// What the engine says of itself, or said before it went away.
    pub(crate) async fn facts(&self) -> Result<Arc<Facts>, Fault> {
        if let Some(facts) = self.known().facts.clone() {
            return Ok(facts);
        }
        self.docker().await?;
        Ok(self.known().facts.clone().unwrap_or_default())
    }

    /// Whether the engine answers. If it does not, the next call connects anew: another version
    /// may come up in its place.
    pub(crate) async fn check(&self) -> Result<(), Fault> {
        let answer = match self.docker().await {
            Ok(docker) => call::PING.run(docker.ping()).await.map(drop),
            Err(fault) => Err(fault),
        };
        if answer.is_err() {
            self.known().docker = None;
        }
        answer
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(endpoint: &Endpoint) -> Result<Docker, Error> {
    match endpoint {
        Endpoint::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), CLIENT_SECONDS, API_DEFAULT_VERSION)
        }
        Endpoint::Plain(address) => {
            Docker::connect_with_http(address, CLIENT_SECONDS, API_DEFAULT_VERSION)
        }
        Endpoint::Tls(address, files) => Docker::connect_with_ssl(
            address,
            &files.key,
            &files.cert,
            &files.ca,
            CLIENT_SECONDS,
            API_DEFAULT_VERSION,
        ),
    }
}

fn positive(number: Option<i64>) -> u64 {
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or_default()
}
