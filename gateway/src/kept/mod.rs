//! Executions that outlive their sandboxes: how they ended and the last of their output, sealed, for
//! seven days; and the answers that are made of them.

mod answer;
mod lane;
mod list;
mod past;
mod repeat;
mod rotate;
mod run;

use std::sync::Arc;

use async_trait::async_trait;
use sandgate_proto::v1::EndedExecution;
use uuid::Uuid;

use crate::{
    clock,
    problem::Result,
    session::Owned,
    store::{KeptRecord, SandboxRecord, SessionRecord, Store},
    vault::{Label, Vault},
};
use past::Past;

/// How long one is kept after its end, in milliseconds.
const AGE: i64 = 7 * 24 * 3600 * 1000;
/// Executions that are kept of a sandbox.
const MOST: u32 = 1000;
/// What they are sealed as.
const KIND: &str = "execution";

/// The executions that are kept.
pub(crate) struct Kept {
    store: Arc<dyn Store>,
    vault: Vault,
}

impl Kept {
    pub(crate) fn new(store: Arc<dyn Store>, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// Keeps executions of a sandbox that its provider says have ended. One that is kept already stays
    /// as it is.
    pub(crate) async fn keep(
        &self,
        sandbox: &SandboxRecord,
        ended: &[EndedExecution],
    ) -> Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        let known = self.store.kept_ids(sandbox.sandbox_id).await?;
        let now = clock::now();
        let mut records = Vec::new();
        for ended in ended {
            let past = Past::of(sandbox, ended, now);
            let Some(past) = past.filter(|past| past.expire_time > now) else {
                continue;
            };
            if !known.contains(past.id()) {
                records.push(self.sealed(sandbox, &past).await?);
            }
        }
        if !records.is_empty() {
            self.store.keep_executions(&records, MOST).await?;
        }
        Ok(())
    }

    /// Drops those that expire before this time, at most so many; how many.
    pub(crate) async fn drop_before(&self, time: i64, limit: u32) -> Result<u64> {
        Ok(self.store.drop_kept_before(time, limit).await?)
    }

    /// One of a session of the caller's own, if it is kept.
    async fn find(
        &self,
        session_id: Uuid,
        sandbox_id: Uuid,
        execution_id: &str,
    ) -> Result<Option<(KeptRecord, Past)>> {
        let (store, now) = (&self.store, clock::now());
        let found = store.kept_execution(session_id, sandbox_id, execution_id, now);
        match found.await? {
            None => Ok(None),
            Some(record) => {
                let past = self.open(&record).await?;
                Ok(Some((record, past)))
            }
        }
    }

    async fn sealed(&self, sandbox: &SandboxRecord, past: &Past) -> Result<KeptRecord> {
        let content = past.encoded();
        let names = Names::of(sandbox.session_id, sandbox.sandbox_id, past.id());
        let label = names.label(&sandbox.org_id);
        let sealed = self.vault.seal(&label, &content).await?;
        Ok(KeptRecord {
            sandbox_id: sandbox.sandbox_id,
            execution_id: past.id().to_owned(),
            session_id: sandbox.session_id,
            org_id: sandbox.org_id.clone(),
            generation: sandbox.generation,
            boots: sandbox.boots,
            start_time: past.start_time,
            end_time: past.end_time,
            expire_time: past.expire_time,
            size: i64::try_from(content.len()).unwrap_or(i64::MAX),
            key_id: sealed.key_id,
            sealed: sealed.bytes,
        })
    }

    async fn open(&self, record: &KeptRecord) -> Result<Past> {
        let names = Names::of(record.session_id, record.sandbox_id, &record.execution_id);
        let label = names.label(&record.org_id);
        Past::opened(record, &self.vault.open(&label, &record.sealed).await?)
    }
}

#[async_trait]
impl Owned for Kept {
    async fn forget_session(&self, session: &SessionRecord) -> Result<()> {
        let dropped = self.store.drop_kept_of_session(session.session_id);
        dropped.await.map_err(Into::into)
    }
}

/// The texts of a label.
struct Names {
    session_id: String,
    name: String,
}

impl Names {
    fn of(session_id: Uuid, sandbox_id: Uuid, execution_id: &str) -> Self {
        Self {
            session_id: session_id.to_string(),
            name: format!("{sandbox_id}/{execution_id}"),
        }
    }

    fn label<'a>(&'a self, org_id: &'a str) -> Label<'a> {
        Label {
            org_id,
            owner: &self.session_id,
            kind: KIND,
            name: &self.name,
        }
    }
}

#[cfg(test)]
mod tests;
