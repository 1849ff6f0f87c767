//! The sandbox as this machine sees it: its runner, and what is left of it at the end.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    config::Kind,
    failure::{Result, broken, ensure, setup},
    life::{left::nothing, upstream::Upstream},
    plan::{Due, Role, Work},
    sandbox::Sandbox,
    stack::Stack,
};

/// How long after DeleteSandbox the last process may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// For the docker command.
const DOCKER: Duration = Duration::from_secs(60);

/// The process namespace of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// As the kernel names it.
    name: String,
    /// Its runner, as this machine counts: the first process, or where that is the vendor's, the one
    /// that the commands come from.
    runner: i32,
}

impl Namespace {
    /// Finds it by a command that no other sandbox runs.
    pub(crate) async fn of(kind: Kind, sandbox: &Sandbox) -> Result<Self> {
        // A time in seconds that nobody else sleeps for.
        let mark = 2_000_000_000 + uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000_000;
        let work = Work {
            id: format!("mark-{mark}"),
            command: format!("exec sleep {mark}"),
            timeout: None,
            output: Default::default(),
            due: Due::Signal(9),
            role: Role::Plain,
        };
        sandbox.start(&work).await?;
        let begin = Instant::now();
        let pid = loop {
            match find(&mark.to_string()) {
                Some(pid) => break pid,
                None if begin.elapsed() > GONE => {
                    return Err(setup(
                        "the sandbox's processes are not in /proc: run this on the machine of the sandboxes, as root",
                    ));
                }
                None => sleep(Duration::from_millis(10)).await,
            }
        };
        let name = name_of(pid).ok_or_else(|| setup("cannot read namespaces: run as root"))?;
        let runner = match kind {
            Kind::Local | Kind::Container => above(pid, |_, inside| inside == "1"),
            Kind::E2b => above(pid, |pid, _| is_runner(pid)),
        };
        sandbox.signal(&work.id, 9, "found").await?;
        let runner = runner.ok_or_else(|| setup("the sandbox's runner is not found"))?;
        ensure(Some(&name) != name_of_self().as_ref(), || {
            "the sandbox has no process namespace of its own".to_owned()
        })?;
        Ok(Self { name, runner })
    }

    /// Kills its runner, and waits until that is gone, with all processes if it is the first.
    pub(crate) async fn kill(&self, kind: Kind) -> Result<()> {
        let pid = Pid::from_raw(self.runner).ok_or_else(|| setup("no process"))?;
        kill_process(pid, Signal::KILL)
            .map_err(|error| setup(format!("cannot kill process {}: {error}", self.runner)))?;
        if kind != Kind::E2b {
            return self.is_gone().await;
        }
        let begin = Instant::now();
        while is_runner(self.runner) {
            ensure(begin.elapsed() < GONE, || {
                format!("process {} was killed and lives", self.runner)
            })?;
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Fails unless no process of it is left, soon.
    pub(crate) async fn is_gone(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let left: Vec<String> = processes()
                .filter(|pid| name_of(*pid).as_ref() == Some(&self.name))
                .map(|pid| format!("{pid} {:?}", arguments(pid)))
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if begin.elapsed() > GONE {
                return broken(format!("processes of a deleted sandbox are left: {left:?}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Fails if the engine or the cloud still has something that this run's provider made.
pub(crate) async fn nothing_left(kind: Kind, stack: &Stack) -> Result<()> {
    match kind {
        Kind::Local => return Ok(()),
        Kind::E2b => return nothing(&Upstream::new(kind, stack).left().await?),
        Kind::Container => {}
    }
    let label = format!("label=managed-by={}", stack.prefix());
    for list in [
        ["ps", "--all"].as_slice(),
        &["network", "ls"],
        &["volume", "ls"],
    ] {
        let list = [list, &["--quiet", "--filter", &label]].concat();
        let left = docker(&list).await?;
        ensure(left.trim().is_empty(), || {
            format!("docker {} still shows {}", list.join(" "), left.trim())
        })?;
    }
    Ok(())
}

/// What the docker command answers.
pub(crate) async fn docker(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("docker");
    command.args(arguments).kill_on_drop(true);
    let output = timeout(DOCKER, command.output()).await;
    let output = output
        .map_err(|_| setup("docker gives no answer"))?
        .map_err(|error| setup(format!("cannot ask docker: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(setup(format!(
        "docker {} failed: {why}",
        arguments.join(" ")
    )))
}

/// Numbers of all processes.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn find(argument: &str) -> Option<i32> {
    processes().find(|pid| arguments(*pid).last().is_some_and(|last| last == argument))
}

fn arguments(pid: i32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn name_of(pid: i32) -> Option<String> {
    link(&format!("/proc/{pid}/ns/pid"))
}

fn name_of_self() -> Option<String> {
    link("/proc/self/ns/pid")
}

fn link(path: &str) -> Option<String> {
    let name = fs::read_link(Path::new(path)).ok()?;
    Some(name.to_string_lossy().into_owned())
}

/// Whether a process is a runner that holds executions.
fn is_runner(pid: i32) -> bool {
    arguments(pid).get(1).is_some_and(|mode| mode == "init")
}

/// The nearest ancestor that is the one, by its number here and in its own namespace.
fn above(mut pid: i32, is_it: impl Fn(i32, &str) -> bool) -> Option<i32> {
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| {
            status
                .lines()
                .find_map(|line: &str| line.strip_prefix(name))
        };
        let inside = field("NSpid:")?.split_whitespace().last()?;
        if is_it(pid, inside) {
            return Some(pid);
        }
        pid = field("PPid:")?.trim().parse().ok().filter(|pid| *pid > 0)?;
    }
}
