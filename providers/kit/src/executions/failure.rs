//! What a runner's refusal, or its silence, is for a caller.

use sandgate_proto::Outcome;

use crate::{
    Kind, ProviderError,
    runner::{LinkError, NoLink, Refusal},
};

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// The runner was started anew: what it ran before is gone.
    OtherBoot,
    /// The runner says that it serves another sandbox, or another generation of this one.
    Replaced,
    /// The runner would not.
    Refused(Refusal),
    /// Anything else.
    Error(ProviderError),
}

impl Stop {
    /// No connection; `sent`: the call may already have been made on an earlier one.
    pub(super) fn no_link(none: NoLink, sent: bool) -> Self {
        if none.is_other_sandbox() {
            return Self::Replaced;
        }
        match none {
            NoLink::Unreached(error) if sent && matches!(error.kind(), Kind::Unavailable(_)) => {
                Self::link(LinkError::Lost, false)
            }
            NoLink::Unreached(error) => Self::Error(error),
            NoLink::Link(LinkError::Refused(refusal)) => Self::Error(
                unavailable(outcome(!sent), "the runner in the sandbox does not let this provider in; if it lasts, make the sandbox anew")
                    .caused_by(format!("{}: {}", refusal.reason, refusal.message)),
            ),
            NoLink::Link(error) => Self::link(error, !sent),
        }
    }

    /// A call that failed; `harmless`: it may be repeated, whether it was done or not.
    pub(super) fn link(error: LinkError, harmless: bool) -> Self {
        let outcome = outcome(harmless);
        match error {
            LinkError::Refused(refusal) if refusal.reason == "SHUTTING_DOWN" => {
                Self::Error(ProviderError::new(
                    Kind::NotRunning,
                    "the sandbox is being stopped; start it, then repeat the call",
                ))
            }
            LinkError::Refused(refusal) => Self::Refused(refusal),
            LinkError::Lost => Self::Error(unavailable(
                outcome,
                "the runner in the sandbox does not answer; repeat the call with the same execution_id, or look at the sandbox",
            )),
            LinkError::Broken(violation) => Self::Error(
                unavailable(
                    outcome,
                    "the runner in the sandbox does not keep its protocol; if a repeated call fails too, make the sandbox anew",
                )
                .caused_by(violation),
            ),
            LinkError::Full => Self::Error(ProviderError::new(
                Kind::TooManyObservers,
                "as many calls as this sandbox can take are open; end some, then repeat this one",
            )),
        }
    }

    /// Whether a new attempt to reach the runner may help. What was never reached is left to the
    /// caller, unless a link was there and broke.
    pub(super) fn is_passing(&self, had_link: bool) -> bool {
        matches!(self, Self::Error(error) if had_link && matches!(error.kind(), Kind::Unavailable(_)))
    }

    /// What the caller of a call about an execution is told.
    pub(super) fn into_error(self, id: &str) -> ProviderError {
        let error = match self {
            Self::Error(error) => return error,
            Self::OtherBoot => unavailable(
                Outcome::Ambiguous,
                "the sandbox was started anew while the command was being started; look at it before running the command again",
            ),
            Self::Replaced => unavailable(
                Outcome::Rejected,
                "the runner that answers serves another sandbox or generation; repeat the call",
            ),
            Self::Refused(refusal) => refused(&refusal, id),
        };
        if id.is_empty() {
            error
        } else {
            error.with("execution_id", id)
        }
    }

    /// The same for standard input, whose offsets are its own.
    pub(super) fn into_stdin_error(self, id: &str) -> ProviderError {
        match self {
            Self::Refused(refusal) if refusal.reason == "OFFSET_OUT_OF_RANGE" => {
                ProviderError::new(
                    Kind::OffsetOutOfRange,
                    format!(
                        "only {} bytes of input are accepted so far; send from there on",
                        refusal.offset
                    ),
                )
                .with("accepted_offset", refusal.offset)
                .with("execution_id", id)
            }
            other => other.into_error(id),
        }
    }
}

fn refused(refusal: &Refusal, id: &str) -> ProviderError {
    let (kind, message) = match refusal.reason.as_str() {
        "NOT_FOUND" => (
            Kind::ExecutionNotFound,
            format!("the sandbox has no execution {id}, or no longer; ListExecutions shows what it has"),
        ),
        "ID_REUSED" => (
            Kind::ExecutionIdReused,
            format!("execution {id} was started with another request; choose another execution_id, or look at that one with GetExecution"),
        ),
        "OFFSET_OUT_OF_RANGE" => {
            return ProviderError::new(
                Kind::OffsetOutOfRange,
                format!("there are {} bytes so far; ask from there on at most", refusal.offset),
            )
            .with("offset", refusal.offset)
            .with("channel", channel(refusal.channel));
        }
        "STDIN_CLOSED" => (
            Kind::StdinClosed,
            "standard input takes no more bytes; start with stdin_open if more is to follow".into(),
        ),
        "NO_TERMINAL" => (
            Kind::NoTerminal,
            "the execution runs on pipes; start it with terminal set".into(),
        ),
        "TOO_MANY_EXECUTIONS" => (
            Kind::TooManyExecutions,
            "the sandbox runs as many executions as it can; wait for one to end, or signal one".into(),
        ),
        "TOO_MANY_OBSERVERS" => (
            Kind::TooManyObservers,
            "as many readers as the sandbox can serve are there; end a stream that nobody reads".into(),
        ),
        "UNKNOWN_REQUEST" => (
            Kind::Unsupported("runner"),
            "the runner in this sandbox is older than this call; make the sandbox anew".into(),
        ),
        _ => (
            Kind::Internal,
            "the runner in the sandbox refused what this provider asked; the provider's log says why".into(),
        ),
    };
    ProviderError::new(kind, message).caused_by(format!("{}: {}", refusal.reason, refusal.message))
}

/// The name of a channel of the runner.
fn channel(number: i32) -> &'static str {
    use sandgate_proto::v1::OutputChannel;
    OutputChannel::try_from(number)
        .unwrap_or(OutputChannel::Unspecified)
        .as_str_name()
}

pub(super) fn slow_start() -> ProviderError {
    unavailable(
        Outcome::Ambiguous,
        "the command was not seen to start in time; repeat the call with the same execution_id, or look at the sandbox",
    )
}

const fn outcome(harmless: bool) -> Outcome {
    if harmless {
        Outcome::Rejected
    } else {
        Outcome::Ambiguous
    }
}

fn unavailable(outcome: Outcome, message: &str) -> ProviderError {
    ProviderError::new(Kind::Unavailable(outcome), message)
}
