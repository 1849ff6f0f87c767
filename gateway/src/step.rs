//! Places where a test has a gateway fail or die. Without the feature `failpoints` there are none.

use crate::problem::Result;

/// Every step of a create, a stop and a delete, in their order.
pub const STEPS: &[&str] = &[
    "gateway.create.checked",
    "gateway.create.intended",
    "gateway.create.made",
    "gateway.create.recorded",
    "gateway.rollback.removed",
    "gateway.stop.marked",
    "gateway.stop.closed",
    "gateway.stop.stopped",
    "gateway.delete.marked",
    "gateway.delete.closed",
    "gateway.delete.removed",
    "gateway.delete.recorded",
];

/// A step was reached.
///
/// # Errors
/// Where the test says so.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reached(_step: &'static str) -> Result<()> {
    Ok(())
}

/// A step was reached: fails for `return(error)`, and ends the process for `return(crash)`.
///
/// # Errors
/// Where the test says so.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(step: &'static str) -> Result<()> {
    let act = fail::eval(step, |act| act);
    match act.flatten().as_deref() {
        Some("crash") => std::process::abort(),
        Some(_) => Err(crate::problem::internal("failpoint", &step)),
        None => Ok(()),
    }
}
