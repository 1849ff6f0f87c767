//! Comparing what an upstream has under our label with what the store knows, and putting it right:
//! sandboxes that the upstream lost, and sandboxes that nobody knows.

use std::sync::Arc;

use sandgate_proto::Problem;

use super::{Sandboxes, flight::Flights, walk::walk};
use crate::{clock::span, problem::Result};

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    /// The first of the differences.
    pub(crate) actions: Vec<Action>,
    /// How many there were.
    pub(crate) count: u64,
    /// Upstream sandboxes that were looked at.
    pub(crate) examined: u64,
}

/// One difference, and what is done about it.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
    pub(crate) provider_sandbox_id: String,
    /// As in `ReconcileAction.action`.
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) why: &'static str,
    /// It was tried in vain.
    pub(crate) error: Option<Problem>,
}

/// The comparisons that are under way, by provider and whether they only look.
pub(super) type Comparisons = Flights<(String, bool), Arc<Comparison>>;

impl Sandboxes {
    /// Compares, or joins the comparison that is under way. `dry_run`: only says what would be done.
    pub(crate) async fn compare(&self, provider: &str, dry_run: bool) -> Result<Arc<Comparison>> {
        self.fleet.provider(provider)?;
        let (this, key) = (self.clone(), (provider.to_owned(), dry_run));
        let provider = provider.to_owned();
        let work = async move { walk(&this, &provider, dry_run).await.map(Arc::new) };
        self.comparisons.join_or_start(key, work).await
    }

    /// Compares if it is time to, and nobody else does.
    pub(crate) async fn compare_if_due(&self, provider: &str, at_once: bool) -> Result<()> {
        let now = self.clock.now();
        let until = now + span(self.pace.compare);
        let last = if at_once { until } else { now };
        if !self.store.claim_comparison(provider, last, until).await? {
            return Ok(());
        }
        let compared = self.compare(provider, false).await;
        if compared.is_err() {
            // Sooner than usual: the provider may just be starting.
            let soon = now + span(self.pace.first_retry);
            self.store.claim_comparison(provider, until, soon).await?;
        }
        let compared = compared?;
        if compared.count > 0 {
            tracing::info!(
                provider,
                differences = compared.count,
                "upstream and store were compared"
            );
        }
        Ok(())
    }
}
