//! Why a call to a provider failed, told from the errors of the wire to it.

use std::error::Error;

use sandgate_proto::{Outcome, Problem};
use sandgate_service::WireError;

use crate::problem;

/// The problem behind an error of a wire: nothing was done where the request was not sent,
/// anything may have happened otherwise.
pub(crate) fn failure(provider: &str, error: &(dyn Error + 'static)) -> Problem {
    let outcome = if never_sent(error) {
        Outcome::Rejected
    } else {
        Outcome::Ambiguous
    };
    tracing::debug!(provider, ?outcome, cause = %chain(error), "call to provider failed");
    problem::provider_unavailable(provider, outcome)
}

fn never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<WireError>() {
            return error.nothing_done();
        }
        next = error.source();
    }
    false
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
