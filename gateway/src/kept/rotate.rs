//! Puts all that is kept under the first encryption key.

use sandgate_proto::Problem;
use uuid::Uuid;

use super::{Kept, Names};
use crate::{problem::Result, vault::VaultError};

/// Rows that are read at once: each has its output with it.
const BATCH: u32 = 16;

impl Kept {
    /// Puts everything under the vault's first key; how many that were. Goes on past one that cannot
    /// be, and tells of it at the end.
    pub(crate) async fn reseal(&self) -> Result<u64> {
        let mut total = 0;
        loop {
            let (count, left) = self.pass().await?;
            total += count;
            // Another gateway may have written under an old key meanwhile.
            if count == 0 {
                return left.map_or(Ok(total), Err);
            }
        }
    }

    async fn pass(&self) -> Result<(u64, Option<Problem>)> {
        let (mut count, mut left) = (0, None);
        let mut after = (Uuid::nil(), String::new());
        loop {
            let (sandbox_id, execution_id) = &after;
            let after_this = (*sandbox_id, execution_id.as_str());
            let rows = self
                .store
                .kept_not_under(self.vault.key_id(), after_this, BATCH)
                .await?;
            let Some(last) = rows.last() else {
                return Ok((count, left));
            };
            after = (last.sandbox_id, last.execution_id.clone());
            for row in &rows {
                let names = Names::of(row.session_id, row.sandbox_id, &row.execution_id);
                let label = names.label(&row.org_id);
                match self.vault.rewrap(&label, &row.sealed).await {
                    Ok(None) => {}
                    Ok(Some(new)) => {
                        let replaced = self.store.reseal_kept(row, &new.bytes, &new.key_id);
                        count += u64::from(replaced.await?);
                    }
                    Err(error @ (VaultError::Kms(_) | VaultError::Random(_))) => {
                        return Err(error.into());
                    }
                    Err(error @ VaultError::UnknownKey(_)) => left = Some(error.into()),
                    Err(error) => left = Some(left.unwrap_or_else(|| error.into())),
                }
            }
        }
    }
}
