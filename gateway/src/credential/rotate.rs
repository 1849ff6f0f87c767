//! Puts everything that is sealed under an old key under the first one.

use sandgate_proto::Problem;
use uuid::Uuid;

use super::Credentials;
use crate::{problem::Result, vault::VaultError};

/// Rows that are read at once.
const BATCH: u32 = 100;

/// What a rotation has done.
#[derive(Debug, Default)]
pub(crate) struct Rotated {
    /// Values that were put under the first key.
    pub(crate) count: u64,
    /// Why some were not, where some were not: their key is not configured, for one.
    pub(crate) left: Option<Problem>,
}

impl Credentials {
    /// Puts every value under the vault's first key. One that cannot be opened is passed over, and
    /// told when the others are done.
    pub(crate) async fn rotate(&self) -> Result<Rotated> {
        let mut total = 0;
        loop {
            let pass = self.pass().await?;
            total += pass.count;
            // Another gateway may have written under an old key meanwhile.
            if pass.count == 0 {
                let left = pass.left;
                return Ok(Rotated { count: total, left });
            }
        }
    }

    async fn pass(&self) -> Result<Rotated> {
        let (store, vault) = (&self.safe.store, &self.safe.vault);
        let mut pass = Rotated::default();
        let mut after: Option<Uuid> = None;
        loop {
            let rows = store.values_not_under(vault.key_id(), after, BATCH).await?;
            let Some(last) = rows.last() else {
                return Ok(pass);
            };
            after = Some(last.value_id);
            for row in &rows {
                match self.safe.rewrap(row).await {
                    Ok(Some(new)) => {
                        let replaced = store.replace_sealed(
                            row.value_id,
                            &row.sealed,
                            &new.bytes,
                            &new.key_id,
                        );
                        // Otherwise it was replaced or dropped meanwhile.
                        pass.count += u64::from(replaced.await?);
                    }
                    Ok(None) => {}
                    Err(error) => pass.left = Some(worse(pass.left.take(), row.value_id, error)?),
                }
            }
        }
    }
}

/// Of two problems the one that somebody can do something about; an error where going on is no use.
fn worse(known: Option<Problem>, value_id: Uuid, error: VaultError) -> Result<Problem> {
    match error {
        error @ (VaultError::Kms(_) | VaultError::Random(_)) => Err(error.into()),
        error @ VaultError::UnknownKey(_) => Ok(error.into()),
        error => {
            tracing::error!(%value_id, %error, "a sealed value does not open");
            Ok(known.unwrap_or_else(|| error.into()))
        }
    }
}
