//! The end of all executions, which the runner outlives, and how long nothing has happened.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sandgate_runner_proto::v1::{Done, Shutdown, from_runner::Body};

use super::{Runner, execution::Execution, link::Line};

impl Runner {
    /// Lets nothing start any more and ends what runs, which is answered. The runner stays until
    /// its sandbox is stopped.
    pub(super) fn close(&self, asked: &Shutdown) -> Result<Vec<Arc<Execution>>, &'static str> {
        // Held, so that nothing starts between the look and the end.
        let executions = self.executions.lock().unwrap();
        let alive: Vec<_> = executions
            .values()
            .filter(|one| !one.is_over())
            .cloned()
            .collect();
        let needed = Duration::from_millis(asked.only_if_idle_ms);
        let is_busy = !alive.is_empty() || self.idle() < needed;
        if !needed.is_zero() && is_busy && !self.closed.load(Ordering::SeqCst) {
            return Err("BUSY");
        }
        self.closed.store(true, Ordering::SeqCst);
        for execution in &alive {
            execution.cancel(&asked.by);
        }
        Ok(alive)
    }

    /// Answers when all of these have ended; stays only where it is asked to.
    pub(super) async fn close_after(
        self: Arc<Self>,
        ending: Vec<Arc<Execution>>,
        line: Line,
        asked: Shutdown,
    ) {
        for execution in ending {
            execution.over().await;
        }
        line.send(Body::Done(Done { delivered: true })).await;
        if asked.linger_ms == 0 {
            self.stop(&asked.by);
        }
    }

    /// How long nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        let touched = self.touched.load(Ordering::SeqCst);
        Duration::from_millis(self.counters.now().saturating_sub(touched))
    }

    /// Something happens.
    pub(super) fn touch(&self) {
        self.touched.store(self.counters.now(), Ordering::SeqCst);
    }
}
