//! The thread that starts all bwraps.
//!
//! `--die-with-parent` is the kernel's PR_SET_PDEATHSIG, and its parent is a thread: one from a
//! pool, ending when idle, would take its commands with it. This one lives as long as the provider.

use std::{io, thread};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// Starts that may wait for their turn.
const QUEUE: usize = 64;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Spawner {
    /// Must be called within a runtime; processes belong to that one.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let runtime = Handle::current();
        let thread = thread::Builder::new()
            .name("sandgate-spawn".into())
            .spawn(move || {
                let _runtime = runtime.enter();
                while let Some((mut command, answer)) = queue.blocking_recv() {
                    // Where nobody waits any more the child is dropped, which kills it.
                    let _ = answer.send(command.spawn());
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Starts a process. It should have `kill_on_drop` set.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (answer, child) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send((command, answer)).await.map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
