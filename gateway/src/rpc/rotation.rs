//! Moving all that is sealed under the first encryption key.

use std::sync::Arc;

use sandgate_proto::v1::RotateKeysResponse;

use crate::{
    credential::Credentials, kept::Kept, problem::Result, replay::Replays, sandbox::Sandboxes,
    vault::Vault,
};

/// Everything that holds sealed values.
pub(crate) struct Rotation {
    pub(crate) vault: Vault,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) sandboxes: Sandboxes,
    pub(crate) replays: Arc<Replays>,
    pub(crate) kept: Arc<Kept>,
}

impl Rotation {
    /// Answers when nothing is left under another key. What cannot be opened is passed over, and
    /// told of when all else is done.
    pub(super) async fn run(&self) -> Result<RotateKeysResponse> {
        let ledger = self.replays.reseal().await;
        let states = self.sandboxes.reseal_states().await;
        let executions = self.kept.reseal().await;
        let values = self.credentials.rotate().await?;
        let rotated = values.count + u64::from(ledger?) + states? + executions?;
        if let Some(problem) = values.left {
            return Err(problem);
        }
        let mut key_ids = self.vault.key_ids();
        Ok(RotateKeysResponse {
            key_id: key_ids.remove(0),
            rotated,
            unused_key_ids: key_ids,
        })
    }
}
