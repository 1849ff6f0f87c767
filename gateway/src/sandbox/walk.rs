//! One comparison of an upstream with the store, from its first page to its last row.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sandgate_proto::{
    Problem, Reason,
    provider::v1::ProviderContext,
    v1::{Sandbox, SandboxState},
};
use uuid::Uuid;

use super::{Action, Comparison, Sandboxes, state};
use crate::{
    clock::{self, span},
    credential::Resolved,
    fleet::Context,
    problem::Result,
    store::SandboxRecord,
};

/// How long a provider may take for one page of its list, or for one delete.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sandboxes on a page.
pub(super) const PAGE: u32 = 500;
/// Differences that are named; further ones are put right and counted.
const NAMED: usize = 1000;

/// One comparison while it goes on.
pub(super) struct Walk<'a> {
    pub(super) sandboxes: &'a Sandboxes,
    pub(super) provider: &'a str,
    pub(super) dry_run: bool,
    pub(super) now: i64,
    found: Comparison,
}

/// Compares all that a provider's upstream has, with every key that is known.
pub(super) async fn walk(
    sandboxes: &Sandboxes,
    provider: &str,
    dry_run: bool,
) -> Result<Comparison> {
    let mut walk = Walk {
        sandboxes,
        provider,
        dry_run,
        now: sandboxes.clock.now(),
        found: Comparison::default(),
    };
    let mut listed = HashSet::new();
    let keys = sandboxes.credentials.known(provider).await?;
    let mut whole = true;
    for key in &keys {
        match walk.upstream(key.as_ref(), &mut listed).await {
            Ok(()) => {}
            // One user's key that is not taken any more keeps nobody else's sandboxes from it.
            Err(problem) if keys.len() > 1 => {
                tracing::warn!(provider, %problem, "a key cannot list its sandboxes");
                whole = false;
            }
            Err(problem) => return Err(problem),
        }
    }
    // What a key hides must not pass for what is gone.
    if whole {
        walk.missing(&listed).await?;
    }
    Ok(walk.found)
}

impl Walk<'_> {
    /// Goes through all that the upstream lists for one key.
    async fn upstream(&mut self, key: Option<&Resolved>, listed: &mut HashSet<Uuid>) -> Result<()> {
        let of_gateway = self.context(&Sandbox::default(), key)?;
        let lane = self
            .sandboxes
            .fleet
            .provider(self.provider)?
            .lane("", None)?;
        let mut token = String::new();
        loop {
            let page = lane.list(&of_gateway, PAGE, &token, PATIENCE).await?;
            self.page(&page.sandboxes, key, listed).await?;
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(());
            }
        }
    }

    /// A page of what the upstream lists. Rows are there before their sandboxes are, so that reading
    /// all of them at once misses none.
    async fn page(
        &mut self,
        page: &[Sandbox],
        key: Option<&Resolved>,
        listed: &mut HashSet<Uuid>,
    ) -> Result<()> {
        self.found.examined += page.len() as u64;
        let id = |seen: &Sandbox| Uuid::parse_str(&seen.sandbox_id).ok();
        let ids: Vec<Uuid> = page.iter().filter_map(id).collect();
        let rows = self.sandboxes.store.sandboxes_among(&ids).await?;
        let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.sandbox_id, row)).collect();
        listed.extend(ids);
        for seen in page {
            match id(seen).map(|id| rows.get(&id)) {
                Some(Some(row)) => self.known(row, seen, key).await?,
                Some(None) => self.stranger(seen, key).await?,
                None => {}
            }
        }
        Ok(())
    }

    /// One that the upstream lists, and the store knows.
    async fn known(
        &mut self,
        row: &SandboxRecord,
        seen: &Sandbox,
        key: Option<&Resolved>,
    ) -> Result<()> {
        if row.absent_time.is_some() && !self.dry_run {
            let store = &self.sandboxes.store;
            store.set_absent(row.sandbox_id, None).await?;
        }
        match state(row) {
            SandboxState::Deleted => {
                let why = "it was deleted, and the upstream still has it";
                self.delete(seen, key, "DELETED_HERE", why).await
            }
            SandboxState::Running | SandboxState::Stopped | SandboxState::Paused
                if (settled(seen.state()) || seen.state() == SandboxState::Failed)
                    && seen.state != row.state =>
            {
                let why = "the upstream has it in another state";
                let error = self.put_right(row.clone()).await;
                self.note(seen, "UPDATE_STATE", "STATE_CHANGED", why, error);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One that the store does not know: adopted where its session is there, deleted otherwise.
    async fn stranger(&mut self, seen: &Sandbox, key: Option<&Resolved>) -> Result<()> {
        let made = seen.create_time.and_then(clock::millis);
        if made.is_some_and(|made| self.now - made < span(self.sandboxes.pace.grace)) {
            let why = "it is unknown here, and too young to be judged";
            self.note(seen, "WAIT", "UNKNOWN_HERE", why, None);
            return Ok(());
        }
        let session = match Uuid::parse_str(&seen.session_id) {
            Ok(session_id) => self.sandboxes.store.session(session_id).await?,
            Err(_) => None,
        };
        let Some(session) = session.filter(|_| settled(seen.state())) else {
            let why = "nobody owns it: neither it nor its session is known here";
            return self.delete(seen, key, "UNKNOWN_HERE", why).await;
        };
        let why = "it is unknown here, and its session is there";
        let error = if self.dry_run {
            None
        } else {
            let adopted = self.sandboxes.adopt(&session, self.provider, seen, key);
            adopted.await.err()
        };
        self.note(seen, "ADOPT", "UNKNOWN_HERE", why, error);
        Ok(())
    }

    /// Asks for one sandbox, or deletes what is left of one that is known to be broken.
    pub(super) async fn put_right(&self, row: SandboxRecord) -> Option<Problem> {
        if self.dry_run {
            return None;
        }
        let done = async {
            let Some(session) = self.sandboxes.store.session(row.session_id).await? else {
                return Ok(());
            };
            match state(&row) {
                SandboxState::Failed => self.sandboxes.delete(&session, row).await.map(drop),
                _ => self.sandboxes.look(&session, row).await.map(drop),
            }
        };
        done.await.err()
    }

    async fn delete(
        &mut self,
        seen: &Sandbox,
        key: Option<&Resolved>,
        code: &'static str,
        why: &'static str,
    ) -> Result<()> {
        let error = if self.dry_run {
            None
        } else {
            let context = self.context(seen, key)?;
            let provider = self.sandboxes.fleet.provider(self.provider)?;
            let lane = provider.lane(&seen.instance_id, None)?;
            let deleted = lane.delete(&context, PATIENCE).await;
            deleted.err()
        };
        self.note(seen, "DELETE", code, why, error);
        Ok(())
    }

    fn context(&self, seen: &Sandbox, key: Option<&Resolved>) -> Result<Context> {
        Context::new(&ProviderContext {
            gateway_id: self.sandboxes.gateway_id.to_string(),
            session_id: seen.session_id.clone(),
            sandbox_id: seen.sandbox_id.clone(),
            generation: seen.generation,
            credential: key.map(|key| key.credential.clone()),
            provider_sandbox_id: seen.provider_sandbox_id.clone(),
            instance_id: seen.instance_id.clone(),
            ..Default::default()
        })
    }

    pub(super) fn note(
        &mut self,
        seen: &Sandbox,
        name: &'static str,
        code: &'static str,
        why: &'static str,
        error: Option<Problem>,
    ) {
        self.found.count += 1;
        if self.found.actions.len() >= NAMED {
            return;
        }
        self.found.actions.push(Action {
            session_id: seen.session_id.clone(),
            sandbox_id: seen.sandbox_id.clone(),
            provider_sandbox_id: seen.provider_sandbox_id.clone(),
            name,
            code,
            why,
            error: error.filter(|error| error.reason() != Reason::SandboxNotFound),
        });
    }
}

fn settled(state: SandboxState) -> bool {
    matches!(
        state,
        SandboxState::Running | SandboxState::Stopped | SandboxState::Paused
    )
}
