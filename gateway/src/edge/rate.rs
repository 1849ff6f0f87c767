//! How many calls one caller may make in a second.

use std::num::NonZeroU32;

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};
use sandgate_proto::{Problem, Reason};

use crate::{
    config::LimitArgs,
    principal::{Identity, Principal},
    problem::Result,
};

/// Callers that are remembered before those who have not called of late are forgotten.
const MOST: usize = 10_000;

/// A bucket for each caller; none where calls are not limited.
pub(super) struct Rate {
    buckets: Option<DefaultKeyedRateLimiter<Identity>>,
    clock: DefaultClock,
}

impl Rate {
    pub(super) fn new(config: &LimitArgs) -> Self {
        let buckets = config.rate_limit.and_then(NonZeroU32::new).map(|rate| {
            let burst = config.rate_burst.and_then(NonZeroU32::new).unwrap_or(rate);
            DefaultKeyedRateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Self {
            buckets,
            clock: DefaultClock::default(),
        }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED` with the time until the next call is let through.
    pub(super) fn count(&self, principal: &Principal) -> Result<()> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        if buckets.len() > MOST {
            buckets.retain_recent();
        }
        buckets.check_key(&principal.identity).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Problem::new(
                Reason::QuotaExceeded,
                "this caller calls more often than the gateway allows; wait as long as RetryInfo says, then go on more slowly",
            )
            .with("limit", "rate")
            .retry_after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_is_too_fast_is_told_when_to_come_back() {
        let rate = Rate::new(&LimitArgs {
            rate_limit: Some(1),
            rate_burst: Some(3),
            ..LimitArgs::default()
        });
        let (dev, admin) = (Principal::dev(), Principal::admin());
        assert!((0..3).all(|_| rate.count(&dev).is_ok()));
        let refused = rate.count(&dev).unwrap_err();
        assert_eq!(refused.reason(), Reason::QuotaExceeded);
        assert!(refused.retry_delay().is_some_and(|wait| !wait.is_zero()));
        assert!(rate.count(&admin).is_ok(), "each has a bucket of its own");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let rate = Rate::new(&LimitArgs::default());
        assert!((0..10_000).all(|_| rate.count(&Principal::dev()).is_ok()));
    }
}
