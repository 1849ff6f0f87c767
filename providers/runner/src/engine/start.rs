//! Starts executions, and takes up what the spawner threads made of them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::WaitStatus;
use sandgate_runner_proto::v1::{Channel, Refused, Start, from_runner::Body};

use super::Engine;
use crate::{
    answer::{Answer, malformed, refused},
    config::Place,
    execution::{Execution, Lane, Phase, channels, is_id, size_of},
    poller::{Interest, Token},
    process::{Child, Command, resize},
    spawner::Spawned,
    spool::{FileStore, MEMORY, Spool},
    timers::Due,
};

/// Executions that may run at once; each has up to three descriptors of ours.
const RUNNING: usize = 1024;
/// Longest timeout; more is never reached.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Longest grace time of one execution.
const GRACE: Duration = Duration::from_secs(60);

/// What an execution wants between TERM and KILL; none: what all have.
fn grace(start: &Start) -> Option<Duration> {
    let wanted = Duration::from_millis(start.grace_ms).min(GRACE);
    (!wanted.is_zero()).then_some(wanted)
}

impl Engine {
    /// Starts an execution, or attaches to the one that has its id.
    pub(crate) fn start(&mut self, connection: u64, call: u64, start: &Start) -> Answer {
        check(start)?;
        if let Ok(execution) = self.find(&start.execution_id) {
            if execution.fingerprint != start.fingerprint {
                return Err(refused(
                    "ID_REUSED",
                    "another request has this id; choose a new one",
                ));
            }
            let observation = self.observation_of((connection, call), start, Some(execution))?;
            let started = execution.started(true);
            self.answer(connection, call, Body::Started(started));
            if let Some(observation) = observation {
                self.watch(connection, call, observation);
            }
            return Ok(None);
        }
        self.check_room()?;
        let mut observation = self.observation_of((connection, call), start, None)?;
        let number = self.begin(start)?;
        if let Some(execution) = self.executions.get(&number) {
            let started = execution.started(false);
            self.answer(connection, call, Body::Started(started));
        }
        if let Some(mut observation) = observation.take() {
            observation.number = number;
            self.watch(connection, call, observation);
        }
        self.write_state();
        Ok(None)
    }

    fn check_room(&self) -> Result<(), Refused> {
        self.check_not_ending()?;
        if self.setup.is_single() && !self.executions.is_empty() {
            return Err(refused(
                "TOO_MANY_EXECUTIONS",
                "this runner holds one execution only",
            ));
        }
        if self.running >= RUNNING {
            return Err(refused(
                "TOO_MANY_EXECUTIONS",
                "1,024 executions run; wait until some end",
            ));
        }
        Ok(())
    }

    /// Hands it to a spawner; says its number.
    fn begin(&mut self, start: &Start) -> Result<u64, Refused> {
        let options = &self.setup.options;
        let cwd = if start.cwd.is_empty() {
            options.cwd.clone()
        } else {
            start.cwd.clone().into()
        };
        let user = if start.user.is_empty() {
            &options.user
        } else {
            &start.user
        };
        let number = self.newest + 1;
        let command = Command {
            argv: start
                .argv
                .iter()
                .map(|argument| argument.to_vec())
                .collect(),
            env: self
                .setup
                .environment(&start.user, start.env.iter().map(|pair| &pair[..])),
            cwd: cwd.clone(),
            user: user.clone(),
            terminal: start.terminal.as_ref().and_then(size_of),
            stdin: start.stdin_open || !start.stdin.is_empty(),
        };
        if !self.spawner.start(number, command) {
            return Err(refused(
                "TOO_MANY_EXECUTIONS",
                "too many wait to be started; try again",
            ));
        }
        let mut execution = Execution::new(number, start, self.lanes(start.terminal.is_some()));
        execution.user.clone_from(user);
        execution.cwd = cwd;
        execution.grace = grace(start).unwrap_or(options.grace);
        self.newest = number;
        self.running += 1;
        self.activity = execution.start;
        self.reaper.begin(number);
        self.ids.insert(execution.id.clone(), number);
        if start.timeout_ms > 0 {
            let timeout = Duration::from_millis(start.timeout_ms).min(LONGEST);
            self.timers
                .add(execution.start + timeout, Due::Timeout(number));
        }
        self.executions.insert(number, execution);
        Ok(number)
    }

    fn lanes(&self, terminal: bool) -> Vec<Lane> {
        let limit = self.setup.options.output_limit;
        let spool = |channel: Channel| match &self.setup.place {
            Place::Unnamed(folder) => Spool::new(FileStore::unnamed(folder), limit, MEMORY),
            Place::Folder(folder) => Spool::new(FileStore::named(file(folder, channel)), limit, 0),
        };
        let lane = |channel: &Channel| Lane {
            channel: *channel,
            spool: spool(*channel),
            source: None,
        };
        channels(terminal).iter().map(lane).collect()
    }

    /// A spawner is done with an execution.
    pub(super) fn spawned(&mut self, spawned: Spawned) {
        let number = spawned.number;
        match spawned.result {
            Ok(child) => {
                let status = self.reaper.register(number, child.pid);
                self.take_up(number, child, status);
            }
            Err(failure) => {
                self.reaper.finish(number);
                self.finish(number, Some(failure));
            }
        }
    }

    /// The process is there, and may be over already.
    fn take_up(&mut self, number: u64, child: Child, status: Option<WaitStatus>) {
        let Some(execution) = self.executions.get_mut(&number) else {
            return;
        };
        execution.phase = Phase::Running;
        execution.user = child.user;
        execution.tree = Some(child.tree);
        let input = match &child.terminal {
            Some(master) => rustix::io::fcntl_dupfd_cloexec(master, 0).ok(),
            None => child.stdin,
        };
        execution.input.connect(input, child.terminal.is_some());
        if let (Some(master), Some((rows, cols))) = (&child.terminal, execution.size) {
            // It may have been resized meanwhile; a failure leaves the size of the start.
            let _ = resize(std::os::fd::AsFd::as_fd(master), rows, cols);
        }
        let sources = match child.terminal {
            Some(master) => [Some(master), None],
            None => [child.stdout, child.stderr],
        };
        for (at, (lane, source)) in execution.lanes.iter_mut().zip(sources).enumerate() {
            let token = Token::Output(number, u8::from(at > 0));
            // Without memory for it the output is read when the process is over.
            let _ = source
                .as_ref()
                .map(|source| self.poller.add(source, token, Interest::READ));
            lane.source = source;
        }
        if execution.ending.is_some() {
            execution.signal(libc::SIGTERM, true);
            self.timers
                .add(Instant::now() + execution.grace, Due::Kill(number));
        }
        execution.send_early_signals();
        self.write_input(number);
        if let Some(status) = status {
            self.reaped(number, status);
        }
    }
}

/// The file of a channel.
fn file(folder: &Path, channel: Channel) -> std::path::PathBuf {
    folder.join(match channel {
        Channel::Stderr => "stderr",
        Channel::Terminal => "terminal",
        _ => "stdout",
    })
}

/// Refuses what can never be started.
fn check(start: &Start) -> Result<(), Refused> {
    let has_nul = |bytes: &[u8]| bytes.contains(&0);
    let is_pair = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=') > Some(0);
    let Start { argv, env, cwd, .. } = start;
    let names_program = argv.first().is_some_and(|program| !program.is_empty());
    let is_folder = cwd.is_empty() || cwd.starts_with('/');
    let has_size = start
        .terminal
        .as_ref()
        .is_none_or(|size| size_of(size).is_some());
    let rule = if !is_id(&start.execution_id) {
        "an execution_id is 1 to 128 of A-Z a-z 0-9 . _ -"
    } else if start.fingerprint.len() > 64 || start.facts.len() > 16 * 1024 {
        "a fingerprint has at most 64 bytes, facts have at most 16 KiB"
    } else if !names_program || argv.iter().any(|argument| has_nul(argument)) {
        "argv names a program first, and holds no NUL byte"
    } else if !env.iter().all(|pair| is_pair(pair) && !has_nul(pair)) {
        "env holds NAME=value, without NUL bytes"
    } else if !is_folder || cwd.len() > 4096 || has_nul(cwd.as_bytes()) {
        "cwd is an absolute folder of at most 4,096 bytes, none of them NUL"
    } else if start.user.len() > 256 {
        "user has at most 256 bytes"
    } else if !has_size {
        "a terminal has 1 to 65,535 rows and columns"
    } else {
        return Ok(());
    };
    Err(malformed(rule))
}
