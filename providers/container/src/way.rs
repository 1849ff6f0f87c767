//! How a container's runner is reached: by what is mounted into it, or by a bridge. Decided when it
//! is made, and read from the container itself ever after.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bollard::models::{ContainerInspectResponse, Mount, MountType};
use sandgate_kit::{Kind, ProviderError};

use crate::{
    Config, cgroup,
    cgroup::Groups,
    config::Transport,
    host::{self, Host},
    names::Labels,
    runner,
};

/// How one runner is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the socket in this folder.
    Socket {
        /// What is mounted at [`runner::FOLDER`].
        folder: PathBuf,
        /// What is mounted at [`runner::CGROUP`].
        cgroup: Option<PathBuf>,
    },
    /// By a command inside.
    Bridge,
}

impl Way {
    /// That of a container which is there.
    pub(crate) fn of(container: &ContainerInspectResponse) -> Self {
        let source = |destination: &str| {
            let mounts = container.mounts.iter().flatten();
            let mut found =
                mounts.filter(|mount| mount.destination.as_deref() == Some(destination));
            found.next()?.source.as_ref().map(PathBuf::from)
        };
        match source(runner::FOLDER) {
            Some(folder) => Self::Socket {
                folder,
                cgroup: source(runner::CGROUP),
            },
            None => Self::Bridge,
        }
    }

    /// Has what is mounted there, and empty, before the container starts.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        if let Self::Socket { folder, cgroup } = self {
            host::prepare(folder)?;
            cgroup.as_deref().map_or(Ok(()), cgroup::prepare)?;
        }
        Ok(())
    }

    /// The mounts that a new container gets.
    pub(crate) fn mounts(&self, runner: &Path) -> Vec<Mount> {
        let Self::Socket { folder, cgroup } = self else {
            return Vec::new();
        };
        let mount = |source: &Path, target: &str, read_only| Mount {
            source: Some(source.to_string_lossy().into_owned()),
            target: Some(target.to_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(read_only),
            ..Default::default()
        };
        let cgroup = cgroup.as_deref();
        [
            mount(runner, runner::PROGRAM, true),
            mount(folder, runner::FOLDER, false),
        ]
        .into_iter()
        .chain(cgroup.map(|cgroup| mount(cgroup, runner::CGROUP, false)))
        .collect()
    }
}

/// What this provider shares with the engine's host, as far as it is known.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) host: Option<Host>,
    groups: Option<Groups>,
    wanted: Transport,
    /// The engine that was tried last, and whether it shares its host with us.
    tried: Mutex<Option<(String, bool)>>,
}

/// Which way to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Socket,
    /// It is not known whether that works.
    TrySocket,
    Bridge,
}

impl Ways {
    /// Looks at what there is on this host.
    ///
    /// # Errors
    /// Where a socket is demanded, and there is no folder for it.
    pub(crate) fn new(config: &Config) -> Result<Self, ProviderError> {
        let host = match (&config.data_dir, config.transport) {
            (_, Transport::Bridge) | (None, Transport::Auto) => None,
            (None, Transport::Socket) => {
                let message =
                    "SANDGATE_CONTAINER_TRANSPORT=socket needs a folder: give SANDGATE_DATA_DIR";
                return Err(ProviderError::new(Kind::InvalidField("data_dir"), message));
            }
            (Some(folder), transport) => match Host::open(folder) {
                Ok(host) => Some(host),
                Err(error) if transport == Transport::Auto => {
                    tracing::warn!(%error, folder = %folder.display(), "the data folder cannot be used; runners are reached by a bridge");
                    None
                }
                Err(error) => {
                    let message = format!("SANDGATE_DATA_DIR: {} cannot be used", folder.display());
                    let told = ProviderError::new(Kind::InvalidField("data_dir"), message);
                    return Err(told.caused_by(error));
                }
            },
        };
        let groups = host
            .as_ref()
            .and_then(|_| Groups::find(config.cgroup, &config.name_prefix));
        Ok(Self {
            host,
            groups,
            wanted: config.transport,
            tried: Mutex::default(),
        })
    }

    /// The way to try with an engine.
    pub(crate) fn choose(&self, engine: &str) -> Choice {
        match (&self.host, self.wanted) {
            (None, _) | (_, Transport::Bridge) => Choice::Bridge,
            (_, Transport::Socket) => Choice::Socket,
            (_, Transport::Auto) => match self.tried(engine) {
                None => Choice::TrySocket,
                Some(true) => Choice::Socket,
                Some(false) => Choice::Bridge,
            },
        }
    }

    /// What trying has shown.
    pub(crate) fn learn(&self, engine: &str, shared: bool) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.as_ref() != Some(&(engine.to_owned(), shared)) {
            tracing::info!(
                engine,
                shared,
                "whether the engine's host is ours was tried"
            );
            *tried = Some((engine.to_owned(), shared));
        }
    }

    fn tried(&self, engine: &str) -> Option<bool> {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, shared) = tried.as_ref()?;
        (known == engine).then_some(*shared)
    }

    /// Whether commands of new sandboxes run in control groups; a guess until a sandbox was made.
    pub(crate) fn has_groups(&self, engine: &str) -> bool {
        self.groups.is_some() && self.choose(engine) != Choice::Bridge
    }

    /// Makes what a container is to have mounted, by the name of its folder, the id of its engine
    /// and the labels of its sandbox.
    pub(crate) fn make(&self, slot: &str, engine: &str, labels: &Labels) -> io::Result<Way> {
        let Some(host) = &self.host else {
            return Ok(Way::Bridge);
        };
        Ok(Way::Socket {
            folder: host.prepare(slot, engine, labels)?,
            cgroup: match &self.groups {
                Some(groups) => Some(groups.prepare(slot)?),
                None => None,
            },
        })
    }

    /// Removes what was made for a container that is gone.
    pub(crate) fn remove(&self, slot: &str) -> io::Result<()> {
        if let Some(groups) = &self.groups {
            groups.remove(slot)?;
        }
        self.host.as_ref().map_or(Ok(()), |host| host.remove(slot))
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::MountPoint;

    use super::*;

    #[test]
    fn a_container_tells_its_way() {
        assert_eq!(Way::of(&ContainerInspectResponse::default()), Way::Bridge);
        let way = Way::Socket {
            folder: "/state/one".into(),
            cgroup: Some("/groups/one".into()),
        };
        let mounts = way.mounts(Path::new("/state/runner"));
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].read_only, Some(true));
        let point = |mount: Mount| MountPoint {
            source: mount.source,
            destination: mount.target,
            ..Default::default()
        };
        let container = ContainerInspectResponse {
            mounts: Some(mounts.into_iter().map(point).collect()),
            ..Default::default()
        };
        assert_eq!(Way::of(&container), way);
    }

    #[test]
    fn what_was_learnt_holds_for_that_engine() {
        let data = tempfile::tempdir().unwrap();
        let config = |transport, data_dir| Config {
            transport,
            data_dir,
            ..Config::default()
        };
        let folder = Some(data.path().to_owned());
        let ways = Ways::new(&config(Transport::Auto, folder.clone())).unwrap();
        assert_eq!(ways.choose("a"), Choice::TrySocket);
        ways.learn("a", false);
        assert_eq!(ways.choose("a"), Choice::Bridge);
        assert_eq!(ways.choose("b"), Choice::TrySocket);
        ways.learn("b", true);
        assert_eq!(ways.choose("b"), Choice::Socket);
        let ways = Ways::new(&config(Transport::Bridge, folder)).unwrap();
        assert_eq!(ways.choose("a"), Choice::Bridge);
        assert!(!ways.has_groups("a"));
        let ways = Ways::new(&config(Transport::Auto, None)).unwrap();
        assert_eq!(ways.choose("a"), Choice::Bridge);
        assert!(Ways::new(&config(Transport::Socket, None)).is_err());
    }
}
