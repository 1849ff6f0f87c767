//! Namespaces for the processes of one sandbox, which can be frozen and ended as one.
//!
//! This keeps an emulated sandbox apart from the machine well enough for tests. It is no boundary
//! against hostile programs: what is root inside has uid 0 outside, and the network is the machine's
//! unless the sandbox was made without internet access.

mod group;
mod tree;
mod view;

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

use self::group::Group;

/// How long the first process may take until it listens.
const BOOT: Duration = Duration::from_secs(15);
/// Time between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(5);
/// Joins a control group, then becomes what it is told.
const JOIN: &str = r#"echo 0 >"$0/cgroup.procs" && exec "$@""#;

/// What to start in which folder.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// A word for control groups, of letters and digits.
    pub(crate) name: &'a str,
    /// The sandbox's own folder; its files outlive the processes.
    pub(crate) folder: &'a Path,
    /// The program that is the first inside. It listens at [`SOCKET`].
    pub(crate) program: &'a Path,
    /// Its arguments.
    pub(crate) arguments: &'a [&'a str],
    /// Whether the machine's network is there; otherwise only loopback is.
    pub(crate) internet: bool,
}

/// Where programs are looked for inside.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the first process listens, as it sees it.
pub(crate) const SOCKET: &str = "/.emulator/socket";

/// Processes in namespaces of their own. Dropped, they are ended, though nobody waits for that.
#[derive(Debug)]
pub(crate) struct Cage {
    child: Child,
    group: Group,
    socket: PathBuf,
}

impl Cage {
    /// Starts the first process and waits until it listens.
    ///
    /// # Errors
    /// Where bwrap or the program cannot be started, or does not listen in time; what they had to
    /// say is in the message.
    pub(crate) async fn start(plan: &Plan<'_>) -> io::Result<Self> {
        tree::prepare(plan.folder)?;
        let socket = plan.folder.join("own/socket");
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let group = Group::make(plan.name);
        let log = plan.folder.join("log");
        let child = command(plan, &group)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let mut cage = Self {
            child,
            group,
            socket,
        };
        match cage.listening().await {
            Ok(()) => Ok(cage),
            Err(error) => {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                cage.end().await;
                Err(io::Error::other(format!("{error}: {}", said.trim())))
            }
        }
    }

    async fn listening(&mut self) -> io::Result<()> {
        let late = Instant::now() + BOOT;
        while UnixStream::connect(&self.socket).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            if Instant::now() > late {
                return Err(io::Error::other("it does not listen"));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Where the first process listens, as the machine sees it.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Stops all processes where they are, or lets them go on.
    ///
    /// # Errors
    /// Where they do not stop in time.
    pub(crate) async fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.group.freeze(self.child.id(), frozen).await
    }

    /// Ends all processes; answers when they are gone.
    pub(crate) async fn end(mut self) {
        self.group.kill();
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "a sandbox's processes could not be ended");
        }
        self.group.remove().await;
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        self.group.kill();
        self.group.leave();
    }
}

/// bwrap, in the control group if there is one.
fn command(plan: &Plan<'_>, group: &Group) -> Command {
    let options: Vec<OsString> = view::options(plan);
    let mut command = match group.folder() {
        Some(folder) => {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(JOIN).arg(folder).arg("bwrap");
            shell
        }
        None => Command::new("bwrap"),
    };
    command.args(options);
    command
}
