//! What the upstream has of this run, as this machine sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::tree::{find, folders, names, remove};
use crate::{
    config::Kind,
    failure::{Result, broken, ensure},
    host::{docker, processes},
};

/// How long after the sweep the last of it may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Where control groups are, and how deep ours may be.
const GROUPS: (&str, usize) = ("/sys/fs/cgroup", 4);

/// The upstream of one run.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Which it is.
    kind: Kind,
    /// Begins the names of all that the provider makes.
    prefix: String,
    /// The provider's data folder.
    folder: PathBuf,
    /// Name of the control group of all of its sandboxes, where it has one.
    group: Option<String>,
}

/// What is left, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left(BTreeMap<&'static str, BTreeSet<String>>);

impl Left {
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.values().all(BTreeSet::is_empty)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, names)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {kind}", names.len())?;
            for name in names {
                write!(f, " [{name}]")?;
            }
        }
        Ok(())
    }
}

impl Upstream {
    /// The upstream of a provider that serves.
    pub(crate) fn new(kind: Kind, prefix: &str, folder: PathBuf) -> Self {
        let id = fs::read_to_string(folder.join("local/instance-id")).ok();
        Self {
            kind,
            prefix: prefix.to_owned(),
            folder,
            group: id.map(|id| format!("sandgate-{}", id.trim())),
        }
    }

    /// Fails if there are two of one sandbox.
    pub(crate) async fn check_doubles(&self) -> Result<()> {
        let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        match self.kind {
            Kind::Local => {
                for (pid, line) in self.firsts() {
                    counts.entry(line).or_default().push(pid.to_string());
                }
            }
            Kind::Container => {
                let label = format!("{{{{.ID}}}} {{{{.Label \"{}.sandbox_id\"}}}}", self.prefix);
                let list = ["ps", "--all", "--filter", &self.label(), "--format", &label];
                for line in docker(&list).await?.lines() {
                    let (id, sandbox) = line.split_once(' ').unwrap_or((line, ""));
                    counts
                        .entry(sandbox.to_owned())
                        .or_default()
                        .push(id.to_owned());
                }
            }
        }
        // What was made ahead says of no sandbox that it is that.
        counts.remove("");
        let doubles: Vec<_> = counts.iter().filter(|(_, found)| found.len() > 1).collect();
        ensure(doubles.is_empty(), || {
            format!("the upstream has sandboxes twice: {doubles:?}")
        })
    }

    /// Names of the sandboxes that are there, whole or half made; of those on this machine their ids,
    /// of those of the engine the names of their containers.
    pub(crate) async fn sandboxes(&self) -> Result<BTreeSet<String>> {
        if self.kind == Kind::Local {
            return Ok(self.folders());
        }
        let list = [
            "ps",
            "--all",
            "--filter",
            &self.label(),
            "--format",
            "{{.Names}}",
        ];
        let names = docker(&list).await?;
        let ahead = format!("{}-pool-", self.prefix);
        let names = names.lines().filter(|name| !name.starts_with(&ahead));
        Ok(names.map(str::to_owned).collect())
    }

    /// Whether a sandbox that was made ahead runs.
    pub(crate) async fn has_one_ahead(&self) -> Result<bool> {
        let name = format!("name={}-pool-", self.prefix);
        let list = [
            "ps",
            "--quiet",
            "--filter",
            &self.label(),
            "--filter",
            &name,
        ];
        Ok(!docker(&list).await?.trim().is_empty())
    }

    /// Waits a little for the last things to go, and tells what stays.
    pub(crate) async fn left(&self) -> Result<Left> {
        let begin = Instant::now();
        loop {
            let left = self.look().await?;
            if left.is_nothing() || begin.elapsed() > GONE {
                return Ok(left);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn look(&self) -> Result<Left> {
        let mut left = BTreeMap::new();
        if self.kind == Kind::Container {
            for (name, list) in [
                ("containers", ["ps", "--all"].as_slice()),
                ("networks", &["network", "ls"]),
                ("volumes", &["volume", "ls"]),
            ] {
                left.insert(name, self.listed(list).await?);
            }
        }
        left.insert("folders", self.folders());
        left.insert("owners", names(&self.folder.join("container/owners")));
        let inside = self.inside().into_iter();
        left.insert("processes", inside.map(|pid| pid.to_string()).collect());
        let groups = self.groups().into_iter().flat_map(|top| folders(&top));
        let groups = groups.map(|path| path.display().to_string());
        left.insert("groups", groups.collect());
        Ok(Left(left))
    }

    /// Removes what stays when a provider is killed for good, and all that a run which failed leaves,
    /// so that the next one finds a clean machine.
    pub(crate) async fn purge(&self) -> Result<()> {
        for pid in self.inside() {
            // One that has gone meanwhile is gone.
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        if self.kind == Kind::Container {
            for id in self.listed(&["ps", "--all"]).await? {
                docker(&["rm", "--force", "--volumes", &id]).await?;
            }
            for id in self.listed(&["network", "ls"]).await? {
                docker(&["network", "rm", &id]).await?;
            }
        }
        let begin = Instant::now();
        while !self.groups().is_empty() {
            self.groups().iter().for_each(|top| remove(top));
            // A group goes only after the last process in it, which may still be ending.
            ensure(begin.elapsed() < GONE, || {
                format!("cannot remove {:?}", self.groups())
            })?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The control groups, one in each tree, in which those of the sandboxes are.
    fn groups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if let Some(name) = &self.group {
            find(Path::new(GROUPS.0), GROUPS.1, name, &mut found);
        }
        found
    }

    /// Ids of what the provider made for sandboxes, and of what it made to look into an image.
    async fn listed(&self, list: &[&str]) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for label in [self.label(), format!("label={}.look", self.prefix)] {
            let found = docker(&[list, &["--quiet", "--filter", &label]].concat()).await?;
            ids.extend(found.lines().map(str::to_owned));
        }
        Ok(ids)
    }

    fn label(&self) -> String {
        format!("label=managed-by={}", self.prefix)
    }

    /// Folders of sandboxes, whole or half made; in them are their sockets.
    fn folders(&self) -> BTreeSet<String> {
        let (parent, is_all) = match self.kind {
            Kind::Local => (self.folder.join("local"), false),
            Kind::Container => (self.folder.join("container/run"), true),
        };
        let is_one =
            |name: &String| is_all || name.starts_with('.') || Uuid::try_parse(name).is_ok();
        names(&parent).into_iter().filter(is_one).collect()
    }

    /// Processes that have something of the provider's folder mounted.
    fn inside(&self) -> Vec<i32> {
        let own = fs::read_link("/proc/self/ns/mnt").ok();
        let is_inside = |pid: &i32| {
            fs::read_link(format!("/proc/{pid}/ns/mnt")).ok() != own
                && !self.mounts(*pid).is_empty()
        };
        processes().filter(is_inside).collect()
    }

    /// First processes of namespaces, each with the workspace that it sees.
    fn firsts(&self) -> Vec<(i32, String)> {
        let mut firsts = Vec::new();
        for pid in processes() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let mut numbers = inside.unwrap_or_default().split_whitespace();
            let is_first = numbers.next().is_some() && numbers.next_back() == Some("1");
            let mounts = self.mounts(pid);
            let workspace = mounts.iter().find(|source| source.ends_with("/workspace"));
            if let Some(workspace) = workspace.filter(|_| is_first) {
                firsts.push((pid, workspace.clone()));
            }
        }
        firsts
    }

    /// What a process has mounted of the provider's folder.
    fn mounts(&self, pid: i32) -> Vec<String> {
        let folder = self.folder.parent().and_then(Path::file_name);
        let part = format!(
            "/{}/provider/",
            folder.unwrap_or_default().to_string_lossy()
        );
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let sources = table.lines().filter_map(|line| line.split(' ').nth(3));
        let ours = sources.filter(|source| source.contains(&part));
        ours.map(str::to_owned).collect()
    }
}

/// Fails unless nothing is left.
pub(crate) fn nothing(left: &Left) -> Result<()> {
    if left.is_nothing() {
        return Ok(());
    }
    broken(format!("left after the last sweep: {left}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named() {
        let mut left = Left::default();
        left.0.insert("containers", BTreeSet::new());
        left.0.insert("folders", BTreeSet::new());
        assert!(nothing(&left).is_ok());
        assert_eq!(left.to_string(), "0 containers, 0 folders");
        left.0.insert("folders", BTreeSet::from(["f".to_owned()]));
        assert!(nothing(&left).is_err());
        assert_eq!(left.to_string(), "0 containers, 1 folders [f]");
    }
}
