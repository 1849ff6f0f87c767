//! One copy in this process: a task that nobody's leaving ends, and the watch that tells of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sandgate_service::draining;
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep_until, timeout_at},
};

use super::{
    Done, Job, Key, LONGEST, Place, Transfers,
    claim::Claim,
    progress::{Progress, Seen},
};
use crate::{
    problem::{self, Result},
    sandbox::Road,
};

/// How often those who watch are told how far it is, at most.
const TOLD: Duration = Duration::from_millis(250);
/// How often the claim is renewed, counted in these.
const RENEWED: u32 = 8;

/// A copy that others may join.
pub(super) struct Flying {
    /// The request, encoded.
    message: Arc<[u8]>,
    method: &'static str,
    seen: watch::Receiver<Seen>,
}

impl Transfers {
    /// Joins the copy of the same request, or begins one; `place`: where it already has one.
    pub(super) fn join_or_start(
        &self,
        job: Job,
        place: Option<Place>,
    ) -> Result<watch::Receiver<Seen>> {
        let enter = || place.map_or_else(|| self.place(&job.session.org_id), Ok);
        let (sender, seen) = watch::channel(Seen::default());
        let this = self.clone();
        let Some(repeat) = &job.repeat else {
            let place = enter()?;
            let work = async move {
                let end = this.alone(&job, &place, &sender).await;
                sender.send_modify(|seen| seen.end = Some(end));
            };
            drop(self.tasks.spawn_on(work, &self.runtime));
            return Ok(seen);
        };
        let key = (job.principal.owner.clone(), repeat.request_id);
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = flying.get(&key) {
            if there.message != repeat.message || there.method != repeat.method {
                return Err(problem::request_id_reused());
            }
            return Ok(there.seen.clone());
        }
        let place = enter()?;
        let there = Flying {
            message: repeat.message.clone(),
            method: repeat.method,
            seen: seen.clone(),
        };
        flying.insert(key.clone(), there);
        drop(flying);
        let landed = Landed {
            flying: self.flying.clone(),
            key,
        };
        let work = async move {
            // Removed also where the work panics, or nobody could ever begin another.
            let _landed = landed;
            let end = this.claimed(&job, &place, &sender).await;
            sender.send_modify(|seen| seen.end = Some(end));
        };
        drop(self.tasks.spawn_on(work, &self.runtime));
        Ok(seen)
    }

    /// A copy that cannot be repeated.
    async fn alone(&self, job: &Job, place: &Place, sender: &watch::Sender<Seen>) -> Result<Done> {
        let until = Instant::now() + LONGEST;
        let turn = tokio::select! {
            turn = timeout_at(until, place.turn()) => turn,
            () = self.drain.cut_off() => return Err(draining()),
        };
        let _turn = turn.map_err(|_| problem::transfer_took_too_long())?;
        let progress = Progress::default();
        match self.fly(job, &progress, sender, None, until).await {
            Some(end) => end,
            None => Err(problem::internal("transfer", &"lost a claim it had not")),
        }
    }

    /// Works at a copy until it ends, its claim is lost (none then), its time is over, or this server
    /// has to end.
    pub(super) async fn fly(
        &self,
        job: &Job,
        progress: &Progress,
        sender: &watch::Sender<Seen>,
        claim: Option<&mut Claim>,
        until: Instant,
    ) -> Option<Result<Done>> {
        let mut road = job.road();
        road.moved = progress.moved.clone();
        // Side by side: the work may hold what the claim waits for.
        let work = self.work(job, &road, progress);
        let end = tokio::select! {
            biased;
            end = work => return Some(end),
            () = beat(&road, progress, sender, claim) => return None,
            () = sleep_until(until) => problem::transfer_took_too_long(),
            () = self.drain.cut_off() => draining(),
        };
        progress.cut();
        Some(Err(end))
    }
}

impl Job {
    /// The way that it goes.
    pub(super) fn road(&self) -> Road {
        let (session, sandbox) = (self.session.clone(), self.sandbox.clone());
        Road::new(self.principal.clone(), session, sandbox, self.scope)
    }
}

/// Tells how far the work is, and keeps its sandbox and its claim; until that is lost.
async fn beat(
    road: &Road,
    progress: &Progress,
    sender: &watch::Sender<Seen>,
    mut claim: Option<&mut Claim>,
) {
    let (mut told, mut count) = (interval(TOLD), 0);
    loop {
        told.tick().await;
        let now = progress.now();
        sender.send_if_modified(|seen| seen.tell(now));
        count += 1;
        if count % RENEWED != 0 {
            continue;
        }
        road.keep_awake();
        if let Some(claim) = claim.as_deref_mut()
            && !claim.renew(progress).await
        {
            return;
        }
    }
}

struct Landed {
    flying: Arc<Mutex<HashMap<Key, Flying>>>,
    key: Key,
}

impl Drop for Landed {
    fn drop(&mut self) {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        flying.remove(&self.key);
    }
}
