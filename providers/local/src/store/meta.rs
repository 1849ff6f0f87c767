//! What is known of a sandbox, kept in a file beside its folders. Nothing secret is in it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::SystemTime,
};

use sandgate_kit::Owner;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::init::Init;

const FILE: &str = "meta.json";

/// Version of the file's form.
const VERSION: u32 = 2;

/// A sandbox as its file tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Form of the file; another one than [`VERSION`] is not read.
    version: u32,
    pub(crate) sandbox_id: Uuid,
    pub(crate) gateway_id: String,
    pub(crate) org_id: String,
    pub(crate) user_id: String,
    pub(crate) agent_id: String,
    pub(crate) harness_id: String,
    pub(crate) session_id: String,
    pub(crate) generation: u64,
    pub(crate) title: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Absolute path inside.
    pub(crate) workdir: String,
    /// Whether it shares the host's network.
    pub(crate) network: bool,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u64,
    pub(crate) pids: u64,
    pub(crate) state: State,
    pub(crate) create_time: SystemTime,
    /// None: it has never run.
    pub(crate) start_time: Option<SystemTime>,
    /// Its first process; the sandbox runs as long as that one lives.
    pub(crate) init: Option<Init>,
}

/// What a sandbox is meant to be doing.
///
/// `Stopped --start--> Running --stop--> Stopped`; both are gone once the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Running,
    Stopped,
}

/// What was asked for, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) title: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) workdir: String,
    pub(crate) network: bool,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_millis: u64,
    pub(crate) pids: u64,
}

impl Meta {
    /// A sandbox that is yet to be started.
    pub(crate) fn new(sandbox_id: Uuid, owner: Owner, generation: u64, wanted: Wanted) -> Self {
        Self {
            version: VERSION,
            sandbox_id,
            gateway_id: owner.gateway_id,
            org_id: owner.org_id,
            user_id: owner.user_id,
            agent_id: owner.agent_id,
            harness_id: owner.harness_id,
            session_id: owner.session_id,
            generation,
            title: wanted.title,
            labels: wanted.labels,
            env: wanted.env,
            workdir: wanted.workdir,
            network: wanted.network,
            memory_bytes: wanted.memory_bytes,
            cpu_millis: wanted.cpu_millis,
            pids: wanted.pids,
            state: State::Stopped,
            create_time: SystemTime::now(),
            start_time: None,
            init: None,
        }
    }

    /// From now on it runs, with this first process.
    pub(crate) fn started(&mut self, init: Init) {
        self.state = State::Running;
        self.start_time = Some(SystemTime::now());
        self.init = Some(init);
    }

    /// From now on nothing of it runs.
    pub(crate) fn stopped(&mut self) {
        self.state = State::Stopped;
        self.init = None;
    }

    /// Its first process, if that one lives.
    pub(crate) fn alive(&self) -> Option<&Init> {
        self.init.as_ref().filter(|init| init.is_alive())
    }

    /// Reads the file in a sandbox's folder.
    ///
    /// # Errors
    /// `NotFound` where there is none; `InvalidData` or `UnexpectedEof` where it is damaged or names
    /// another sandbox; `Unsupported` where another version of this program wrote it.
    pub(crate) fn read(folder: &Path, sandbox_id: Uuid) -> io::Result<Self> {
        let meta: Self = serde_json::from_slice(&fs::read(folder.join(FILE))?)?;
        if meta.version != VERSION {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "of another version",
            ));
        }
        if meta.sandbox_id != sandbox_id {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "of another sandbox",
            ));
        }
        Ok(meta)
    }

    /// Replaces the file as a whole: after a crash it is the old one or the new one.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        write_atomically(folder, FILE, &serde_json::to_vec_pretty(self)?)
    }
}

/// Replaces a file in `folder`, readable for its owner only, through a temporary one.
pub(super) fn write_atomically(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Meta {
        let wanted = Wanted {
            title: "a title".into(),
            labels: [("k".to_owned(), "v".to_owned())].into(),
            env: [("A".to_owned(), "ü\n\"".to_owned())].into(),
            workdir: "/workspace".into(),
            network: true,
            memory_bytes: 1,
            cpu_millis: 2,
            pids: 3,
        };
        let owner = Owner {
            gateway_id: "g".into(),
            session_id: "s".into(),
            ..Owner::default()
        };
        Meta::new(Uuid::from_u128(7), owner, 4, wanted)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut meta = sample();
        meta.write(folder.path()).unwrap();
        meta.started(Init::of(rustix::process::getpid()).unwrap());
        meta.write(folder.path()).unwrap();
        let read = Meta::read(folder.path(), meta.sandbox_id).unwrap();
        assert_eq!(read, meta);
        assert_eq!(read.state, State::Running);
        assert_eq!(read.alive(), meta.init.as_ref());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |id| Meta::read(folder.path(), id).unwrap_err().kind();
        assert_eq!(kind(Uuid::from_u128(7)), io::ErrorKind::NotFound);
        sample().write(folder.path()).unwrap();
        assert_eq!(kind(Uuid::from_u128(8)), io::ErrorKind::InvalidData);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Meta::read(folder.path(), Uuid::from_u128(7)).is_err());
    }
}
