//! The heart: one thread that waits for whatever happens and lets it happen.

mod connect;
mod evict;
mod files;
mod finish;
mod frozen;
mod life;
mod look;
mod output;
mod ports;
mod request;
mod serve;
mod start;
mod stop;
mod watch;
mod workers;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::Setup,
    connection::Connection,
    execution::Execution,
    identity::Identity,
    leftovers::Leftovers,
    poller::{Interest, Poller, Ready, Token},
    ports::Ports,
    process::Keeper,
    reaper::Reaper,
    spawner::Spawner,
    spool::Budget,
    state::StateFile,
    sys,
    timers::{Due, Timers},
};
use frozen::Clock;
use stop::Stop;
use workers::Workers;

/// Output in memory, of all executions together.
const MEMORY: u64 = 16 << 20;
/// Read at once from a pipe or a connection.
const SCRATCH: usize = 128 * 1024;

/// Everything that the runner knows.
pub(crate) struct Engine {
    setup: Setup,
    identity: Identity,
    poller: Poller,
    timers: Timers,
    signals: OwnedFd,
    listener: UnixListener,
    keeper: Arc<Keeper>,
    spawner: Spawner,
    reaper: Reaper,
    leftovers: Leftovers,
    /// By number, which is their order.
    executions: BTreeMap<u64, Execution>,
    ids: HashMap<String, u64>,
    newest: u64,
    /// Executions that have not ended.
    running: usize,
    ended_count: u64,
    /// Ended ones in the order of their ends; those that still hold output.
    ended: VecDeque<u64>,
    holding: VecDeque<u64>,
    /// Trees that are to be killed, one in a turn.
    kills: VecDeque<u64>,
    connections: BTreeMap<u64, Connection>,
    newest_connection: u64,
    /// Connections that may have something to be sent.
    dirty: Vec<u64>,
    /// Observations and waiting Looks.
    watchers: usize,
    budget: Budget,
    scratch: Vec<u8>,
    activity: Instant,
    ports: Ports,
    workers: Workers,
    clock: Clock,
    oom_kills: u64,
    state: Option<StateFile>,
    /// Standard output, where there is one execution only.
    primary: Option<u64>,
    stop: Stop,
}

impl Engine {
    /// Ready to serve what connects to `listener`. No other thread may have been started before.
    pub(crate) fn new(
        setup: Setup,
        listener: UnixListener,
        state: Option<StateFile>,
    ) -> io::Result<Self> {
        let signals = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
        let signals = sys::take_signals(&signals)?;
        let mut keeper = Keeper::new(setup.options.cgroup.clone());
        if let Some(file) = &setup.options.oom_file {
            keeper = keeper.counting_by(file.clone());
        }
        let keeper = Arc::new(keeper);
        let spawner = Spawner::new(&keeper)?;
        let poller = Poller::new()?;
        listener.set_nonblocking(true)?;
        poller.add(&signals, Token::Signals, Interest::READ)?;
        poller.add(spawner.bell(), Token::Spawned, Interest::READ)?;
        poller.add(&listener, Token::Listener, Interest::READ)?;
        Ok(Self {
            identity: Identity::new(setup.sandbox.clone())?,
            budget: Budget::new(setup.options.total_limit, MEMORY),
            oom_kills: keeper.oom_kills(),
            setup,
            poller,
            timers: Timers::default(),
            signals,
            listener,
            keeper,
            spawner,
            reaper: Reaper::default(),
            leftovers: Leftovers::default(),
            executions: BTreeMap::new(),
            ids: HashMap::new(),
            newest: 0,
            running: 0,
            ended_count: 0,
            ended: VecDeque::new(),
            holding: VecDeque::new(),
            kills: VecDeque::new(),
            connections: BTreeMap::new(),
            newest_connection: 0,
            dirty: Vec::new(),
            watchers: 0,
            scratch: vec![0; SCRATCH],
            activity: Instant::now(),
            ports: Ports::default(),
            workers: Workers::default(),
            clock: Clock::default(),
            state,
            primary: None,
            stop: Stop::default(),
        })
    }

    /// Serves until it is stopped.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn()?;
        }
        self.kill_what_is_left();
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let busy = !self.dirty.is_empty() || !self.kills.is_empty();
        let next = self.timers.next(Instant::now());
        let timeout = if busy {
            Some(Duration::ZERO)
        } else {
            self.clock.bounded(next)
        };
        let ready = self.poller.wait(timeout)?;
        self.notice_freeze(timeout, ready.is_empty());
        for ready in ready {
            self.handle(ready);
        }
        while let Some(due) = self.timers.due(Instant::now()) {
            self.handle_due(due);
        }
        self.kill_one();
        self.serve_dirty();
        self.sweep_timers();
        Ok(())
    }

    fn handle(&mut self, ready: Ready) {
        match ready.token {
            Token::Signals => self.handle_signals(),
            Token::Spawned => {
                self.spawner.quiet();
                while let Some(spawned) = self.spawner.next() {
                    self.spawned(spawned);
                }
            }
            Token::Listener => self.accept(),
            Token::Connection(number) => self.read_connection(number, ready.hung_up),
            Token::Output(number, lane) => self.read_output(number, lane.into()),
            Token::Input(number) => self.write_input(number),
            Token::Leftover(number) => {
                self.leftovers
                    .discard(&self.poller, number, &mut self.scratch);
            }
            Token::Worker(number) => self.hear_worker(number),
        }
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = sys::next_signal(self.signals.as_fd()) {
            match signal {
                libc::SIGCHLD => self.reap(),
                libc::SIGTERM | libc::SIGINT => {
                    self.begin_stop(self.setup.options.grace, "SANDBOX_STOPPED");
                }
                // A terminal that went away is no reason to end.
                _ => {}
            }
        }
    }

    fn handle_due(&mut self, due: Due) {
        match due {
            Due::Timeout(number) => self.time_out(number),
            Due::Kill(number) => self.kill_late(number),
            Due::Drained(number) => self.finish(number, None),
            Due::Look(connection, call) => self.answer_look(connection, call),
            Due::Hello(connection) => self.expect_hello(connection),
            Due::State => self.write_state(),
            Due::Exit => self.exit_soon(),
        }
    }
}
