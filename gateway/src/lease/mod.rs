//! The tasks that keep every promise about time: what is due is looked at, what was cut off is
//! finished, what nobody wants is ended, and nothing is left upstream that nobody knows.

mod due;
mod jumps;
mod sessions;

use std::{sync::Arc, time::Duration};

use sandgate_service::Drain;
use tokio_util::task::TaskTracker;

use crate::{
    Config,
    clock::{Clock, span},
    config::Pace,
    problem::Result,
    sandbox::Sandboxes,
    session::Removals,
    store::Store,
};
use due::Looks;
use jumps::Jumps;
use sessions::Cleaning;

/// How often flights are held, as a part of the time after which others take over.
const HOLDS: u32 = 3;
/// How often a gateway notes that it is awake.
const AWAKE: Duration = Duration::from_secs(10);
/// Where no gateway was awake for longer than this, nobody could renew: the clocks begin anew.
const ASLEEP: Duration = Duration::from_secs(60);

/// Looks for what is due, again and again.
pub(crate) struct Keeper {
    sandboxes: Sandboxes,
    store: Arc<dyn Store>,
    clock: Clock,
    pace: Pace,
    providers: Vec<String>,
    tasks: TaskTracker,
    looks: Looks,
    cleaning: Cleaning,
}

/// When something was last done, and a jump that nothing was done about yet.
#[derive(Default)]
struct Last {
    held: Duration,
    awake: Option<Duration>,
    jumped: Option<i64>,
    compared: Option<Duration>,
}

impl Keeper {
    /// The work goes on in `tasks` where it was begun.
    pub(crate) fn new(
        removals: Removals,
        sandboxes: Sandboxes,
        store: Arc<dyn Store>,
        config: &Config,
        tasks: TaskTracker,
    ) -> Self {
        let looks = Looks::new(sandboxes.clone(), store.clone(), tasks.clone());
        Self {
            sandboxes,
            store,
            clock: config.clock.clone(),
            pace: config.pace,
            providers: config.providers.iter().map(|one| one.id.clone()).collect(),
            cleaning: Cleaning::new(removals, config.clock.clone(), tasks.clone()),
            tasks,
            looks,
        }
    }

    /// Goes on until the drain begins.
    pub(crate) async fn run(self, drain: Drain) {
        let mut jumps = Jumps::new(&self.clock);
        let mut last = Last::default();
        while !drain.is_started() {
            if let Err(problem) = self.round(&mut jumps, &mut last).await {
                tracing::warn!(%problem, "cannot look for what is due");
            }
            tokio::select! {
                () = self.clock.sleep(self.pace.interval) => {}
                () = drain.started() => {}
            }
        }
        if let Err(problem) = self.sandboxes.write_touches(true).await {
            tracing::warn!(%problem, "the last uses of sandboxes were not written");
        }
    }

    async fn round(&self, jumps: &mut Jumps, last: &mut Last) -> Result<()> {
        // Told before the jumps are looked for, so that nothing is due by a jump that was not seen.
        let now = self.clock.now();
        self.mind_the_clock(jumps, last).await?;
        let steady = self.clock.steady();
        if steady.saturating_sub(last.held) >= self.pace.takeover / HOLDS {
            self.sandboxes.hold_flights().await?;
            last.held = steady;
        }
        self.sandboxes.write_touches(false).await?;
        self.cleaning.look().await?;
        self.looks.look(now).await?;
        if last
            .compared
            .is_none_or(|then| steady - then >= self.pace.first_retry)
        {
            self.compare(last.compared.is_none());
            last.compared = Some(steady);
        }
        Ok(())
    }

    /// Where the wall clock was set, or nobody was awake, all clocks of sandboxes begin anew: how long
    /// each was really left alone cannot be told.
    async fn mind_the_clock(&self, jumps: &mut Jumps, last: &mut Last) -> Result<()> {
        let steady = self.clock.steady();
        let jumped = jumps.look(&self.clock).or(last.jumped);
        if last.awake.is_some_and(|then| steady - then < AWAKE) && jumped.is_none() {
            return Ok(());
        }
        // Until the clocks have begun anew, should the store not take it now.
        last.jumped = jumped;
        let now = self.clock.now();
        let before = self.store.awake(now).await?;
        let away = last.awake.is_none() && before > 0 && (now - before).abs() > span(ASLEEP);
        if jumped.is_some() || away {
            let millis = jumped.unwrap_or(now - before);
            tracing::warn!(
                millis,
                "the clock jumped, or no gateway was awake; the clocks of all sandboxes begin anew"
            );
            // Where nobody was awake, nobody works on anything.
            let held = if away {
                now
            } else {
                now + span(self.pace.takeover)
            };
            self.sandboxes.restart_clocks(now, held).await?;
        }
        last.jumped = None;
        last.awake = Some(steady);
        Ok(())
    }

    /// Compares stores and upstreams, beside all else.
    fn compare(&self, at_once: bool) {
        for provider in &self.providers {
            let (sandboxes, provider) = (self.sandboxes.clone(), provider.clone());
            self.tasks.spawn(async move {
                if let Err(problem) = sandboxes.compare_if_due(&provider, at_once).await {
                    tracing::debug!(provider, %problem, "upstream and store cannot be compared");
                }
            });
        }
    }
}
