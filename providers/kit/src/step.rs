//! Steps of create and delete, by name, at which a test can end this process or have the call fail.

use crate::ProviderError;

/// A step was reached. With the feature `failpoints` the variable FAILPOINTS says what happens there:
/// `return(crash)` ends the process, as a kill would, `return(error)` has the call fail.
///
/// # Errors
/// Where the test says so.
#[cfg(feature = "failpoints")]
pub fn reached(step: &'static str) -> Result<(), ProviderError> {
    let wanted = fail::eval(step, Option::unwrap_or_default);
    match wanted.as_deref() {
        Some("crash") => std::process::abort(),
        Some("error") => {
            let kind = crate::Kind::Unavailable(sandgate_proto::Outcome::Ambiguous);
            let message = format!("a test has this call fail at {step}; repeat it");
            Err(ProviderError::new(kind, message))
        }
        _ => Ok(()),
    }
}

/// A step was reached: nothing happens there without the feature `failpoints`.
///
/// # Errors
/// Never.
#[cfg(not(feature = "failpoints"))]
#[inline]
#[allow(
    clippy::unnecessary_wraps,
    reason = "with the feature `failpoints` it can fail"
)]
pub const fn reached(_step: &'static str) -> Result<(), ProviderError> {
    Ok(())
}
