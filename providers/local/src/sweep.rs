//! Takes away what has no sandbox any more, and what was being made or removed when a provider was
//! killed.

use std::{io, time::Duration};

use crate::{limits::Limiter, store::Store};

/// What was touched later may just be in the making.
const AGE: Duration = Duration::from_secs(10 * 60);

/// Removes drafts, folders that were to be removed, and control groups without a sandbox.
///
/// # Errors
/// Where the data folder or the groups cannot be read.
pub(crate) fn take_away(store: &Store, limiter: &Limiter) -> io::Result<()> {
    store.clear(AGE)?;
    // The groups first: a sandbox has its folder before its groups, and after them.
    let groups = limiter.sandboxes()?;
    let known = store.ids()?;
    for group in groups {
        if known.binary_search(&group).is_err()
            && let Err(error) = limiter.forget(group)
        {
            tracing::warn!(sandbox_id = %group, %error, "a control group without a sandbox is left");
        }
    }
    Ok(())
}
