//! Gateways and provider as processes on loopback, and the blows that they get.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    Options,
    blow::{Blow, PROVIDER},
    client::Client,
    cloud::{Account, Cloud},
    config::{Fault, Kind},
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

/// One program in so many is killed a second time while it starts.
const STUMBLES: u64 = 6;
/// Longest time, in milliseconds, after which it is.
const STUMBLE: u64 = 120;

/// A program with its place in the world.
struct Part {
    name: &'static str,
    address: SocketAddr,
    program: Program,
}

/// The provider, the gateways before it on one store, and the cloud behind it, if it has one.
pub(crate) struct Stack {
    /// Never hit.
    cloud: Option<Cloud>,
    /// The provider, then the gateways.
    parts: Vec<Part>,
    /// Begins the names of all that the provider makes.
    prefix: String,
    blows: Arc<AtomicU64>,
    tally: Arc<Tally>,
    folder: TempDir,
}

impl Stack {
    /// Starts all, the gateways with one data folder for all of them.
    pub(crate) async fn start(options: &Options, tally: Arc<Tally>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chaos-")
            .tempdir()
            .map_err(|error| setup(format!("cannot make a folder for data: {error}")))?;
        let prefix = format!("chaos{:08x}", uuid::Uuid::new_v4().as_fields().0);
        let cloud = match options.provider {
            Kind::E2b => {
                let listen = free_address(PORTS.start)?;
                Some(Cloud::start(options, folder.path(), listen).await?)
            }
            Kind::Local | Kind::Container => None,
        };
        let account = cloud.as_ref().map(Cloud::account);
        let parts = parts(options, folder.path(), account, &prefix)?;
        let mut stack = Self {
            cloud,
            parts,
            prefix,
            blows: Arc::default(),
            tally,
            folder,
        };
        for part in &mut stack.parts {
            part.program.start(part.address).await?;
        }
        stack.connect().await?;
        Ok(stack)
    }

    /// Gives the gateways the caller's key for the cloud.
    async fn connect(&self) -> Result<()> {
        let Some(account) = self.account() else {
            return Ok(());
        };
        let client = Client::new(self.address(), self.blows(), self.tally.clone())?;
        account.connect(&client).await
    }

    /// What the caller has at the cloud, where the provider has one.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.cloud.as_ref().map(Cloud::account)
    }

    /// Where the first gateway serves, always.
    pub(crate) fn address(&self) -> SocketAddr {
        self.parts[PROVIDER + 1].address
    }

    /// Where each gateway serves, always.
    pub(crate) fn gateways(&self) -> Vec<SocketAddr> {
        let gateways = self.parts.iter().skip(PROVIDER + 1);
        gateways.map(|part| part.address).collect()
    }

    /// Begins the names of all that the provider makes.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The provider's data folder.
    pub(crate) fn provider_folder(&self) -> PathBuf {
        self.folder.path().join("provider")
    }

    /// How often the gateway was hit: a connection to it may break only when this changes.
    pub(crate) fn blows(&self) -> Arc<AtomicU64> {
        self.blows.clone()
    }

    /// Kills, waits a little, and starts again what was killed, in any order; how many kills it took.
    pub(crate) async fn strike(&mut self, blow: Blow, dice: &mut Dice) -> Result<u64> {
        let begin = Instant::now();
        let mut places = blow.places().to_vec();
        if places != [PROVIDER] {
            self.blows.fetch_add(1, Ordering::SeqCst);
        }
        let mut kills = 0;
        for place in &places {
            self.parts[*place].program.kill().await?;
            kills += self.count(*place);
        }
        sleep(dice.pause(DOWN)).await;
        while !places.is_empty() {
            let next = usize::try_from(dice.below(places.len() as u64)).unwrap_or_default();
            let place = places.swap_remove(next);
            if dice.one_in(STUMBLES) {
                let soon = dice.pause(STUMBLE);
                self.parts[place].program.stumble(soon).await?;
                kills += self.count(place);
            }
            let part = &mut self.parts[place];
            part.program.start(part.address).await?;
            if !places.is_empty() && dice.one_in(2) {
                sleep(dice.pause(DOWN)).await;
            }
        }
        self.tally.add().outages.push(begin.elapsed());
        Ok(kills)
    }

    /// One of the programs, the provider at [`PROVIDER`].
    pub(crate) fn program(&mut self, place: usize) -> &mut Program {
        &mut self.parts[place].program
    }

    /// Starts a program anew with these settings on top of its own.
    pub(crate) async fn restart(
        &mut self,
        place: usize,
        more: Vec<(&'static str, String)>,
    ) -> Result<()> {
        let part = &mut self.parts[place];
        part.program.restart(part.address, more).await
    }

    fn count(&self, place: usize) -> u64 {
        let mut figures = self.tally.add();
        *figures.kills.entry(self.parts[place].name).or_default() += 1;
        1
    }

    /// The end of all logs, for a failure.
    pub(crate) fn last_words(&self) -> String {
        let words = self
            .parts
            .iter()
            .rev()
            .map(|part| part.program.last_words());
        let cloud = self.cloud.iter().map(Cloud::last_words);
        words.chain(cloud).collect::<Vec<_>>().join("\n")
    }

    /// Kills all for good.
    pub(crate) async fn end(mut self) -> Result<()> {
        for part in self.parts.iter_mut().rev() {
            part.program.kill().await?;
        }
        if let Some(cloud) = &mut self.cloud {
            cloud.end().await?;
        }
        let folder = self.folder.path().display().to_string();
        self.folder
            .close()
            .map_err(|error| setup(format!("cannot remove {folder}: {error}")))
    }
}

/// The provider and the gateways, none of which runs yet.
fn parts(
    options: &Options,
    folder: &Path,
    account: Option<&Account>,
    prefix: &str,
) -> Result<Vec<Part>> {
    let provider = free_address(PORTS.start)?;
    let mut parts = vec![Part {
        name: "provider",
        address: provider,
        program: provider_program(options, folder, provider, account, prefix),
    }];
    let gateways: &[_] = match options.fault {
        Fault::Life => &["gateway-a", "gateway-b"],
        Fault::Servers | Fault::Runner => &["gateway"],
    };
    let mut port = provider.port();
    for name in gateways {
        let address = free_address(port + 1)?;
        port = address.port();
        parts.push(Part {
            name,
            address,
            program: gateway_program(options, folder, name, address, provider),
        });
    }
    Ok(parts)
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
    name: &str,
    listen: SocketAddr,
    provider: SocketAddr,
) -> Program {
    let mut settings = common(&folder.join("gateway"), listen);
    let entry = format!("{}=http://{provider}", options.provider.id());
    settings.push(("SANDGATE_PROVIDERS", entry));
    let path = options.programs.join("sandgate-gateway");
    Program::new(path, settings, folder.join(format!("{name}.log")))
}

fn provider_program(
    options: &Options,
    folder: &Path,
    listen: SocketAddr,
    account: Option<&Account>,
    prefix: &str,
) -> Program {
    let mut settings = common(&folder.join("provider"), listen);
    if let Some(account) = account {
        settings.push(("SANDGATE_E2B_API_URL", account.url().to_owned()));
        settings.push(("SANDGATE_E2B_SANDBOX_URL", account.url().to_owned()));
    }
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
