//! E2B: the management API, and envd in each sandbox, behind one address.

mod api;
mod cloud;
mod control;
pub(crate) mod envd;
mod front;
mod proxy;
mod sandbox;
mod templates;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{cloud::Cloud, front::Front};

/// The version of envd that this is like.
pub(crate) const ENVD_VERSION: &str = "0.6.13";
/// envd's port in each sandbox.
const ENVD_PORT: u16 = 49983;
/// Time between two looks for sandboxes whose time is over.
const LOOK: Duration = Duration::from_millis(50);

/// What an emulator is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program `sandgate-emulator`, which is envd in each sandbox.
    pub program: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder for the sandboxes' files; none: a new one, removed at the end.
    pub data: Option<PathBuf>,
    /// Most sandboxes that may run at once for one key.
    pub max_sandboxes: usize,
    /// The domain that answers name.
    pub domain: Option<String>,
    /// Whether envd has a new token after each resume. E2B's SDKs go on with the old one where an
    /// object of theirs resumes its own sandbox, so E2B cannot do so to all; but nothing promises it.
    pub new_tokens: bool,
}

impl Settings {
    /// The usual, at a free port of loopback.
    #[must_use]
    pub fn local(program: PathBuf) -> Self {
        Self {
            program,
            listen: ([127, 0, 0, 1], 0).into(),
            data: None,
            max_sandboxes: 100,
            domain: None,
            new_tokens: false,
        }
    }
}

/// A running emulator. Dropped, it ends, and its sandboxes with it.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Emulator {
    /// Starts one; it listens when this returns.
    ///
    /// # Errors
    /// Where it is not root, cannot listen, or its folder cannot be made.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            let said = "sandboxes need root here: start it with sudo";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
        }
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cloud = Arc::new(Cloud::new(settings, tasks.clone())?);
        let front = Arc::new(Front::new(Arc::clone(&cloud)));
        tasks.spawn(crate::http::serve(listener, front, end.clone()));
        tasks.spawn(watch(Arc::clone(&cloud), end.clone()));
        Ok(Self {
            address,
            cloud,
            end,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base address, for both the management API and the sandboxes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it; answers when all sandboxes are gone.
    pub async fn stop(self) {
        self.end.cancel();
        self.cloud.kill_all().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Ends or pauses sandboxes whose time is over.
async fn watch(cloud: Arc<Cloud>, end: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK);
    while end.run_until_cancelled(looks.tick()).await.is_some() {
        for sandbox in cloud.over() {
            let cloud = Arc::clone(&cloud);
            let tasks = cloud.tasks.clone();
            tasks.spawn(async move { cloud.expire(&sandbox).await });
        }
    }
}
