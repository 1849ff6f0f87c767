//! Providers that run in this process. They are reached as any other is: over gRPC, on loopback,
//! with a token that only this process knows.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use sandgate_kit::{KitArgs, PortArgs, Running, StartError};
use sandgate_provider_container::{Args as ContainerArgs, Container};
use sandgate_provider_e2b::{Args as E2bArgs, E2b};
use sandgate_provider_local::{Args as LocalArgs, Local};
use sandgate_service::process::ProcessArgs;
use secrecy::SecretString;

/// A provider that this program has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedded {
    Local,
    Container,
    E2b,
}

impl Embedded {
    /// Its id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::E2b => "e2b",
        }
    }

    /// Starts it on a free port of this machine.
    pub(crate) async fn start(
        self,
        data_dir: &Path,
        token: &SecretString,
        process: &ProcessArgs,
    ) -> Result<Running, StartError> {
        let kit = KitArgs {
            listen: None,
            provider_token: Some(token.clone()),
            tls_cert: None,
            tls_key: None,
            tls_ca: None,
            ports: ports()?,
            process: process.clone(),
        };
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        match self {
            Self::Local => sandgate_kit::start(local(data_dir).await?, &kit, free).await,
            Self::Container => sandgate_kit::start(container(data_dir).await?, &kit, free).await,
            Self::E2b => sandgate_kit::start(e2b()?, &kit, free).await,
        }
    }
}

/// Where exposed ports listen, configured by the environment.
fn ports() -> Result<PortArgs, StartError> {
    Ok(settings::<Ports>()?.args)
}

/// What all embedded providers have in common.
#[derive(Debug, clap::Parser)]
struct Ports {
    #[command(flatten)]
    args: PortArgs,
}

/// The local provider, configured by its environment, with the gateway's data folder.
pub(crate) async fn local(data_dir: &Path) -> Result<Local, StartError> {
    let mut config = settings::<LocalArgs>()?.config().map_err(failed)?;
    config.data_dir = data_dir.to_owned();
    Local::open(config).await.map_err(failed)
}

/// The container provider, configured by its environment, with the gateway's data folder.
pub(crate) async fn container(data_dir: &Path) -> Result<Container, StartError> {
    let mut config = settings::<ContainerArgs>()?.container.config();
    config.data_dir = Some(data_dir.to_owned());
    Container::connect(config).await.map_err(failed)
}

/// The provider of E2B sandboxes, configured by its environment. It keeps nothing.
fn e2b() -> Result<E2b, StartError> {
    E2b::new(settings::<E2bArgs>()?.e2b.config()).map_err(failed)
}

/// A provider's own arguments, of which only the environment gives any here.
pub(crate) fn settings<A: clap::Parser>() -> Result<A, StartError> {
    A::try_parse_from(["sandgate"]).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Provider(error.to_string())
}
