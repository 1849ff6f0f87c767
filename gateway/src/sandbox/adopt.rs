//! Taking in a sandbox that the upstream has under our label and the store has lost.

use prost::Message as _;
use sandgate_proto::{
    Problem, Reason,
    v1::{Sandbox, SandboxSpec},
};

use super::{Sandboxes, events, spec};
use crate::{
    clock,
    credential::Resolved,
    ids,
    problem::Result,
    store::{InsertOutcome, SandboxInsert, SandboxRecord, SessionRecord},
};

/// In the place of the digest of the request that made it, which nobody knows any more.
const UNKNOWN: &[u8] = b"adopted";

impl Sandboxes {
    /// Makes a row for an upstream sandbox. Its clocks begin now, so that it goes again if nobody
    /// asks for it.
    pub(super) async fn adopt(
        &self,
        session: &SessionRecord,
        provider: &str,
        seen: &Sandbox,
        key: Option<&Resolved>,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut spec = SandboxSpec {
            provider: provider.to_owned(),
            ..seen.spec.clone().unwrap_or_default()
        };
        spec::fill_clocks(&mut spec, None);
        let id = ids::uuid("sandbox_id", &seen.sandbox_id)?;
        let mut row = SandboxRecord {
            fingerprint: UNKNOWN.to_vec(),
            state: seen.state,
            generation: seen.generation.max(1).cast_signed(),
            provider_sandbox_id: seen.provider_sandbox_id.clone(),
            instance_id: seen.instance_id.clone(),
            credential_id: key.map(|key| key.value_id),
            workspace_path: seen.workspace_path.clone(),
            home_path: seen.home_path.clone(),
            create_time: seen.create_time.and_then(clock::millis).unwrap_or(now),
            start_time: Some(now),
            ..SandboxRecord::new(id, session, provider.to_owned(), spec.encode_to_vec(), now)
        };
        row.due_time = self.due(&row, now);
        let event = events::made(&row)?;
        match self.store.insert_sandbox(&row, None, Some(&event)).await? {
            SandboxInsert::Done(InsertOutcome::Inserted | InsertOutcome::SameId(_)) => Ok(()),
            _ => Err(Problem::new(
                Reason::EtagMismatch,
                "its session or its key was deleted meanwhile; repeat the comparison with ReconcileProvider",
            )),
        }
    }
}
