//! What the upstream has of this run, as this machine sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    doubles::two,
    left::Left,
    tree::{find, folders, names, remove},
};
use crate::{
    cloud::{Account, Guest},
    config::Kind,
    failure::{Result, ensure},
    host::{docker, processes},
    stack::Stack,
};

/// How long after the sweep the last of it may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Where control groups are, and how deep ours may be.
const GROUPS: (&str, usize) = ("/sys/fs/cgroup", 4);
/// Begins the names of those of the emulator's sandboxes, and how deep they are.
const CLOUD_GROUPS: (&str, usize) = ("sandgate-emulator-", 2);

/// The upstream of one run.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Which it is.
    kind: Kind,
    /// Begins the names of all that the provider makes.
    prefix: String,
    /// The folder of the sandboxes: the provider's for its data, or the cloud's.
    folder: PathBuf,
    /// Name of the control group of all of its sandboxes, where it has one.
    group: Option<String>,
    /// The caller's at the cloud, where the provider has one.
    account: Option<Account>,
}

impl Upstream {
    /// The upstream of a provider that serves.
    pub(crate) fn new(kind: Kind, stack: &Stack) -> Self {
        let account = stack.account().cloned();
        let folder = account.as_ref().map(|account| account.folder().to_owned());
        let folder = folder.unwrap_or_else(|| stack.provider_folder());
        let id = fs::read_to_string(folder.join("local/instance-id")).ok();
        Self {
            kind,
            prefix: stack.prefix().to_owned(),
            folder,
            group: id.map(|id| format!("sandgate-{}", id.trim())),
            account,
        }
    }

    /// The caller's account at the cloud, where the provider has one.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Fails if there are two of one sandbox.
    pub(crate) async fn check_doubles(&self) -> Result<()> {
        let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        match self.kind {
            Kind::E2b => counts = two(&self.guests().await?),
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
    /// of those of the engine the names of their containers, of those of a cloud its ids.
    pub(crate) async fn sandboxes(&self) -> Result<BTreeSet<String>> {
        match self.kind {
            Kind::Local => return Ok(self.folders()),
            Kind::E2b => {
                let guests = self.guests().await?.into_iter();
                return Ok(guests.map(|one| one.id).collect());
            }
            Kind::Container => {}
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

    async fn guests(&self) -> Result<Vec<Guest>> {
        match &self.account {
            Some(account) => account.guests().await,
            None => Ok(Vec::new()),
        }
    }

    async fn look(&self) -> Result<Left> {
        let mut left = Left::default();
        if self.kind == Kind::Container {
            for (name, list) in [
                ("containers", ["ps", "--all"].as_slice()),
                ("networks", &["network", "ls"]),
                ("volumes", &["volume", "ls"]),
            ] {
                left.add(name, self.listed(list).await?);
            }
        }
        if self.account.is_some() {
            left.add("sandboxes", self.sandboxes().await?);
        }
        left.add("folders", self.folders());
        left.add("owners", names(&self.folder.join("container/owners")));
        let inside = self.inside().into_iter();
        left.add("processes", inside.map(|pid| pid.to_string()).collect());
        let mut groups = self.groups();
        if self.account.is_none() {
            groups = groups.iter().flat_map(|top| folders(top)).collect();
        }
        let groups = groups.iter().map(|path| path.display().to_string());
        left.add("groups", groups.collect());
        Ok(left)
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

    /// The control groups, one in each tree, in which those of the sandboxes are; of a cloud's
    /// sandboxes their own.
    fn groups(&self) -> Vec<PathBuf> {
        let (mut found, root) = (Vec::new(), Path::new(GROUPS.0));
        if let Some(name) = &self.group {
            find(root, GROUPS.1, &|own| own == name, &mut found);
        }
        if let Some(account) = &self.account {
            let (prefix, depth) = CLOUD_GROUPS;
            // Those of other runs are not ours to judge.
            let is_own = |name: &str| name.strip_prefix(prefix).is_some_and(|id| account.had(id));
            find(root, depth, &is_own, &mut found);
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
            Kind::E2b => (self.folder.clone(), true),
            Kind::Local => (self.folder.join("local"), false),
            Kind::Container => (self.folder.join("container/run"), true),
        };
        let is_one =
            |name: &String| is_all || name.starts_with('.') || Uuid::try_parse(name).is_ok();
        names(&parent).into_iter().filter(is_one).collect()
    }

    /// Processes that have something of the folder mounted.
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

    /// What a process has mounted of the folder.
    fn mounts(&self, pid: i32) -> Vec<String> {
        let own = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let run = self.folder.parent().map(own);
        let part = format!("/{}/{}/", run.unwrap_or_default(), own(&self.folder));
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let sources = table.lines().filter_map(|line| line.split(' ').nth(3));
        let ours = sources.filter(|source| source.contains(&part));
        ours.map(str::to_owned).collect()
    }
}
