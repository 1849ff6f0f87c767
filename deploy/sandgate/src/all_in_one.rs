//! A gateway and its embedded providers in one process.

use std::{net::SocketAddr, time::Duration};

use sandgate_gateway::{ConfigError, ProviderEntry};
use sandgate_service::process;
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    config::{Choice, ServeArgs},
    keygen,
};

/// What can go wrong on the command line. Each message says what to do.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Gateway(#[from] sandgate_gateway::StartError),
    #[error("the provider {0} cannot start: {1}; `sandgate doctor` says what is missing")]
    Provider(&'static str, sandgate_kit::StartError),
    #[error("no random bytes from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error("signals: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot reach the gateway just started: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("{}", .0.message())]
    Call(Box<tonic::Status>),
    #[error("{0}")]
    Other(String),
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Everything that runs.
pub(crate) struct AllInOne {
    gateway: sandgate_gateway::Running,
    providers: Vec<sandgate_kit::Running>,
}

impl AllInOne {
    /// Starts the providers, then the gateway.
    pub(crate) async fn start(args: ServeArgs) -> Result<Self, Failure> {
        let data_dir = args.gateway.data_dir()?;
        let token = match &args.gateway.provider_token {
            Some(token) => token.clone(),
            None => SecretString::from(keygen::random_text()?),
        };
        let mut providers = Vec::new();
        let mut entries = Vec::new();
        for choice in &args.providers {
            let entry = match choice {
                Choice::Service(entry) => entry.clone(),
                Choice::Embedded(embedded) => {
                    let running = embedded
                        .start(&data_dir, &token, &args.gateway.process)
                        .await
                        .map_err(|error| Failure::Provider(embedded.id(), error))?;
                    let url = format!("http://{}", running.address());
                    providers.push(running);
                    ProviderEntry {
                        id: embedded.id().to_owned(),
                        urls: vec![url],
                    }
                }
            };
            entries.push(entry);
        }
        let mut config = args.gateway.into_config(entries)?;
        config.access.token = Some(token);
        let gateway = sandgate_gateway::start(config).await?;
        Ok(Self { gateway, providers })
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Serves until a signal, then drains.
    pub(crate) async fn until_signal(self, grace: Duration) -> Result<(), Failure> {
        let Self { gateway, providers } = self;
        process::until_drained(gateway.drain(), grace, gateway.ended()).await?;
        end_all(providers).await;
        Ok(())
    }

    /// Ends the gateway first: its last calls still need the providers.
    pub(crate) async fn end(self, grace: Duration) {
        self.gateway.stop(grace).await;
        end_all(self.providers).await;
    }
}

async fn end_all(providers: Vec<sandgate_kit::Running>) {
    for provider in providers {
        provider.stop(Duration::ZERO).await;
    }
}

/// `sandgate serve`.
pub(crate) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    args.gateway.process.init_log();
    let grace = args.gateway.process.drain_grace();
    let names: Vec<String> = args.providers.iter().map(Choice::id).collect();
    let running = AllInOne::start(args).await?;
    println!(
        "sandgate ready on {} with {}",
        running.address(),
        names.join(", ")
    );
    running.until_signal(grace).await
}
