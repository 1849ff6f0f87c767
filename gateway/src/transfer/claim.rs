//! Who works at a copy that can be repeated: one gateway, until it is done, gives back or dies.

use std::{sync::Arc, time::Duration};

use sandgate_proto::v1::{SandboxState, TransferProgress};
use sandgate_service::draining;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use uuid::Uuid;

use super::{
    Done, Job, LONGEST, Repeat, Transfers,
    progress::{Progress, Seen},
    room::{Place, Turn},
};
use crate::{
    clock::{self, span},
    file::{signed, unsigned},
    ids::SandboxRef,
    problem::{self, Result},
    store::{Store, TransferRecord},
};

/// How long a holder that says nothing counts as alive.
const ALIVE: Duration = Duration::from_secs(10);
/// How often one that another gateway works at is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A copy that this task works at.
pub(super) struct Claim {
    store: Arc<dyn Store>,
    record: TransferRecord,
    /// Of how many files it is noted what became of them.
    noted: Option<usize>,
}

/// What waiting for a claim comes to.
enum Waited {
    /// It is this task's.
    Mine(Turn, Claim),
    /// It is over.
    Over(Done),
}

impl Transfers {
    /// A copy that can be repeated: works at it, or waits while another gateway does.
    pub(super) async fn claimed(
        &self,
        job: &Job,
        place: &Place,
        sender: &watch::Sender<Seen>,
    ) -> Result<Done> {
        let Some(repeat) = &job.repeat else {
            return Err(problem::internal("transfer", &"has no request_id"));
        };
        let until = Instant::now() + LONGEST;
        loop {
            let waited = timeout_at(until, self.wait(job, repeat, place, sender)).await;
            let (turn, mut claim) = match waited {
                Err(_) => return Err(problem::transfer_took_too_long()),
                Ok(waited) => match waited? {
                    Waited::Over(done) => return Ok(done),
                    Waited::Mine(turn, claim) => (turn, claim),
                },
            };
            let progress = Progress::from(&claim.record.done);
            let work = self.fly(job, &progress, sender, Some(&mut claim), until);
            let Some(end) = work.await else {
                drop(turn);
                continue;
            };
            self.landed(job, repeat, claim, &progress, &end).await;
            return end;
        }
    }

    /// Keeps what is to be repeated, and lets others go on with what is not over.
    async fn landed(
        &self,
        job: &Job,
        repeat: &Repeat,
        mut claim: Claim,
        progress: &Progress,
        end: &Result<Done>,
    ) {
        let goes_on = match end {
            Ok(_) => progress.is_open() && !repeat.once,
            Err(_) => progress.is_cut(),
        };
        if goes_on {
            return claim.give_back(progress).await;
        }
        if let Ok(done) = end {
            let repeatable = repeat.repeatable(&job.principal.owner);
            self.replays.keep(&repeatable, &done.encoded()).await;
        }
        claim.end().await;
    }

    /// Waits until it may be worked at here, or another has done it.
    async fn wait(
        &self,
        job: &Job,
        repeat: &Repeat,
        place: &Place,
        sender: &watch::Sender<Seen>,
    ) -> Result<Waited> {
        loop {
            if let Some(done) = self.answer(job, repeat).await? {
                return Ok(Waited::Over(done));
            }
            if self.is_held(job, repeat, sender).await? {
                tokio::select! {
                    () = sleep(LOOK) => continue,
                    () = self.drain.cut_off() => return Err(draining()),
                }
            }
            if repeat.once {
                // It may be minutes until a new sandbox runs: no turn is held meanwhile.
                tokio::select! {
                    made = self.made(job) => made?,
                    () = self.drain.cut_off() => return Err(draining()),
                }
            }
            let turn = tokio::select! {
                turn = place.turn() => turn,
                () = self.drain.cut_off() => return Err(draining()),
            };
            let Some(claim) = self.claim(job, repeat).await? else {
                continue;
            };
            // Whoever had it may have been done between the look and the claim.
            if let Some(done) = self.answer(job, repeat).await? {
                claim.end().await;
                return Ok(Waited::Over(done));
            }
            return Ok(Waited::Mine(turn, claim));
        }
    }

    /// Waits until a new sandbox runs. One that does and cannot be reached is claimed all the same, so
    /// that this is what became of its files, once and for all. One that was not made is not: its id
    /// is free again, and what is kept would be told to the next.
    async fn made(&self, job: &Job) -> Result<()> {
        let Err(problem) = self.sandboxes.travel(&job.road()).await else {
            return Ok(());
        };
        let SandboxRef::Id(sandbox_id) = job.sandbox else {
            return Err(problem);
        };
        let running = i32::from(SandboxState::Running);
        match self.store.sandbox(sandbox_id).await? {
            Some(sandbox) if sandbox.state == running => Ok(()),
            _ => Err(problem),
        }
    }

    /// Whether another works at it now; how far that is, is told.
    async fn is_held(
        &self,
        job: &Job,
        repeat: &Repeat,
        sender: &watch::Sender<Seen>,
    ) -> Result<bool> {
        let owner = &job.principal.owner;
        let Some(record) = self.store.transfer(owner, repeat.request_id).await? else {
            return Ok(false);
        };
        if record.fingerprint != self.fingerprint(job, repeat) {
            return Err(problem::request_id_reused());
        }
        let progress = TransferProgress {
            files: unsigned(record.files),
            bytes: unsigned(record.bytes),
        };
        sender.send_if_modified(|seen| seen.tell(progress));
        Ok(record.claim_time > clock::now())
    }

    /// Claims a copy; none where another works at it.
    async fn claim(&self, job: &Job, repeat: &Repeat) -> Result<Option<Claim>> {
        let now = clock::now();
        let wanted = TransferRecord {
            owner: job.principal.owner.clone(),
            request_id: repeat.request_id,
            fingerprint: self.fingerprint(job, repeat),
            holder: Uuid::new_v4(),
            claim_time: now + span(ALIVE),
            files: 0,
            bytes: 0,
            done: Vec::new(),
        };
        let record = self.store.claim_transfer(&wanted, now).await?;
        if record.fingerprint != wanted.fingerprint {
            return Err(problem::request_id_reused());
        }
        let mine = record.holder == wanted.holder;
        Ok(mine.then(|| Claim {
            store: self.store.clone(),
            record,
            noted: None,
        }))
    }

    fn fingerprint(&self, job: &Job, repeat: &Repeat) -> Vec<u8> {
        let repeatable = repeat.repeatable(&job.principal.owner);
        self.replays.fingerprint_with_method(&repeatable)
    }
}

impl Claim {
    /// Says that it is still at it, and how far; whether it is still its to work at.
    pub(super) async fn renew(&mut self, progress: &Progress) -> bool {
        self.note(progress, clock::now() + span(ALIVE)).await
    }

    /// Lets another gateway go on from here at once.
    async fn give_back(&mut self, progress: &Progress) {
        self.note(progress, clock::now()).await;
    }

    async fn note(&mut self, progress: &Progress, claim_time: i64) -> bool {
        let count = progress.count_final();
        if self.noted != Some(count) {
            self.record.done = progress.done();
            self.noted = Some(count);
        }
        let now = progress.now();
        self.record.claim_time = claim_time;
        self.record.files = signed(now.files);
        self.record.bytes = signed(now.bytes);
        match self.store.renew_transfer(&self.record).await {
            Ok(held) => held,
            Err(error) => {
                // Another may take it over then. Both write the same: it costs time, not files.
                tracing::warn!(%error, "the claim of a transfer was not renewed");
                true
            }
        }
    }

    /// Nobody works at it any more.
    async fn end(self) {
        if let Err(error) = self.store.end_transfer(&self.record).await {
            tracing::warn!(%error, "the claim of a transfer was not ended; it will be dropped");
        }
    }
}
