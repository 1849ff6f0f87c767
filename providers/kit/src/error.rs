//! What can go wrong in a provider, and the one place where it becomes a [`Problem`].

use std::{error::Error as StdError, fmt, time::Duration};

use sandgate_proto::{Outcome, Problem, Reason};

/// What kind of failure it is; decides code, reason and whether to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A field of the request cannot be used; names it.
    InvalidField(&'static str),
    /// The upstream has no such sandbox.
    SandboxGone,
    /// The sandbox is there but not running.
    NotRunning,
    /// This provider cannot do it; names the capability.
    Unsupported(&'static str),
    /// The upstream does not answer.
    Unavailable(Outcome),
    /// The upstream refused, and would again.
    Rejected,
    /// The caller has no key for the upstream.
    ConnectionRequired,
    /// The upstream refused the caller's key.
    CredentialRejected,
    /// The upstream wants fewer calls.
    RateLimited,
    /// The sandbox has no such execution.
    ExecutionNotFound,
    /// The execution_id was used before for something else.
    ExecutionIdReused,
    /// An offset lies past what there is; a fact says what there is.
    OffsetOutOfRange,
    /// The execution takes no more input.
    StdinClosed,
    /// The execution has no terminal.
    NoTerminal,
    /// The sandbox runs as many executions as it can.
    TooManyExecutions,
    /// As many readers as the sandbox can serve are there.
    TooManyObservers,
    /// As many ports are exposed as can be.
    TooManyPorts,
    /// Something about a file; with the reason that it has.
    File(Reason),
    /// The sandbox has no program git.
    GitMissing,
    /// A fault of the provider itself.
    Internal,
}

impl Kind {
    /// Whether the request is what has to change, so that no operator needs to hear of it.
    const fn is_for_the_caller(&self) -> bool {
        matches!(
            self,
            Self::InvalidField(_)
                | Self::NotRunning
                | Self::ExecutionNotFound
                | Self::ExecutionIdReused
                | Self::OffsetOutOfRange
                | Self::StdinClosed
                | Self::NoTerminal
                | Self::File(_)
                | Self::GitMissing
        )
    }
}

/// A failure of a provider: kind, a sentence for the caller, the cause for the log.
#[derive(Debug)]
pub struct ProviderError {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retry_after: Option<Duration>,
    facts: Vec<(&'static str, String)>,
}

impl ProviderError {
    /// A failure with a message that tells the caller what to do next. An upstream's own text
    /// belongs into [`Self::caused_by`], which callers never see.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            retry_after: None,
            facts: Vec::new(),
        }
    }

    /// Adds a variable of the message, for the caller's program.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.facts.push((key, value.to_string()));
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// What kind of failure it is.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Logs the cause and tells the caller.
    pub(crate) fn into_problem(self, provider: &str, sandbox_id: &str) -> Problem {
        if let Some(source) = &self.source {
            let cause = chain(source.as_ref());
            if self.kind.is_for_the_caller() {
                tracing::debug!(provider, sandbox_id, kind = ?self.kind, %cause, "call refused");
            } else {
                tracing::warn!(provider, sandbox_id, kind = ?self.kind, %cause, "call failed");
            }
        }
        let problem = match &self.kind {
            Kind::InvalidField(field) => Problem::invalid_field(*field, self.message),
            Kind::Unavailable(outcome) => Problem::new(Reason::UpstreamUnavailable, self.message)
                .with_outcome(*outcome)
                .retry_after(self.retry_after.unwrap_or(Duration::from_secs(1))),
            Kind::Unsupported(capability) => {
                Problem::new(Reason::CapabilityUnsupported, self.message)
                    .with("capability", capability)
            }
            // Without a time, whoever repeats at once is refused again.
            Kind::RateLimited => Problem::new(Reason::UpstreamRateLimited, self.message)
                .retry_after(Duration::from_secs(5)),
            kind => Problem::new(reason(kind), self.message),
        };
        let problem = match self.retry_after {
            Some(delay) => problem.retry_after(delay),
            None => problem,
        };
        let problem =
            (self.facts.iter()).fold(problem, |problem, (key, value)| problem.with(key, value));
        // One that is about another's key names that one.
        let problem = match problem.fact("provider") {
            Some(_) => problem,
            None => problem.with("provider", provider),
        };
        if sandbox_id.is_empty() {
            problem
        } else {
            problem.with("sandbox_id", sandbox_id)
        }
    }
}

const fn reason(kind: &Kind) -> Reason {
    match kind {
        Kind::InvalidField(_) => Reason::InvalidField,
        Kind::SandboxGone => Reason::SandboxNotFound,
        Kind::NotRunning => Reason::SandboxNotRunning,
        Kind::Unsupported(_) => Reason::CapabilityUnsupported,
        Kind::Unavailable(_) => Reason::UpstreamUnavailable,
        Kind::Rejected => Reason::UpstreamRejected,
        Kind::ConnectionRequired => Reason::ConnectionRequired,
        Kind::CredentialRejected => Reason::CredentialRejected,
        Kind::RateLimited => Reason::UpstreamRateLimited,
        Kind::ExecutionNotFound => Reason::ExecutionNotFound,
        Kind::ExecutionIdReused => Reason::ExecutionIdReused,
        Kind::OffsetOutOfRange => Reason::OffsetOutOfRange,
        Kind::StdinClosed => Reason::StdinClosed,
        Kind::NoTerminal => Reason::NoTerminal,
        Kind::TooManyExecutions => Reason::TooManyExecutions,
        Kind::TooManyObservers => Reason::TooManyObservers,
        Kind::TooManyPorts => Reason::TooManyPorts,
        Kind::File(reason) => *reason,
        Kind::GitMissing => Reason::GitMissing,
        Kind::Internal => Reason::Internal,
    }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use sandgate_proto::Code;

    use super::*;

    /// Every kind; a new one does not compile until it is here.
    fn kinds() -> Vec<Kind> {
        let next = |kind: &Kind| match kind {
            Kind::InvalidField(_) => Some(Kind::SandboxGone),
            Kind::SandboxGone => Some(Kind::NotRunning),
            Kind::NotRunning => Some(Kind::Unsupported("exec")),
            Kind::Unsupported(_) => Some(Kind::Unavailable(Outcome::Rejected)),
            Kind::Unavailable(Outcome::Rejected) => Some(Kind::Unavailable(Outcome::Ambiguous)),
            Kind::Unavailable(Outcome::Ambiguous) => Some(Kind::Rejected),
            Kind::Rejected => Some(Kind::ConnectionRequired),
            Kind::ConnectionRequired => Some(Kind::CredentialRejected),
            Kind::CredentialRejected => Some(Kind::RateLimited),
            Kind::RateLimited => Some(Kind::ExecutionNotFound),
            Kind::ExecutionNotFound => Some(Kind::ExecutionIdReused),
            Kind::ExecutionIdReused => Some(Kind::OffsetOutOfRange),
            Kind::OffsetOutOfRange => Some(Kind::StdinClosed),
            Kind::StdinClosed => Some(Kind::NoTerminal),
            Kind::NoTerminal => Some(Kind::TooManyExecutions),
            Kind::TooManyExecutions => Some(Kind::TooManyObservers),
            Kind::TooManyObservers => Some(Kind::TooManyPorts),
            Kind::TooManyPorts => Some(Kind::File(Reason::FileNotFound)),
            Kind::File(_) => Some(Kind::GitMissing),
            Kind::GitMissing => Some(Kind::Internal),
            Kind::Internal => None,
        };
        std::iter::successors(Some(Kind::InvalidField("spec")), next).collect()
    }

    #[test]
    fn every_kind_has_what_its_row_of_the_table_promises() {
        for kind in kinds() {
            let error =
                ProviderError::new(kind.clone(), "try another").caused_by("a vendor's text");
            let problem = error.into_problem("p", "s");
            let fact = |key| problem.fact(key);
            let reason = problem.reason();
            assert!(problem.message().contains("try another"), "{kind:?}");
            assert!(!format!("{problem:?}").contains("vendor"), "{kind:?}");
            assert_eq!(
                (fact("provider"), fact("sandbox_id")),
                (Some("p"), Some("s"))
            );
            let waits = reason.code() == Code::Unavailable || kind == Kind::RateLimited;
            assert_eq!(problem.retry_delay().is_some(), waits, "{kind:?}");
            let outcome = match &kind {
                Kind::Unavailable(outcome) => Some(outcome.name()),
                _ => None,
            };
            assert_eq!(fact("outcome"), outcome, "{kind:?}");
            let fields = matches!(kind, Kind::InvalidField(_));
            assert_eq!(!problem.fields().is_empty(), fields, "{kind:?}");
            let named = matches!(kind, Kind::Unsupported(_));
            assert_eq!(fact("capability").is_some(), named, "{kind:?}");
        }
    }

    #[test]
    fn a_time_that_the_upstream_names_is_passed_on() {
        let wait = Duration::from_secs(77);
        for kind in [Kind::RateLimited, Kind::Unavailable(Outcome::Rejected)] {
            let error = ProviderError::new(kind, "wait").retry_after(wait);
            assert_eq!(error.into_problem("p", "").retry_delay(), Some(wait));
        }
    }
}
