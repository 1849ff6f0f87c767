//! What every problem of the gateway says besides its reason.

use sandgate_proto::Code;

use super::*;
use crate::store::{Fault, StoreError};

/// Words of which every message has one: they say what to do.
const ADVICE: &[&str] = &[
    "add",
    "call",
    "choose",
    "have",
    "make",
    "list",
    "look",
    "read",
    "repeat",
    "send",
    "set",
    "store",
    "Start",
    "try again",
    "use",
    "allow",
    "is required",
];

fn io(kind: std::io::ErrorKind) -> StoreError {
    StoreError::Folder(kind.into())
}

/// One of each that this file makes.
fn all() -> Vec<Problem> {
    let id = Uuid::nil();
    vec![
        session_not_found(id),
        agent_not_found("a"),
        api_key_not_found("k"),
        authentication_required(),
        certificate_names_nobody(),
        token_keys_unavailable(),
        scope_required("admin"),
        quota_exceeded("sandboxes", "acme", "delete one, or have the limit raised"),
        sandbox_not_found("@a"),
        no_default_sandbox(),
        secret_not_found("S"),
        provider_not_configured("x", &["local"]),
        not_running(id, "STOPPED"),
        provider_unavailable("p", Outcome::Rejected),
        provider_unavailable("p", Outcome::Ambiguous),
        not_let_in("p"),
        holder_unavailable("p", "host"),
        deadline_exceeded(),
        internal("test", &"a cause"),
        damaged("test", &"a cause"),
        request_id_reused(),
        etag_mismatch(),
        agent_id_reused("a"),
        agent_built_in("a"),
        VaultError::UnknownKey("k1".into()).into(),
        VaultError::Refused.into(),
        StoreError::Corrupt("row 7".into()).into(),
        StoreError::Database(sqlx_error()).into(),
        io(std::io::ErrorKind::StorageFull).into(),
        io(std::io::ErrorKind::ReadOnlyFilesystem).into(),
        io(std::io::ErrorKind::PermissionDenied).into(),
        begun(io(std::io::ErrorKind::StorageFull).into()),
    ]
}

/// What a call gets that waited for a connection in vain.
fn sqlx_error() -> sqlx::Error {
    sqlx::Error::PoolTimedOut
}

fn outcome(problem: &Problem) -> Option<&str> {
    let mut facts = problem.facts().iter();
    let found = facts.find(|(key, _)| *key == "outcome");
    found.map(|(_, value)| value.as_str())
}

#[test]
fn every_problem_says_what_to_do_and_no_cause() {
    for problem in all() {
        let message = problem.message();
        let advised = ADVICE.iter().any(|word| message.contains(word));
        assert!(advised, "{problem}");
        for hidden in ["a cause", "row 7", "pool timed out"] {
            assert!(!message.contains(hidden), "{problem}");
        }
    }
}

#[test]
fn what_is_unavailable_says_when_to_repeat_and_whether_it_may_have_happened() {
    for problem in all() {
        let unavailable = problem.reason().code() == Code::Unavailable;
        let waits = unavailable || problem.reason() == Reason::QuotaExceeded;
        assert_eq!(problem.retry_delay().is_some(), waits, "{problem}");
        let told = unavailable || problem.reason() == Reason::DeadlineExceeded;
        assert_eq!(outcome(&problem).is_some(), told, "{problem}");
    }
}

#[test]
fn a_store_that_fails_says_whether_the_change_may_be_there() {
    let disk = || Problem::from(StoreError::Database(sqlx::Error::WorkerCrashed));
    let full = || Problem::from(io(std::io::ErrorKind::StorageFull));
    assert_eq!(outcome(&disk()), Some("ambiguous"));
    assert_eq!(outcome(&full()), Some("rejected"));
    // Once something else was done, it is no longer as if nothing had been.
    assert_eq!(outcome(&begun(full())), Some("ambiguous"));
    assert_eq!(begun(etag_mismatch()), etag_mismatch());
    let locked = StoreError::Database(sqlx_error());
    assert_eq!(locked.fault(), Fault::Locked);
    assert_eq!(Problem::from(locked).reason(), Reason::StoreUnavailable);
    let corrupt = StoreError::Corrupt("row".into());
    assert_eq!(Problem::from(corrupt).reason(), Reason::StoreDamaged);
}
