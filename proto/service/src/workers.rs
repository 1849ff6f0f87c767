//! Threads that serve connections. Everything that happens on one connection happens on one thread,
//! and so do the calls that it causes: a call on an idle machine waits for no other thread to wake.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The thread that serves a connection: its place in [`Workers::runtimes`].
pub type WorkerId = usize;

/// A fixed number of threads, each with a runtime of its own. They end when this is dropped, and
/// whatever still runs on them with them.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<Thread>,
    turn: AtomicUsize,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    join: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// Where the system gives no more threads or descriptors.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self {
            threads: Vec::new(),
            turn: AtomicUsize::new(0),
            stop: CancellationToken::new(),
        };
        for id in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, stop) = (runtime.handle().clone(), workers.stop.clone());
            let join = thread::Builder::new()
                .name(format!("worker-{id}"))
                .spawn(move || runtime.block_on(stop.cancelled()))?;
            workers.threads.push(Thread {
                runtime: handle,
                join: Some(join),
            });
        }
        Ok(workers)
    }

    /// Their runtimes, by [`WorkerId`].
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.threads.iter().map(|thread| &thread.runtime)
    }

    /// The one for the next connection, in turn.
    pub(crate) fn next(&self) -> (WorkerId, &Handle) {
        let id = self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        (id, &self.threads[id].runtime)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in &mut self.threads {
            if let Some(join) = thread.join.take() {
                // Ends at once: the runtime drops its tasks and waits for none. A panic of the
                // thread itself was printed by its hook.
                let _ = join.join();
            }
        }
    }
}
