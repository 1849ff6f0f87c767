//! Which answers a caller may get while everything around it is killed. The one list of them.

use sandgate_proto::{Problem, Reason, has_error_info};
use tonic::{Code, Status};

use crate::failure::{Result, broken, describe, is_from_here, reason};

/// What a call is repeated for, at any time.
const PASSING: [Reason; 5] = [
    Reason::ProviderUnavailable,
    Reason::HolderUnavailable,
    Reason::UpstreamUnavailable,
    Reason::Draining,
    // Another call, perhaps by the other gateway, was at the same sandbox.
    Reason::EtagMismatch,
];

/// What a call is repeated for while another one starts, stops or deletes the same sandbox, and for
/// the moment after it in which the other gateway may not know.
const PASSING_IN_CHANGE: [Reason; 1] = [Reason::SandboxNotRunning];

/// What tells of an execution also when its sandbox is gone.
const LOOKS: [&str; 2] = ["GetExecution", "StreamExecution"];

/// What may be the final word; who asked says whether it is due.
const REFUSALS: [Reason; 4] = [
    Reason::SandboxNotRunning,
    Reason::SandboxNotFound,
    Reason::ExecutionNotFound,
    Reason::SessionNotFound,
];

/// What to do after an answer that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ask again; the text is how that is counted.
    Repeat(String),
    /// The answer is no.
    Refused(Refusal),
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) reason: String,
    /// All of it, for people.
    pub(crate) text: String,
}

impl Refusal {
    /// Whether it is this one.
    pub(crate) fn is(&self, reason: Reason) -> bool {
        self.reason == reason.name()
    }
}

/// Judges an answer; everything that is in no list is a broken rule.
pub(crate) fn judge(rpc: &str, status: &Status, changing: bool) -> Result<Verdict> {
    if is_from_here(status) {
        return Ok(Verdict::Repeat("connection lost".to_owned()));
    }
    if !has_error_info(status) || matches!(status.code(), Code::Internal | Code::Unknown) {
        return broken(format!("{rpc} answered {}", describe(status)));
    }
    let reason = reason(status);
    let is_in = |list: &[Reason]| list.iter().any(|one| one.name() == reason);
    let may_pass = changing && (LOOKS.contains(&rpc) || !is_over(status));
    if is_in(&PASSING) || (may_pass && is_in(&PASSING_IN_CHANGE)) {
        return Ok(Verdict::Repeat(reason));
    }
    if is_in(&REFUSALS) {
        let text = format!("{rpc} answered {}", describe(status));
        return Ok(Verdict::Refused(Refusal { reason, text }));
    }
    broken(format!("{rpc} answered {}", describe(status)))
}

/// Whether it is said of a sandbox that comes back no more: two that change it at once would else
/// wait for each other.
fn is_over(status: &Status) -> bool {
    Problem::from_status(status).is_some_and(|problem| {
        let mut facts = problem.facts().iter();
        facts.any(|(name, value)| {
            *name == "state" && ["DELETING", "DELETED", "FAILED"].contains(&value.as_str())
        })
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    fn judged(reason: Reason, changing: bool) -> Result<Verdict> {
        judge("X", &Status::from(Problem::new(reason, "why")), changing)
    }

    #[test]
    fn what_passes_is_repeated() {
        let repeat = |reason: Reason| Verdict::Repeat(reason.name().to_owned());
        let down = Reason::ProviderUnavailable;
        assert_eq!(judged(down, false).unwrap(), repeat(down));
        let stopped = Reason::SandboxNotRunning;
        assert_eq!(judged(stopped, true).unwrap(), repeat(stopped));
        let Verdict::Refused(refusal) = judged(stopped, false).unwrap() else {
            panic!("repeated though nobody changes it");
        };
        assert!(refusal.is(stopped));
        let deleted = Problem::new(stopped, "why").with("state", "DELETED");
        let verdict = judge("X", &Status::from(deleted), true).unwrap();
        assert!(matches!(verdict, Verdict::Refused(_)));
    }

    #[test]
    fn faults_and_untyped_answers_break_the_run() {
        assert!(judged(Reason::Internal, true).is_err());
        assert!(judged(Reason::RequestIdReused, true).is_err());
        assert!(judge("X", &Status::unavailable("untyped"), true).is_err());
        assert!(judge("X", &Status::unknown("untyped"), true).is_err());
    }
}
