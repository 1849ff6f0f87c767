//! The clocks of sandboxes, and who works on what is due, as the store keeps them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Looked, SandboxRecord, StoreError};

/// What is due, and who has claimed it.
///
/// A sandbox is claimed by moving its `due_time` ahead; whoever moved it has until then. Every change of
/// its state moves it, too, and so ends the claim of whoever looked at it before.
#[async_trait]
pub(crate) trait LifeStore: Send + Sync + 'static {
    /// Claims sandboxes that are due, longest due first, until then.
    async fn claim_due(
        &self,
        now: i64,
        until: i64,
        limit: u32,
    ) -> Result<Vec<SandboxRecord>, StoreError>;

    /// Writes what looks found and ends their claims, but where the claim was lost meanwhile.
    async fn finish_looks(&self, looks: &[Looked]) -> Result<(), StoreError>;

    /// Keeps others from taking over sandboxes that are on their way from one state to another.
    async fn hold(&self, sandbox_ids: &[Uuid], until: i64) -> Result<(), StoreError>;

    /// Counts a try in vain, and has the next one due then.
    async fn postpone(&self, sandbox_id: Uuid, next: i64) -> Result<(), StoreError>;

    /// Notes when living sandboxes were last used; older news change nothing.
    async fn touch(&self, uses: &[(Uuid, i64)]) -> Result<(), StoreError>;

    /// Lets the clocks of all living sandboxes begin anew, and has all looked at: those that are on
    /// their way from one state to another at `held`, the others now.
    async fn restart_clocks(&self, now: i64, held: i64) -> Result<(), StoreError>;

    /// Notes that a gateway is awake; when one last was, 0: never.
    async fn awake(&self, now: i64) -> Result<i64, StoreError>;

    /// Claims the comparison of a provider's upstream with the store, if it is due, until then.
    async fn claim_comparison(
        &self,
        provider: &str,
        now: i64,
        until: i64,
    ) -> Result<bool, StoreError>;

    /// Living sandboxes of a provider with ids after this one, in the order of their ids.
    async fn sandboxes_of_provider(
        &self,
        provider: &str,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<SandboxRecord>, StoreError>;

    /// Those of these sandboxes that there are, tombstones included, in no order.
    async fn sandboxes_among(&self, ids: &[Uuid]) -> Result<Vec<SandboxRecord>, StoreError>;

    /// Notes since when the upstream does not list a sandbox; none: it does.
    async fn set_absent(&self, sandbox_id: Uuid, since: Option<i64>) -> Result<(), StoreError>;

    /// How often a sandbox that runs was started again; none where it does not run.
    async fn boots(&self, sandbox_id: Uuid) -> Result<Option<i64>, StoreError>;

    /// Removes tombstones that are from before a time: at most `limit`; how many.
    async fn drop_tombstones_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;
}
