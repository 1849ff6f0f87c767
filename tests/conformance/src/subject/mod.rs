//! What is checked: one client for a gateway and for a provider service, which differ only in what
//! goes beside a call.

mod call;
mod direct;
mod execution;
mod files;
mod gateway;
mod place;
mod port;
mod watch;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sandgate_proto::v1;
use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

pub(crate) use self::{
    files::{reading, writing},
    place::{Place, line, new_execution, shell},
    port::fetched,
    watch::Watch,
};
use crate::{
    Options,
    failure::{Failure, broken},
};

/// For a call that makes, starts, stops or ends a sandbox.
pub(crate) const SLOW: Duration = Duration::from_secs(180);
/// For any other call of one answer.
pub(crate) const QUICK: Duration = Duration::from_secs(30);

/// What goes beside a call, and what comes beside its answer.
#[async_trait::async_trait]
trait Road: Send + Sync {
    /// The session of this run.
    fn session_id(&self) -> &str;
    /// Adds what the other side wants to know. An empty sandbox_id: a call about none.
    fn dress(&self, sandbox_id: &str, metadata: &mut MetadataMap);
    /// Keeps what came beside an answer.
    fn learn(&self, sandbox_id: &str, metadata: &MetadataMap);
    /// Ends the session.
    async fn close(&self) -> Result<(), Failure>;
}

/// A gateway, or a provider service.
pub(crate) struct Subject {
    channel: Channel,
    road: Box<dyn Road>,
    provider: String,
    image: Option<String>,
    direct: bool,
    made: Mutex<BTreeSet<String>>,
}

impl Subject {
    /// Connects, and makes the session of this run.
    pub(crate) async fn open(options: &Options) -> Result<Self, Failure> {
        let address = match options.target.split_once("://") {
            Some(_) => options.target.clone(),
            None => format!("http://{}", options.target),
        };
        let endpoint = Endpoint::from_shared(address)
            .map_err(|error| broken(format!("the target is no address: {error}")))?;
        // Windows so wide that a stream that is not read holds up no other on the connection.
        let channel = endpoint
            .connect_timeout(QUICK)
            .tcp_nodelay(true)
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1 << 30)
            .connect()
            .await
            .map_err(|error| {
                let target = &options.target;
                broken(format!(
                    "cannot connect to {target}: {error}; is it running there?"
                ))
            })?;
        let road: Box<dyn Road> = if options.direct {
            Box::new(direct::Direct::new(options)?)
        } else {
            Box::new(gateway::Gateway::open(options, channel.clone()).await?)
        };
        Ok(Self {
            channel,
            road,
            provider: options.provider.clone(),
            image: options.image.clone(),
            direct: options.direct,
            made: Mutex::default(),
        })
    }

    /// Whether no gateway stands between.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Id of the provider that is checked.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// The session of this run.
    pub(crate) fn session_id(&self) -> String {
        self.road.session_id().to_owned()
    }

    /// The spec that checks begin with.
    pub(crate) fn spec(&self) -> v1::SandboxSpec {
        v1::SandboxSpec {
            provider: self.provider.clone(),
            title: "conformance".to_owned(),
            source: self.image.clone().map(v1::sandbox_spec::Source::Image),
            ..Default::default()
        }
    }

    /// A sandbox that may or may not exist, to send calls about it.
    pub(crate) fn place(&self, sandbox_id: &str) -> Place<'_> {
        Place::new(self, sandbox_id)
    }

    /// A new id for a sandbox; from now on the run deletes what has it.
    pub(crate) fn new_id(&self) -> String {
        let id = Uuid::new_v4().to_string();
        self.made().insert(id.clone());
        id
    }

    /// Makes a sandbox from a spec, with an id from `new_id`.
    pub(crate) async fn create(
        &self,
        sandbox_id: &str,
        spec: v1::SandboxSpec,
    ) -> Result<v1::Sandbox, Failure> {
        let request = v1::CreateSandboxRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let made = self.place(sandbox_id).create(request).await?;
        made.sandbox
            .ok_or_else(|| broken("CreateSandbox answered without a sandbox"))
    }

    /// What the provider says about itself.
    pub(crate) async fn capabilities(&self) -> Result<v1::Capabilities, Failure> {
        let request = v1::GetCapabilitiesRequest {
            provider: self.provider.clone(),
            ..Default::default()
        };
        let mut client = self.sandboxes();
        let answer = self
            .unary(
                "GetCapabilities",
                "",
                QUICK,
                request,
                |request| async move { client.get_capabilities(request).await },
            )
            .await?;
        answer
            .capabilities
            .ok_or_else(|| broken("GetCapabilities answered without capabilities"))
    }

    /// One page of ListSandboxes of this session.
    pub(crate) async fn list(
        &self,
        mut request: v1::ListSandboxesRequest,
    ) -> Result<v1::ListSandboxesResponse, Failure> {
        request.session_id = self.session_id();
        let mut client = self.sandboxes();
        self.unary("ListSandboxes", "", QUICK, request, |request| async move {
            client.list_sandboxes(request).await
        })
        .await
    }

    /// Every sandbox of this session that is there, by all pages.
    pub(crate) async fn list_all(&self) -> Result<Vec<v1::Sandbox>, Failure> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListSandboxesRequest {
                page_size: 200,
                page_token,
                ..Default::default()
            };
            let page = self.list(request).await?;
            all.extend(page.sandboxes);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Deletes everything that this run made and that is still there, and ends the session; what
    /// could not be deleted, or is there without being ours.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let made: Vec<String> = self.made().iter().cloned().collect();
        let deletes = made.iter().map(|id| self.forget(id));
        let failed: Vec<String> = futures::future::join_all(deletes)
            .await
            .into_iter()
            .filter_map(|result| result.err().map(|failure| failure.to_string()))
            .collect();
        let left = self.list_all().await?;
        self.road.close().await?;
        if failed.is_empty() && left.is_empty() {
            return Ok(());
        }
        let left: Vec<&str> = left.iter().map(|one| one.sandbox_id.as_str()).collect();
        Err(broken(format!(
            "ListSandboxes still shows {left:?}; failed deletes: {failed:?}"
        )))
    }

    /// Deletes one sandbox, if this run has not already seen it deleted.
    pub(crate) async fn forget(&self, sandbox_id: &str) -> Result<(), Failure> {
        if !self.made().contains(sandbox_id) {
            return Ok(());
        }
        match self.place(sandbox_id).delete().await {
            Ok(_) => {}
            // Its create never got that far.
            Err(Failure::Call { status, .. }) if status.code() == tonic::Code::NotFound => {}
            Err(failure) => return Err(failure),
        }
        self.made().remove(sandbox_id);
        Ok(())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
