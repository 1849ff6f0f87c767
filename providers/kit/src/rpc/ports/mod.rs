//! `PortService`: addresses of ports, be they the upstream's or ours.

mod page;

use std::{sync::Arc, time::Duration};

use sandgate_proto::{
    Outcome, Problem,
    v1::{
        ExposePortRequest, ExposePortResponse, ListPortsRequest, ListPortsResponse, SandboxState,
        UnexposePortRequest, UnexposePortResponse, port_service_server::PortService,
    },
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use self::page::Page;
use super::{Service, context};
use crate::{CallContext, Instance, Kind, PortAddress, Provider, ProviderError};

/// How long the upstream may take.
const UPSTREAM: Duration = Duration::from_secs(20);

#[tonic::async_trait]
impl<P: Provider> PortService for Service<P> {
    async fn expose_port(
        &self,
        request: Request<ExposePortRequest>,
    ) -> Result<Response<ExposePortResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        let port = checked(body.port).map_err(failed)?;
        let address = if self.provider.gives_ports() {
            let given = in_time(self.provider.addresses(&context, Some(port))).await;
            let first = given.and_then(|all| all.into_iter().next().ok_or_else(none));
            first.map_err(failed)?
        } else {
            self.expose(context, port).await?
        };
        let address = address.into_message();
        Ok(Response::new(ExposePortResponse {
            url: address.url,
            headers: address.headers,
            expire_time: address.expire_time,
        }))
    }

    async fn list_ports(
        &self,
        request: Request<ListPortsRequest>,
    ) -> Result<Response<ListPortsResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let listed = self.list(&context, body).await;
        let listed = listed.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(listed))
    }

    async fn unexpose_port(
        &self,
        request: Request<UnexposePortRequest>,
    ) -> Result<Response<UnexposePortResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let unexposed = self.unexpose(&context, body.port).await;
        unexposed.map_err(|error| self.problem(error, &context.sandbox_id))?;
        Ok(Response::new(UnexposePortResponse {}))
    }
}

impl<P: Provider> Service<P> {
    /// In its turn, so that no stop or delete comes in between.
    async fn expose(&self, context: CallContext, port: u16) -> Result<PortAddress, Problem> {
        let ports = self.ports.clone();
        self.to_the_end(context, move |provider, context| async move {
            check_running(&provider, &context).await?;
            ports.expose(&context, port)
        })
        .await
    }

    async fn list(
        &self,
        context: &CallContext,
        body: &ListPortsRequest,
    ) -> Result<ListPortsResponse, ProviderError> {
        let page = Page::of(context, body)?;
        let all = if self.provider.gives_ports() {
            in_time(self.provider.addresses(context, None)).await?
        } else {
            check_running(&self.provider, context).await?;
            self.ports.list(context)
        };
        Ok(page.cut(all))
    }

    async fn unexpose(&self, context: &CallContext, port: u32) -> Result<(), ProviderError> {
        let port = checked(port)?;
        if self.provider.gives_ports() {
            return Err(ProviderError::new(
                Kind::Unsupported("unexpose_port"),
                "the upstream gives every port an address for as long as the sandbox runs; end what listens on it, or stop the sandbox",
            ));
        }
        found(&self.provider, context).await?;
        self.ports.unexpose(context, port).await;
        Ok(())
    }
}

async fn found<P: Provider>(
    provider: &Arc<P>,
    context: &CallContext,
) -> Result<Instance, ProviderError> {
    in_time(provider.get(context)).await
}

async fn check_running<P: Provider>(
    provider: &Arc<P>,
    context: &CallContext,
) -> Result<(), ProviderError> {
    if found(provider, context).await?.state == SandboxState::Running {
        return Ok(());
    }
    Err(ProviderError::new(
        Kind::NotRunning,
        "nothing is reached in a sandbox that does not run; start it, or resume it if it is paused",
    ))
}

async fn in_time<T>(
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    timeout(UPSTREAM, asked).await.unwrap_or_else(|_| {
        Err(ProviderError::new(
            Kind::Unavailable(Outcome::Rejected),
            "the upstream did not say in time what the sandbox does; repeat the call",
        ))
    })
}

fn checked(port: u32) -> Result<u16, ProviderError> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        ProviderError::new(Kind::InvalidField("port"), "is a number from 1 to 65,535")
    })
}

fn none() -> ProviderError {
    ProviderError::new(
        Kind::Internal,
        "the provider names no address of this port; repeat the call",
    )
}
