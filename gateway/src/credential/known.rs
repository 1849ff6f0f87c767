//! Every key for a provider that anybody has stored: to find what was made with it.

use uuid::Uuid;

use super::{
    Credentials, Resolved,
    sources::{self, Source},
};
use crate::{
    problem::Result,
    store::{ValueKind, ValueRecord},
};

/// Versions that are read at a time.
const BATCH: u32 = 200;

impl Credentials {
    /// All keys for a provider, those included that are kept only to clean up; one empty entry for a
    /// provider that goes on without.
    pub(crate) async fn known(&self, provider: &str) -> Result<Vec<Option<Resolved>>> {
        let wanted = sources::wanted(provider);
        let mut keys = Vec::new();
        if !wanted.required {
            keys.push(None);
        }
        for source in &wanted.sources {
            let (kind, name) = match source {
                Source::Secret(name) => (ValueKind::Secret, *name),
                Source::Connection(name) => (ValueKind::Connection, *name),
            };
            let mut after = Uuid::nil();
            loop {
                let store = &self.safe.store;
                let versions = store.versions_named(kind, name, after, BATCH).await?;
                let Some(last) = versions.last() else { break };
                after = last.value_id;
                for version in &versions {
                    keys.extend(self.readable(version, provider).await.map(Some));
                }
            }
        }
        Ok(keys)
    }

    /// One damaged key keeps nobody else's from being used.
    async fn readable(&self, version: &ValueRecord, provider: &str) -> Option<Resolved> {
        let resolved = self.resolved(version, provider).await;
        resolved
            .inspect_err(|problem| {
                tracing::error!(value_id = %version.value_id, %problem, "a key cannot be opened");
            })
            .ok()
    }
}
