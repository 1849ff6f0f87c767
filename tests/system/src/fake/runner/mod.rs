//! The runner of a scripted sandbox: holds its executions, and speaks the runner's protocol on any
//! number of links.

mod close;
mod execution;
mod link;
mod observe;
mod script;
mod state;
mod text;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sandgate_runner_proto::v1::{Execution as Seen, List, Listed, Start};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use self::execution::Execution;
pub(super) use self::link::serve;

/// What all commands of one provider did.
#[derive(Default)]
pub(super) struct Counters {
    /// Outputs that commands wrote.
    pub(super) outputs: AtomicU64,
    /// Bytes that were sent to readers.
    pub(super) sent: AtomicU64,
    /// Commands that run.
    pub(super) live: AtomicUsize,
    /// Commands that were cancelled or got a signal.
    pub(super) kills: AtomicUsize,
    ended: AtomicU64,
    /// Milliseconds that are only said to have passed.
    aged: AtomicU64,
}

impl Counters {
    /// Lets time pass.
    pub(super) fn age(&self, by: Duration) {
        self.aged.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Milliseconds of a clock that [`Self::age`] sets forward.
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_millis() as u64 + self.aged.load(Ordering::SeqCst)
    }
}

/// One life of a runner: from the start of its sandbox to the stop.
pub(super) struct Runner {
    boot_id: String,
    sandbox_id: String,
    generation: u64,
    runtime: Handle,
    counters: Arc<Counters>,
    executions: Mutex<HashMap<String, Arc<Execution>>>,
    /// Nothing is started any more.
    closed: AtomicBool,
    /// When something last happened, by the clock of the counters.
    touched: Arc<AtomicU64>,
    /// No new links and calls; what is under way is told how it ended.
    stopping: CancellationToken,
    /// How often the links were broken.
    links: watch::Sender<u64>,
    /// Gone, with nothing said.
    gone: CancellationToken,
}

impl Runner {
    pub(super) fn new(
        sandbox_id: &str,
        generation: u64,
        runtime: Handle,
        counters: Arc<Counters>,
    ) -> Self {
        let touched = Arc::new(AtomicU64::new(counters.now()));
        Self {
            boot_id: crate::uuid(),
            sandbox_id: sandbox_id.to_owned(),
            generation,
            runtime,
            counters,
            executions: Mutex::default(),
            closed: AtomicBool::default(),
            touched,
            stopping: CancellationToken::new(),
            links: watch::Sender::default(),
            gone: CancellationToken::new(),
        }
    }

    /// Ends all that runs, and then the links.
    pub(super) fn stop(&self, by: &str) {
        for execution in self.executions.lock().unwrap().values() {
            execution.cancel(by);
        }
        self.stopping.cancel();
    }

    /// Ends the links and nothing else.
    pub(super) fn unlink(&self) {
        self.links.send_modify(|broken| *broken += 1);
    }

    /// Ends at once and says nothing.
    pub(super) fn vanish(&self) {
        self.gone.cancel();
    }

    /// Starts a command, or finds the one that its id started; true: found.
    fn start(&self, start: Start) -> Result<(Arc<Execution>, bool), &'static str> {
        if self.stopping.is_cancelled() {
            return Err("SHUTTING_DOWN");
        }
        let mut executions = self.executions.lock().unwrap();
        if let Some(there) = executions.get(&start.execution_id) {
            return if there.start.fingerprint == start.fingerprint {
                Ok((there.clone(), true))
            } else {
                Err("ID_REUSED")
            };
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err("SHUTTING_DOWN");
        }
        self.touch();
        let number = executions.len() as u64 + 1;
        let made = Arc::new(Execution::new(start, number));
        executions.insert(made.start.execution_id.clone(), made.clone());
        drop(executions);
        let play = made.clone().play(self.counters.clone(), self.gone.clone());
        let (counters, touched) = (self.counters.clone(), self.touched.clone());
        self.runtime.spawn(async move {
            play.await;
            touched.store(counters.now(), Ordering::SeqCst);
        });
        Ok((made, false))
    }

    /// Starts a command that nobody asked for through a link.
    pub(super) fn begin(&self, execution_id: &str, command: &str) {
        let start = Start {
            execution_id: execution_id.to_owned(),
            argv: vec![command.as_bytes().to_vec().into()],
            ..Start::default()
        };
        self.start(start).expect("nothing starts any more");
    }

    /// Ends all that runs, and nothing else.
    pub(super) async fn finish(&self) {
        let all: Vec<_> = self.executions.lock().unwrap().values().cloned().collect();
        for execution in all {
            execution.cancel("TEST");
            execution.over().await;
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Execution>, &'static str> {
        let executions = self.executions.lock().unwrap();
        executions.get(id).cloned().ok_or("NOT_FOUND")
    }

    fn list(&self, asked: &List) -> Listed {
        let fits = |seen: &Seen| {
            let later = seen.ended.as_ref().map_or(0, |ended| ended.ended_number);
            (asked.before_number == 0 || seen.number < asked.before_number)
                && (asked.ended_after == 0 || later > asked.ended_after)
        };
        let all = self.executions.lock().unwrap();
        let mut found: Vec<_> = all.values().map(|one| one.seen()).filter(fits).collect();
        found.sort_by_key(|seen| std::cmp::Reverse(seen.number));
        let most = match asked.limit {
            0 => 1000,
            limit => limit.min(1000) as usize,
        };
        let more = found.len() > most;
        found.truncate(most);
        Listed {
            executions: found,
            more,
        }
    }

    fn running(&self) -> u32 {
        let executions = self.executions.lock().unwrap();
        executions.values().filter(|one| !one.is_over()).count() as u32
    }
}
