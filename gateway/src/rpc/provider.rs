//! ProviderService: the configured providers and how they are.

use std::{sync::Arc, time::SystemTime};

use sandgate_proto::{
    Problem,
    v1::{self, ProviderEndpoint, Reason, provider_service_server::ProviderService},
};
use tonic::{Request, Response, Status};

use super::principal;
use crate::{
    fleet::{Endpoint, Fleet, Provider, Seen},
    session,
};

/// ProviderService over the fleet.
pub(crate) struct Providers {
    fleet: Arc<Fleet>,
}

impl Providers {
    pub(crate) fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }
}

#[tonic::async_trait]
impl ProviderService for Providers {
    async fn list_providers(
        &self,
        request: Request<v1::ListProvidersRequest>,
    ) -> Result<Response<v1::ListProvidersResponse>, Status> {
        principal(&request)?;
        let asked = request.into_inner();
        let size = match asked.page_size {
            0 => 50,
            size => size.min(1000) as usize,
        };
        // The list is short, sorted and the same for everybody: its ids are its page tokens.
        let mut providers: Vec<_> = self
            .fleet
            .all()
            .filter(|provider| *provider.id() > *asked.page_token)
            .take(size + 1)
            .map(describe)
            .collect();
        let more = providers.len() > size;
        providers.truncate(size);
        let last = providers
            .last()
            .filter(|_| more)
            .map(|last| last.provider.clone());
        Ok(Response::new(v1::ListProvidersResponse {
            providers,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn get_provider(
        &self,
        request: Request<v1::GetProviderRequest>,
    ) -> Result<Response<v1::GetProviderResponse>, Status> {
        principal(&request)?;
        let provider = Some(describe(self.fleet.provider(&request.get_ref().provider)?));
        Ok(Response::new(v1::GetProviderResponse { provider }))
    }
}

fn describe(provider: &Provider) -> v1::Provider {
    let seen: Vec<Seen> = provider
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.seen())
        .collect();
    let well = |seen: &&Seen| seen.time.is_some() && seen.problem.is_none();
    let best = seen
        .iter()
        .find(well)
        .or_else(|| seen.iter().find(|seen| seen.capabilities.is_some()));
    v1::Provider {
        provider: provider.id().to_owned(),
        healthy: seen.iter().any(|seen| well(&seen)),
        reason: seen
            .iter()
            .find_map(|seen| seen.problem.as_ref())
            .map(reason),
        capabilities: best.and_then(|seen| seen.capabilities.clone()),
        capabilities_time: best.and_then(|seen| seen.time).map(SystemTime::into),
        capability_refs: session::capabilities_of(provider.id())
            .into_iter()
            .map(str::to_owned)
            .collect(),
        connection_provider: session::connection_of(provider.id()).to_owned(),
        endpoints: provider
            .endpoints()
            .iter()
            .map(|endpoint| endpoint_of(endpoint))
            .collect(),
    }
}

fn endpoint_of(endpoint: &Endpoint) -> ProviderEndpoint {
    let seen = endpoint.seen();
    let capabilities = seen.capabilities.unwrap_or_default();
    ProviderEndpoint {
        instance_id: capabilities.instance_id,
        healthy: seen.time.is_some() && seen.problem.is_none(),
        reason: seen.problem.as_ref().map(reason),
        check_time: seen.time.map(SystemTime::into),
        version: capabilities.version,
    }
}

fn reason(problem: &Problem) -> Reason {
    Reason {
        code: problem.reason().name().to_owned(),
        message: problem.message().to_owned(),
    }
}
