//! Starts processes on two threads of their own, since a start blocks the thread that does it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use rustix::event::{EventfdFlags, eventfd};

use sandgate_runner_proto::{put_frame, v1::from_runner::Body};

use crate::{
    answer::{frame, refused},
    process::{Child, Command, Keeper, StartFailure, Worker},
};

/// More add nothing on the machines that were measured.
const THREADS: usize = 2;
/// Starts, and results, that may wait.
const WAITING: usize = 1024;
/// Of a thread, in bytes.
const STACK: usize = 256 * 1024;

/// What to start.
enum Job {
    /// A process, for the execution of this number.
    Start(u64, Command),
    /// A worker on files, for this call.
    HandOver(u64, Worker),
}

/// What came of it.
pub(crate) struct Spawned {
    /// The execution.
    pub(crate) number: u64,
    /// Its process.
    pub(crate) result: Result<Child, StartFailure>,
}

/// The threads. They end when this is dropped.
pub(crate) struct Spawner {
    jobs: Option<SyncSender<Job>>,
    results: Receiver<Spawned>,
    bell: Arc<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the threads.
    pub(crate) fn new(keeper: &Arc<Keeper>) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (jobs, inbox) = sync_channel::<Job>(WAITING);
        let (outbox, results) = sync_channel(WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (inbox, outbox) = (Arc::clone(&inbox), outbox.clone());
            let (keeper, bell) = (Arc::clone(keeper), Arc::clone(&bell));
            let work = move || work(&inbox, &outbox, &keeper, &bell);
            threads.push(
                Builder::new()
                    .name("spawner".into())
                    .stack_size(STACK)
                    .spawn(work)?,
            );
        }
        Ok(Self {
            jobs: Some(jobs),
            results,
            bell,
            threads,
        })
    }

    /// Starts a process soon. False: too many wait already.
    pub(crate) fn start(&self, number: u64, command: Command) -> bool {
        let jobs = self.jobs.as_ref();
        jobs.is_some_and(|jobs| jobs.try_send(Job::Start(number, command)).is_ok())
    }

    /// Starts a worker soon; the caller of `call` hears of it. False: too many wait already.
    pub(crate) fn hand_over(&self, call: u64, worker: Worker) -> bool {
        let jobs = self.jobs.as_ref();
        jobs.is_some_and(|jobs| jobs.try_send(Job::HandOver(call, worker)).is_ok())
    }

    /// Readable when there is a result.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The next result, if there is one.
    pub(crate) fn next(&self) -> Option<Spawned> {
        self.results.try_recv().ok()
    }

    /// Silences the bell; results that come from now on ring it again.
    pub(crate) fn quiet(&self) {
        // Fails only when it did not ring.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.jobs = None;
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            // A thread may wait for room for its result; the process ends with the sandbox.
            drop(
                self.results
                    .recv_timeout(std::time::Duration::from_millis(1)),
            );
        }
        for thread in self.threads.drain(..) {
            // A panic of a spawner has been printed; there is nobody to tell any more.
            drop(thread.join());
        }
    }
}

fn work(
    inbox: &Mutex<Receiver<Job>>,
    outbox: &SyncSender<Spawned>,
    keeper: &Keeper,
    bell: &OwnedFd,
) {
    loop {
        let (number, command) = match take(inbox) {
            Ok(Job::Start(number, command)) => (number, command),
            Ok(Job::HandOver(call, worker)) => {
                if let Err(failure) = keeper.work(&worker) {
                    refuse(call, &worker, &failure);
                }
                continue;
            }
            Err(()) => return,
        };
        let result = keeper.spawn(number, &command);
        if outbox.send(Spawned { number, result }).is_err() {
            return;
        }
        // Fails only at its highest count, and then it rings already.
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}

/// Says on the worker's own connection why there is none; nobody else has it any more.
fn refuse(call: u64, worker: &Worker, failure: &StartFailure) {
    let refusal = refused(failure.reason, &failure.message);
    let mut bytes = Vec::new();
    put_frame(&frame(call, Body::Refused(refusal)), &mut bytes);
    // Whoever has gone needs no reason.
    let _ = rustix::io::write(&worker.socket, &bytes);
}

/// The next job. The other thread waits for the lock meanwhile, which is as good as for a job.
fn take(inbox: &Mutex<Receiver<Job>>) -> Result<Job, ()> {
    inbox.lock().map_err(drop)?.recv().map_err(drop)
}
