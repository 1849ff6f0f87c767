//! The one place where a [`Problem`] becomes a gRPC status: code, message, and exactly one
//! `ErrorInfo` beside the details that fit.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{Problem, Reason, limits};

/// `ErrorInfo.domain` of every error of Sandgate.
pub const DOMAIN: &str = "sandgate.dev";

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let reason = problem.reason();
        let message = clip(problem.message(), limits::STATUS_MESSAGE_BYTES);
        let status = Self::with_error_details(reason.code(), message, details(&problem, 1024));
        if status.details().len() <= limits::STATUS_DETAIL_BYTES {
            return status;
        }
        // A caller's own oversized text in the facts must not cost it the typed answer.
        Self::with_error_details(reason.code(), message, details(&problem, 64))
    }
}

/// Whether a status carries the typed error information that callers rely on.
pub fn has_error_info(status: &Status) -> bool {
    status
        .get_details_error_info()
        .is_some_and(|info| !info.reason.is_empty())
}

impl Problem {
    /// Reads a status that a provider answered with, if it is one of ours.
    pub fn from_status(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info()?;
        let reason = Reason::from_name(&info.reason)?;
        if info.domain != DOMAIN || reason.code() != status.code() {
            return None;
        }
        let mut problem = match status.get_details_bad_request() {
            Some(bad) if reason == Reason::InvalidField && !bad.field_violations.is_empty() => {
                let violation = &bad.field_violations[0];
                Self::invalid_field(&violation.field, &violation.description)
            }
            _ => Self::new(reason, status.message()),
        };
        for key in FACTS {
            if let Some(value) = info.metadata.get(*key)
                && !problem.facts().iter().any(|(known, _)| known == key)
            {
                problem = problem.with(key, value);
            }
        }
        if let Some(violation) = status
            .get_details_quota_failure()
            .and_then(|failure| failure.violations.into_iter().next())
        {
            problem = problem.with_quota(violation.subject, violation.description);
        }
        if let Some(delay) = status
            .get_details_retry_info()
            .and_then(|retry| retry.retry_delay)
        {
            problem = problem.retry_after(delay);
        }
        Some(problem)
    }
}

/// Metadata keys that survive from a provider's error into the gateway's own.
const FACTS: &[&str] = &[
    "field",
    "provider",
    "session_id",
    "sandbox_id",
    "execution_id",
    "capability",
    "outcome",
    "state",
    "method",
    "path",
    "limit_bytes",
    "image",
    "name",
    "scope",
    "limit",
];

fn details(problem: &Problem, fact_bytes: usize) -> ErrorDetails {
    let metadata: HashMap<String, String> = problem
        .facts()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), clip(value, fact_bytes).to_owned()))
        .collect();
    let mut details = ErrorDetails::with_error_info(problem.reason().name(), DOMAIN, metadata);
    for (field, description) in problem.fields() {
        details.add_bad_request_violation(clip(field, fact_bytes), clip(description, fact_bytes));
    }
    if let Some((subject, description)) = problem.quota() {
        details
            .add_quota_failure_violation(clip(subject, fact_bytes), clip(description, fact_bytes));
    }
    if let Some(delay) = problem.retry_delay() {
        details.set_retry_info(Some(delay));
    }
    details
}

/// The longest prefix of at most `limit` bytes that ends between characters.
fn clip(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_problem_survives_the_wire() {
        let problem = Problem::new(Reason::ProviderUnavailable, "try again")
            .with("provider", "container")
            .with("outcome", "rejected")
            .retry_after(Duration::from_secs(1));
        let status = Status::from(problem.clone());
        assert_eq!(Problem::from_status(&status), Some(problem));
    }

    #[test]
    fn an_oversized_fact_keeps_the_status_small() {
        let problem = Problem::invalid_field("x".repeat(100_000), "é".repeat(100_000));
        let status = Status::from(problem);
        assert!(has_error_info(&status));
        assert!(status.details().len() <= limits::STATUS_DETAIL_BYTES);
        assert!(status.message().len() <= limits::STATUS_MESSAGE_BYTES);
    }
}
