//! One execution: what it was asked to be, its process, its output and who watches it.

mod input;
mod observation;
mod outcome;

pub(crate) use input::Input;
pub(crate) use observation::{Observation, Pace, Step, channels};
pub(crate) use outcome::Ending;

use std::{
    collections::{BTreeSet, VecDeque},
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use rustix::process::WaitStatus;
use sandgate_runner_proto::v1::{self, Channel, Ended, TerminalSize, Totals};

use crate::{process::Tree, spool::Spool};

/// Signal ids that an execution remembers.
const SIGNAL_IDS: usize = 1024;
/// Signals that wait for the process to be there.
const EARLY_SIGNALS: usize = 16;

/// Whether a text can be the id of an execution.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    // The two dots would be folders.
    (1..=128).contains(&id.len()) && id.bytes().all(plain) && !matches!(id, "." | "..")
}

/// How far an execution has come. It only moves on, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// With a spawner.
    Starting,
    /// The process runs.
    Running,
    /// The process is over; its last output is fetched, or its tree is being killed.
    Reaped,
    /// All is said.
    Ended,
}

/// A connection and a call of it.
pub(crate) type Watcher = (u64, u64);

/// One channel of output.
pub(crate) struct Lane {
    /// Which.
    pub(crate) channel: Channel,
    /// What came.
    pub(crate) spool: Spool,
    /// Where more comes from; none once that is at its end.
    pub(crate) source: Option<OwnedFd>,
}

/// One execution.
pub(crate) struct Execution {
    /// Counts the executions of this runner, from 1.
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) fingerprint: Bytes,
    pub(crate) facts: Bytes,
    /// Wall clock of the start, nanoseconds since 1970.
    pub(crate) start_time_ns: i64,
    pub(crate) start: Instant,
    pub(crate) phase: Phase,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) input: Input,
    /// Rows and columns.
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) user: String,
    pub(crate) cwd: PathBuf,
    pub(crate) tree: Option<Tree>,
    pub(crate) status: Option<WaitStatus>,
    pub(crate) oom_killed: bool,
    /// A request sent it KILL.
    pub(crate) was_killed: bool,
    pub(crate) ending: Option<Ending>,
    /// Between TERM and KILL.
    pub(crate) grace: Duration,
    pub(crate) ended: Option<Ended>,
    /// Observations that are to be told when there is more.
    pub(crate) waiting: BTreeSet<Watcher>,
    /// Looks that wait for the end.
    pub(crate) lookers: BTreeSet<Watcher>,
    /// Observations, waiting or not.
    pub(crate) observations: usize,
    early_signals: Vec<(i32, bool)>,
    signal_ids: VecDeque<String>,
}

impl Execution {
    /// One that is about to be started; the facts of it are copied, since a frame is large.
    pub(crate) fn new(number: u64, start: &v1::Start, lanes: Vec<Lane>) -> Self {
        Self {
            number,
            id: start.execution_id.clone(),
            fingerprint: Bytes::copy_from_slice(&start.fingerprint),
            facts: Bytes::copy_from_slice(&start.facts),
            start_time_ns: now_ns(),
            start: Instant::now(),
            phase: Phase::Starting,
            lanes,
            input: Input::new(&start.stdin, start.stdin_open),
            size: start.terminal.as_ref().and_then(size_of),
            user: start.user.clone(),
            cwd: PathBuf::new(),
            tree: None,
            status: None,
            oom_killed: false,
            was_killed: false,
            ending: None,
            grace: Duration::ZERO,
            ended: None,
            waiting: BTreeSet::new(),
            lookers: BTreeSet::new(),
            observations: 0,
            early_signals: Vec::new(),
            signal_ids: VecDeque::new(),
        }
    }

    /// Whether the process can still be reached.
    pub(crate) fn is_alive(&self) -> bool {
        self.phase < Phase::Reaped
    }

    /// Whether it runs on a terminal.
    pub(crate) fn has_terminal(&self) -> bool {
        self.lanes.len() == 1
    }

    /// Sends a signal. False: the process has ended.
    pub(crate) fn signal(&mut self, signal: i32, whole: bool) -> bool {
        match (&self.tree, self.phase) {
            (_, Phase::Starting) => {
                if self.early_signals.len() < EARLY_SIGNALS {
                    self.early_signals.push((signal, whole));
                }
                true
            }
            (Some(tree), Phase::Running) => {
                self.was_killed |= signal == libc::SIGKILL;
                tree.signal(signal, whole);
                true
            }
            _ => false,
        }
    }

    /// Signals that came before the process was there.
    pub(crate) fn send_early_signals(&mut self) {
        for (signal, whole) in std::mem::take(&mut self.early_signals) {
            self.signal(signal, whole);
        }
    }

    /// Whether a signal with this id was sent before.
    pub(crate) fn knows_signal(&self, id: &str) -> bool {
        self.signal_ids.iter().any(|known| known == id)
    }

    /// Remembers the id of a signal; the oldest are forgotten.
    pub(crate) fn remember_signal(&mut self, id: String) {
        if self.signal_ids.len() == SIGNAL_IDS {
            self.signal_ids.pop_front();
        }
        self.signal_ids.push_back(id);
    }

    /// Output so far.
    pub(crate) fn totals(&self) -> Totals {
        totals(
            self.lanes
                .iter()
                .map(|lane| (lane.channel, lane.spool.total())),
        )
    }

    /// As Look and List say it.
    pub(crate) fn describe(&self) -> v1::Execution {
        let size = self.size.map(|(rows, cols)| TerminalSize {
            rows: rows.into(),
            cols: cols.into(),
        });
        v1::Execution {
            execution_id: self.id.clone(),
            number: self.number,
            facts: self.facts.clone(),
            start_time_ns: self.start_time_ns,
            totals: Some(self.totals()),
            ended: self.ended(),
            stdin_open: self.is_alive() && self.input.is_open(),
            stdin_accepted: self.input.accepted(),
            terminal: size,
            user: self.user.clone(),
            cwd: self.cwd.to_string_lossy().into_owned(),
        }
    }

    /// As its first answer says it.
    pub(crate) fn started(&self, attached: bool) -> v1::Started {
        v1::Started {
            execution_id: self.id.clone(),
            start_time_ns: self.start_time_ns,
            attached,
        }
    }
}

/// Totals of channels.
pub(crate) fn totals(lanes: impl Iterator<Item = (Channel, u64)>) -> Totals {
    let mut totals = Totals::default();
    for (channel, total) in lanes {
        match channel {
            Channel::Stdout => totals.stdout = Some(total),
            Channel::Stderr => totals.stderr = Some(total),
            Channel::Terminal => totals.terminal = Some(total),
            Channel::Unspecified => {}
        }
    }
    totals
}

/// Rows and columns, if they can be.
pub(crate) fn size_of(size: &TerminalSize) -> Option<(u16, u16)> {
    let side = |side: u32| u16::try_from(side).ok().filter(|side| *side > 0);
    Some((side(size.rows)?, side(size.cols)?))
}

/// The wall clock, nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}
