//! Looks for two sandboxes of one id while gateways and provider are killed.
//!
//! Upstreams with unique names, local and container, may never show two. E2B has no unique names: where
//! a provider was killed between a create and its answer, the create that is repeated may make a second
//! one before the first is listed. The provider settles that within the call: the oldest stays, and no
//! command is started before. So two for a moment are no fault there. A fault is:
//!
//! - two that stay: seen in every look for [`STAYS`] while the gateway says that the sandbox is made (not
//!   before its create is answered, nor once it is being deleted, which takes both);
//! - the same when all callers are done and nothing is killed any more, however long that takes to tell;
//! - commands in two: what commands note in the files of their sandbox is read at each look, and the
//!   notes of one sandbox may never be in two of the cloud's.
//!
//! What nobody at the gateway knows any more is no duplicate but left over, and looked for after the
//! last sweep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sandgate_proto::v1::SandboxState;
use tokio::time::{Instant, sleep};

use super::{settle::living, stage::Stage, upstream::Upstream};
use crate::{
    cloud::{Account, Guest},
    failure::{Result, broken, ensure},
};

/// How long two may be there that are no fault; a create that was settled leaves none.
const STAYS: Duration = Duration::from_secs(10);
/// Between two looks at a machine, and at a cloud, where moments count.
const LOOK: Duration = Duration::from_secs(2);
const CLOUD_LOOK: Duration = Duration::from_millis(250);

/// Who looks.
pub(crate) struct Doubles {
    upstream: Upstream,
    stage: Arc<Stage>,
    /// Since when there are two of these, in every look.
    since: BTreeMap<String, Instant>,
    /// Those of which there were two, ever.
    ever: BTreeSet<String>,
    /// In which of the cloud's sandboxes commands of one ran.
    ran: BTreeMap<String, BTreeSet<String>>,
}

impl Doubles {
    /// Nothing was looked at so far.
    pub(crate) fn new(upstream: &Upstream, stage: &Arc<Stage>) -> Self {
        Self {
            upstream: upstream.clone(),
            stage: stage.clone(),
            since: BTreeMap::new(),
            ever: BTreeSet::new(),
            ran: BTreeMap::new(),
        }
    }

    /// Looks until the run is over.
    pub(crate) async fn watch(&mut self) -> Result<()> {
        let cloud = self.upstream.account().is_some();
        while !self.stage.is_over() {
            self.look().await?;
            sleep(if cloud { CLOUD_LOOK } else { LOOK }).await;
        }
        Ok(())
    }

    /// Looks until there are no two, or they stay; nobody makes any more.
    pub(crate) async fn settled(&mut self) -> Result<()> {
        self.look().await?;
        while !self.since.is_empty() {
            sleep(CLOUD_LOOK).await;
            self.look().await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<()> {
        let looked = match self.upstream.account().cloned() {
            Some(account) => self.look_at(&account).await,
            None => self.upstream.check_doubles().await,
        };
        let mut figures = self.stage.caller.tally.add();
        figures.life.looks += 1;
        figures.life.passing = self.ever.len() as u64;
        if looked.is_err() {
            figures.life.duplicates += 1;
        }
        drop(figures);
        looked
    }

    async fn look_at(&mut self, account: &Account) -> Result<()> {
        let guests = account.guests().await?;
        self.ran_in_one(account, &guests)?;
        let two = two(&guests);
        self.ever.extend(two.keys().cloned());
        let made = if two.is_empty() {
            BTreeSet::new()
        } else {
            self.made().await?
        };
        self.since.retain(|id, _| two.contains_key(id));
        for (id, both) in two {
            if !made.contains(&id) {
                self.since.remove(&id);
                continue;
            }
            let since = *self.since.entry(id.clone()).or_insert_with(Instant::now);
            ensure(since.elapsed() < STAYS, || {
                format!("the cloud has {id} more than once for {STAYS:?}: {both:?}")
            })?;
        }
        Ok(())
    }

    fn ran_in_one(&mut self, account: &Account, guests: &[Guest]) -> Result<()> {
        for guest in guests.iter().filter(|one| !account.notes(one).is_empty()) {
            let ran = self.ran.entry(guest.sandbox_id.clone()).or_default();
            ran.insert(guest.id.clone());
            if ran.len() > 1 {
                let id = &guest.sandbox_id;
                return broken(format!("commands of {id} ran in more than one: {ran:?}"));
            }
        }
        Ok(())
    }

    /// Ids of those whose create is over, and which nobody deletes.
    async fn made(&self) -> Result<BTreeSet<String>> {
        let is_made = |state: SandboxState| {
            !matches!(
                state,
                SandboxState::Unspecified
                    | SandboxState::Creating
                    | SandboxState::Failed
                    | SandboxState::Deleting
                    | SandboxState::Deleted
            )
        };
        let all = living(&self.stage).await?.into_iter();
        let made = all.filter(|(_, state)| is_made(*state));
        Ok(made.map(|(id, _)| id).collect())
    }
}

/// The sandboxes of which there are more than one, with the cloud's ids of them.
pub(crate) fn two(guests: &[Guest]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for guest in guests {
        let same = all.entry(guest.sandbox_id.clone()).or_default();
        same.push(guest.id.clone());
    }
    all.retain(|_, same| same.len() > 1);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_are_told() {
        let guest = |id: &str, sandbox_id: &str| Guest {
            id: id.to_owned(),
            sandbox_id: sandbox_id.to_owned(),
        };
        assert!(two(&[guest("i1", "a"), guest("i2", "b")]).is_empty());
        let told = two(&[guest("i1", "a"), guest("i2", "b"), guest("i3", "a")]);
        assert_eq!(
            told,
            [("a".to_owned(), vec!["i1".into(), "i3".into()])].into()
        );
    }
}
