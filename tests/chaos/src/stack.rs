//! Gateway and provider as processes on loopback, and the blows that they get.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    Options,
    config::Kind,
    dice::Dice,
    failure::{Result, setup},
    program::Program,
    tally::Tally,
};

/// Ports that no system gives to outgoing connections: while a program is down, a client that calls
/// a port of that range may be given the very same one.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Longest time, in milliseconds, that what was killed stays down.
const DOWN: u64 = 400;

/// What a blow hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The gateway alone.
    Gateway,
    /// The provider alone.
    Provider,
    /// Both.
    Both,
}

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Provider => "provider",
            Self::Both => "both",
        }
    }
}

/// Both programs.
pub(crate) struct Stack {
    gateway: Program,
    provider: Program,
    addresses: [SocketAddr; 2],
    /// Begins the names of all that the provider makes.
    prefix: String,
    blows: Arc<AtomicU64>,
    tally: Arc<Tally>,
    folder: TempDir,
}

impl Stack {
    /// Starts both, with data folders of their own.
    pub(crate) async fn start(options: &Options, tally: Arc<Tally>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chaos-")
            .tempdir()
            .map_err(|error| setup(format!("cannot make a folder for data: {error}")))?;
        let gateway = free_address(PORTS.start)?;
        let provider = free_address(gateway.port() + 1)?;
        let prefix = format!("chaos{:08x}", uuid::Uuid::new_v4().as_fields().0);
        let mut stack = Self {
            gateway: gateway_program(options, folder.path(), gateway, provider),
            provider: provider_program(options, folder.path(), provider, &prefix),
            addresses: [gateway, provider],
            prefix,
            blows: Arc::default(),
            tally,
            folder,
        };
        stack.provider.start(provider).await?;
        stack.gateway.start(gateway).await?;
        Ok(stack)
    }

    /// Where the gateway serves, always.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Begins the names of all that the provider makes.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How often the gateway was hit: a connection to it may break only when this changes.
    pub(crate) fn blows(&self) -> Arc<AtomicU64> {
        self.blows.clone()
    }

    /// Kills, waits a little, and starts again what was killed.
    pub(crate) async fn strike(&mut self, blow: Blow, dice: &mut Dice) -> Result<()> {
        let begin = Instant::now();
        if blow != Blow::Provider {
            self.blows.fetch_add(1, Ordering::SeqCst);
            self.gateway.kill().await?;
        }
        if blow != Blow::Gateway {
            self.provider.kill().await?;
        }
        sleep(dice.pause(DOWN)).await;
        let [gateway, provider] = self.addresses;
        match blow {
            Blow::Gateway => self.gateway.start(gateway).await?,
            Blow::Provider => self.provider.start(provider).await?,
            Blow::Both if dice.one_in(2) => {
                self.gateway.start(gateway).await?;
                sleep(dice.pause(DOWN)).await;
                self.provider.start(provider).await?;
            }
            Blow::Both => {
                self.provider.start(provider).await?;
                self.gateway.start(gateway).await?;
            }
        }
        let mut figures = self.tally.add();
        *figures.kills.entry(blow.name()).or_default() += 1;
        figures.outages.push(begin.elapsed());
        Ok(())
    }

    /// The end of both logs, for a failure.
    pub(crate) fn last_words(&self) -> String {
        let (gateway, provider) = (self.gateway.last_words(), self.provider.last_words());
        format!("{gateway}\n{provider}")
    }

    /// Kills both for good.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.gateway.kill().await?;
        self.provider.kill().await?;
        let folder = self.folder.path().display().to_string();
        self.folder
            .close()
            .map_err(|error| setup(format!("cannot remove {folder}: {error}")))
    }
}

fn common(data: &Path, listen: SocketAddr) -> Vec<(&'static str, String)> {
    vec![
        ("SANDGATE_DATA_DIR", data.display().to_string()),
        ("SANDGATE_LISTEN", listen.to_string()),
        ("SANDGATE_LOG", "warn".to_owned()),
    ]
}

fn gateway_program(
    options: &Options,
    folder: &Path,
    listen: SocketAddr,
    provider: SocketAddr,
) -> Program {
    let mut settings = common(&folder.join("gateway"), listen);
    let entry = format!("{}=http://{provider}", options.provider.id());
    settings.push(("SANDGATE_PROVIDERS", entry));
    let path = options.programs.join("sandgate-gateway");
    Program::new(path, settings, folder.join("gateway.log"))
}

fn provider_program(options: &Options, folder: &Path, listen: SocketAddr, prefix: &str) -> Program {
    let mut settings = common(&folder.join("provider"), listen);
    if options.provider == Kind::Container {
        settings.push(("SANDGATE_NAME_PREFIX", prefix.to_owned()));
    }
    let path = options.programs.join(options.provider.program());
    Program::new(path, settings, folder.join("provider.log"))
}

/// A port of this machine that nobody listens on, from the first one on; runs beside this one begin
/// elsewhere.
fn free_address(first: u16) -> Result<SocketAddr> {
    let spread = uuid::Uuid::new_v4().as_fields().1 % 9_000;
    let first = if first == PORTS.start {
        first + spread
    } else {
        first
    };
    let mut addresses = (first..PORTS.end).map(|port| (Ipv4Addr::LOCALHOST, port).into());
    addresses
        .find(|address: &SocketAddr| TcpListener::bind(address).is_ok())
        .ok_or_else(|| setup(format!("no port of {PORTS:?} is free")))
}
