//! An error as the domain sees it: a reason, a sentence that says what to do next, and facts.
//! It knows nothing of gRPC; `status.rs` turns it into a status.

use std::{fmt, time::Duration};

use crate::Reason;

/// Whether a call that failed on the way may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side never acted on it; repeating is safe.
    Rejected,
    /// The other side may have acted on it; look before repeating.
    Ambiguous,
}

impl Outcome {
    /// The value of the metadata entry `outcome`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// An error that a caller can meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    reason: Reason,
    message: String,
    facts: Vec<(&'static str, String)>,
    fields: Vec<(String, String)>,
    /// Boxed, since it is rare and every result would be larger for it.
    quota: Option<Box<(String, String)>>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with its reason and a message for a person or a model: what is wrong and what to
    /// do next. Never put a secret or an upstream's own text into it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            facts: Vec::new(),
            fields: Vec::new(),
            quota: None,
            retry_after: None,
        }
    }

    /// A malformed or missing request field; becomes `INVALID_FIELD` with a `BadRequest`.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem = Self::new(Reason::InvalidField, format!("{field}: {message}"));
        problem.facts.push(("field", field.clone()));
        problem.fields.push((field, message));
        problem
    }

    /// Adds a variable of the message, as a metadata entry of `ErrorInfo`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.facts.push((key, value.to_string()));
        self
    }

    /// Says whether the call may have taken effect.
    #[must_use]
    pub fn with_outcome(self, outcome: Outcome) -> Self {
        self.with("outcome", outcome.name())
    }

    /// Names whose limit is reached and which; becomes `QuotaFailure`.
    #[must_use]
    pub fn with_quota(
        mut self,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.quota = Some(Box::new((subject.into(), description.into())));
        self
    }

    /// Says when to try again; becomes `RetryInfo`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Why the call failed.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What is wrong and what to do next.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The variables of the message.
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.facts
    }

    /// One variable of the message.
    pub fn fact(&self, key: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The malformed fields, each with what it should be.
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// Whose limit is reached, and which.
    pub fn quota(&self) -> Option<(&str, &str)> {
        self.quota
            .as_ref()
            .map(|quota| (&quota.0[..], &quota.1[..]))
    }

    /// When to try again, if trying again can help.
    pub const fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Problem {}
