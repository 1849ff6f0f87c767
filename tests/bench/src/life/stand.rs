//! Two gateways, each before a provider of its own: one with few sandboxes in its store, one with
//! many. The one whose turn it is not stands still.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sandgate_proto::v1::{Lifecycle, SandboxSpec, SandboxState};
use tempfile::TempDir;

use super::{figure::FEW, reconcile::compare, store::Database};
use crate::{
    child::Running,
    config::RunArgs,
    error::{Result, machine},
    gateway,
    hop::{load::Ids, provider, setup::sandbox},
    programs,
    way::Way,
};

/// As providers fill them in.
const IDLE: i64 = 600;
const RETENTION: i64 = 24 * 3600;
/// In which a gateway that stood still does what became due meanwhile.
const CATCH_UP: Duration = Duration::from_millis(1500);

/// One gateway and what belongs to it.
pub(super) struct Side {
    pub(super) gateway: Running,
    /// To the gateway.
    pub(super) way: Way,
    /// To its provider.
    pub(super) direct: Way,
    /// The first of its sandboxes, which runs.
    pub(super) ids: Ids,
    pub(super) database: Database,
    pub(super) sandboxes: u32,
    provider: Running,
}

/// Both.
pub(super) struct Stand {
    /// With few sandboxes, with many.
    pub(super) sides: [Side; 2],
    _folder: TempDir,
}

impl Stand {
    /// Starts everything; all sandboxes but the first of each are in this state.
    pub(super) async fn start(args: &RunArgs, state: SandboxState) -> Result<Self> {
        let file = programs::find(args.gateway.as_ref(), programs::GATEWAY).await?;
        let folder =
            TempDir::with_prefix("sandgate-bench-").map_err(machine("cannot make a folder"))?;
        let start = Start { file, state };
        let names = ["the gateway with few sandboxes", "the gateway with many"];
        let folders = ["few", "many"].map(|name| folder.path().join(name));
        let few = start.side(names[0], &folders[0], FEW).await?;
        let many = start.side(names[1], &folders[1], args.sandboxes).await?;
        let sides = [few, many];
        for side in &sides {
            side.gateway.freeze();
        }
        Ok(Self {
            sides,
            _folder: folder,
        })
    }

    /// Ends every process and removes the folder.
    pub(super) async fn stop(self) {
        for side in self.sides {
            side.gateway.thaw();
            side.gateway.stop().await;
            side.provider.stop().await;
        }
    }
}

impl Side {
    /// It goes on, and does what it was kept from.
    pub(super) async fn begin(&self) {
        self.gateway.thaw();
        tokio::time::sleep(CATCH_UP).await;
    }

    /// It stands still until its next turn.
    pub(super) fn end(&self) {
        self.gateway.freeze();
    }
}

struct Start {
    file: PathBuf,
    state: SandboxState,
}

impl Start {
    async fn side(&self, name: &'static str, folder: &Path, sandboxes: u32) -> Result<Side> {
        let count = sandboxes.to_string();
        let mut arguments = vec!["--lists", &count];
        if self.state == SandboxState::Stopped {
            arguments.push("--stopped");
        }
        let (provider, provider_address) = provider::start_with(&arguments).await?;
        // The first start makes the schema and what is copied.
        let (first, address) = self.gateway(folder, provider_address).await?;
        let made = sandbox(address, None, Some(spec())).await;
        first.stop().await;
        let made = made?;
        let data_dir = gateway::data_dir(folder);
        let mut database = Database::open(&data_dir).await?;
        let ids = database.fill(&made, sandboxes, self.state).await?;
        let (gateway, address) = self.gateway(folder, provider_address).await?;
        let side = Side {
            gateway,
            way: Way::new(name, address, 1, None)?,
            direct: Way::new("the provider itself", provider_address, 1, None)?,
            ids,
            database,
            sandboxes,
            provider,
        };
        // A gateway begins with a comparison, which nothing else is to be measured beside.
        compare(&side).await?;
        Ok(side)
    }

    async fn gateway(&self, folder: &Path, provider: SocketAddr) -> Result<(Running, SocketAddr)> {
        // One that stood still complains about what took so long.
        let provider = (provider::ID, provider);
        gateway::start_with(&self.file, folder, provider, None, "off").await
    }
}

/// Clocks as usual.
fn spec() -> SandboxSpec {
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    SandboxSpec {
        lifecycle: Some(Lifecycle {
            idle_timeout: Some(seconds(IDLE)),
            stopped_retention: Some(seconds(RETENTION)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
