//! The other half of a comparison: what the store has, and the upstream does not list.

use std::collections::HashSet;

use sandgate_proto::v1::{Sandbox, SandboxState};
use uuid::Uuid;

use super::{
    is_on_its_way, state,
    walk::{PAGE, Walk},
};
use crate::{clock::span, problem::Result, store::SandboxRecord};

impl Walk<'_> {
    /// Goes through all that the store has of the provider, for what was not listed.
    pub(super) async fn missing(&mut self, listed: &HashSet<Uuid>) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let store = &self.sandboxes.store;
            let rows = store
                .sandboxes_of_provider(self.provider, after, PAGE)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.sandbox_id;
            for row in rows {
                if !listed.contains(&row.sandbox_id) {
                    self.absent(row).await?;
                }
            }
        }
    }

    /// One that the upstream does not list. Some lists are behind, so that this counts only after a
    /// while, and then the upstream is asked for this one.
    async fn absent(&mut self, row: SandboxRecord) -> Result<()> {
        let grace = span(self.sandboxes.pace.grace);
        if is_on_its_way(state(&row)) || row.create_time > self.now - grace {
            return Ok(());
        }
        let seen = upstream_of(&row);
        if row.absent_time.is_none_or(|since| self.now - since < grace) {
            if row.absent_time.is_none() && !self.dry_run {
                let store = &self.sandboxes.store;
                store.set_absent(row.sandbox_id, Some(self.now)).await?;
            }
            let why = "the upstream does not list it";
            self.note(&seen, "WAIT", "NOT_LISTED", why, None);
            return Ok(());
        }
        let why = "the upstream does not have it any more";
        let name = match state(&row) {
            SandboxState::Failed => "MARK_DELETED",
            _ => "UPDATE_STATE",
        };
        let error = self.put_right(row).await;
        self.note(&seen, name, "NOT_LISTED", why, error);
        Ok(())
    }
}

/// A row as the upstream would list it.
fn upstream_of(row: &SandboxRecord) -> Sandbox {
    Sandbox {
        session_id: row.session_id.to_string(),
        sandbox_id: row.sandbox_id.to_string(),
        provider_sandbox_id: row.provider_sandbox_id.clone(),
        ..Default::default()
    }
}
