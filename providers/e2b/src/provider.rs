//! The provider itself: one method for each call of the kit.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Client, ClientBuilder};
use sandgate_kit::{
    CallContext, Instance, Kind, Page, PortAddress, Provider, ProviderError, Reached, Spec,
};
use sandgate_proto::v1::{Capabilities, SandboxSpec};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::DuplexStream;

use crate::{
    api::{Api, body::Detail},
    capabilities,
    config::Config,
    envd::{Address, Envd, EnvdFault},
    fault::Fault,
    instance, kept,
    kept::Kept,
    marks,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which a connection of HTTP/2 is asked whether it lives, and the time for an answer.
const PING: Duration = Duration::from_secs(20);
/// Bytes that one stream may have in flight, and all of a connection: so many readers who do not read
/// hold up no others.
const STREAM: u32 = 256 * 1024;
const CONNECTION: u32 = 256 * 1024 * 1024;

/// Sandboxes at E2B, each with its user's key.
#[derive(Clone, Debug)]
pub struct E2b {
    pub(crate) api: Api,
    pub(crate) client: Client,
    pub(crate) config: Arc<Config>,
}

impl E2b {
    /// Asks nobody.
    ///
    /// # Errors
    /// `Rejected` where TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, ProviderError> {
        let client = sandgate_service::web::builder()
            .and_then(|builder| Ok(tuned(builder).build()?))
            .map_err(|error| ProviderError::new(Kind::Rejected, error.to_string()))?;
        Ok(Self {
            api: Api::new(client.clone(), &config.api_url),
            client,
            config: Arc::new(config),
        })
    }

    /// What the gateway keeps of a sandbox, with the defaults of what it does not.
    pub(crate) fn kept(&self, context: &CallContext) -> Kept {
        let mut kept = Kept::read(context.state.expose_secret());
        if kept.user.is_empty() {
            kept.user.clone_from(&self.config.user);
        }
        kept
    }

    /// The domain of a sandbox.
    pub(crate) fn domain<'a>(&'a self, kept: &'a Kept) -> &'a str {
        if kept.domain.is_empty() {
            &self.config.domain
        } else {
            &kept.domain
        }
    }

    pub(crate) fn envd(&self, id: &str, kept: &Kept) -> Result<Envd, EnvdFault> {
        let address = Address {
            sandbox_id: id,
            domain: self.domain(kept),
            url: &self.config.sandbox_url,
            token: kept.token.as_ref(),
        };
        Envd::at(self.client.clone(), &address)
    }

    /// The sandbox of the context, as E2B describes it.
    pub(crate) async fn find(&self, context: &CallContext) -> Result<Detail, ProviderError> {
        let key = key(context)?;
        let id = &context.provider_sandbox_id;
        if id.is_empty() {
            let all = self.own(context, key).await.map_err(Fault::harmless)?;
            return all.into_iter().next().ok_or_else(gone);
        }
        let found = match self.api.get(key, id).await {
            Ok(found) => found,
            Err(fault) if fault.is_gone() => return Err(self.unseen(context, key)),
            Err(fault) => return Err(fault.harmless()),
        };
        let none = Default::default();
        let metadata = found.metadata.as_ref().unwrap_or(&none);
        if marks::own(context, metadata) {
            Ok(found)
        } else {
            Err(gone())
        }
    }

    /// Why E2B does not show a sandbox: it is gone, or another account's than the one that is asked.
    fn unseen(&self, context: &CallContext, key: &SecretString) -> ProviderError {
        let made_with = self.kept(context).key;
        if made_with.is_empty() || made_with == kept::digest(key) {
            return gone();
        }
        ProviderError::new(
            Kind::CredentialRejected,
            "E2B does not show this sandbox to your present key: set the connection `e2b` to a key of the account that it was made in, or delete the sandbox if it is gone",
        )
    }
}

fn tuned(builder: ClientBuilder) -> ClientBuilder {
    builder
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .http2_initial_stream_window_size(STREAM)
        .http2_initial_connection_window_size(CONNECTION)
}

/// The caller's key. There is no other one to fall back to.
pub(crate) fn key(context: &CallContext) -> Result<&SecretString, ProviderError> {
    let key = context.credential.as_ref().map(|(_, value)| value);
    key.ok_or_else(|| {
        ProviderError::new(
            Kind::ConnectionRequired,
            "E2B needs a key of yours: make one in its dashboard and set the connection `e2b` with ConnectionService",
        )
    })
}

pub(crate) fn gone() -> ProviderError {
    ProviderError::new(
        Kind::SandboxGone,
        "E2B does not have this sandbox any more: it was killed, or its time was over",
    )
}

impl Provider for E2b {
    type Link = DuplexStream;

    fn id(&self) -> &'static str {
        "e2b"
    }

    fn resolved(&self, spec: SandboxSpec) -> SandboxSpec {
        capabilities::resolved(&self.config, spec)
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        Ok(capabilities::of(self.id(), &self.config))
    }

    async fn health(&self) -> Result<(), ProviderError> {
        Ok(self.api.is_there().await?)
    }

    async fn create(&self, context: &CallContext, spec: Spec) -> Result<Instance, ProviderError> {
        self.make_or_find(context, spec).await
    }

    async fn get(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        let found = self.find(context).await?;
        let mut kept = self.kept(context);
        kept.take(&found.access);
        Ok(instance::described(&found, &kept))
    }

    async fn list(
        &self,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        let all = self
            .api
            .list(key(context)?, &marks::of_owner(context))
            .await;
        let all = all.map_err(Fault::harmless)?;
        let mut all: Vec<Instance> = all.iter().map(instance::listed).collect();
        all.retain(|one| one.sandbox_id > page.after);
        // E2B lists a page at a time in its own order, so that all of it is read.
        all.sort_by(|one, other| one.sandbox_id.cmp(&other.sandbox_id));
        all.truncate(page.size);
        Ok(all)
    }

    async fn start(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.wake(context).await
    }

    async fn stop(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.rest(context, false).await
    }

    async fn pause(
        &self,
        context: &CallContext,
        _hibernate: bool,
    ) -> Result<Instance, ProviderError> {
        self.rest(context, true).await
    }

    async fn resume(&self, context: &CallContext) -> Result<Instance, ProviderError> {
        self.wake(context).await
    }

    async fn renew(
        &self,
        context: &CallContext,
        keep_for: Option<Duration>,
    ) -> Result<Instance, ProviderError> {
        self.keep_up(context, keep_for).await
    }

    async fn delete(&self, context: &CallContext) -> Result<(), ProviderError> {
        self.remove(context).await
    }

    fn gives_ports(&self) -> bool {
        true
    }

    async fn addresses(
        &self,
        context: &CallContext,
        port: Option<u16>,
    ) -> Result<Vec<PortAddress>, ProviderError> {
        self.addresses_of(context, port).await
    }

    async fn reach(&self, context: &CallContext) -> Result<Reached<DuplexStream>, ProviderError> {
        let greeted = self.greet(context).await?;
        Ok(Reached {
            link: greeted.link(),
            secret: Bytes::new(),
        })
    }
}
