//! What a check saw that the contract does not allow, and how errors of calls are judged.

use std::{fmt::Debug, time::Duration};

use sandgate_proto::{DOMAIN, Reason};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorInfo, StatusExt as _};

/// Why a check did not pass.
#[derive(Clone, Debug, Error)]
pub enum Failure {
    /// Something other than an error of a call; the text says what was seen.
    #[error("{0}")]
    Broken(String),
    /// A call failed that should have worked, or failed in another way than it should have.
    #[error("{rpc} answered {}", describe(status))]
    Call {
        /// Which call.
        rpc: &'static str,
        /// What it answered.
        status: Box<Status>,
    },
    /// A call gave no answer in time.
    #[error("{rpc} gave no answer within {limit:?}")]
    Late {
        /// Which call.
        rpc: &'static str,
        /// How long it had.
        limit: Duration,
    },
}

impl Failure {
    /// Whether a provider refused because it lacks the capability, in the form that rule 10 wants.
    pub fn is_unsupported(&self) -> bool {
        let Self::Call { status, .. } = self else {
            return false;
        };
        let unsupported = Reason::CapabilityUnsupported;
        status.code() == unsupported.code()
            && error_info(status).is_ok_and(|info| info.reason == unsupported.name())
    }
}

/// A failure that says what was seen.
pub(crate) fn broken(seen: impl Into<String>) -> Failure {
    Failure::Broken(seen.into())
}

/// Fails with what was seen, unless the condition holds.
pub(crate) fn ensure<S: Into<String>>(
    holds: bool,
    seen: impl FnOnce() -> S,
) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(broken(seen())) }
}

/// Fails unless what was seen is what is due.
#[allow(
    clippy::needless_pass_by_value,
    reason = "most callers compare values that they have no other use for"
)]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, seen: T, due: T) -> Result<(), Failure> {
    ensure(seen == due, || {
        format!("{what} is {seen:?}, due was {due:?}")
    })
}

/// Fails unless the call was refused with this code and reason, well-formed; the status.
pub(crate) fn refused<T>(
    result: Result<T, Failure>,
    code: Code,
    reason: &str,
) -> Result<Status, Failure> {
    let due = format!("{} · {reason}", code_name(code));
    let failure = match result {
        Ok(_) => return Err(broken(format!("the call worked, due was {due}"))),
        // Rule 10 is judged by whoever knows the capabilities.
        Err(failure) if failure.is_unsupported() && reason != "CAPABILITY_UNSUPPORTED" => {
            return Err(failure);
        }
        Err(failure) => failure,
    };
    let Failure::Call { rpc, status } = failure else {
        return Err(broken(format!("{failure}; due was {due}")));
    };
    let info = error_info(&status).map_err(|fault| {
        broken(format!(
            "{rpc}, due was {due}: {fault}: {}",
            describe(&status)
        ))
    })?;
    ensure(status.code() == code && info.reason == reason, || {
        format!("{rpc} answered {}, due was {due}", describe(&status))
    })?;
    Ok(*status)
}

/// `refused` for INVALID_ARGUMENT · INVALID_FIELD.
pub(crate) fn invalid<T>(what: &str, result: Result<T, Failure>) -> Result<(), Failure> {
    match refused(result, Code::InvalidArgument, "INVALID_FIELD") {
        Ok(_) => Ok(()),
        Err(Failure::Broken(seen)) => Err(broken(format!("{what}: {seen}"))),
        Err(other) => Err(other),
    }
}

/// The only `ErrorInfo` of a status, if the status is formed as the contract wants; else what is
/// wrong with it.
pub(crate) fn error_info(status: &Status) -> Result<ErrorInfo, String> {
    let details = status
        .check_error_details_vec()
        .map_err(|error| format!("the details cannot be read ({error})"))?;
    let mut infos = details.into_iter().filter_map(|detail| match detail {
        ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let info = infos.next().ok_or("there is no ErrorInfo")?;
    if infos.next().is_some() {
        return Err("there is more than one ErrorInfo".to_owned());
    }
    if info.domain != DOMAIN {
        return Err(format!(
            "the domain is {:?}, due was {DOMAIN:?}",
            info.domain
        ));
    }
    if status.message().is_empty() {
        return Err("there is no message".to_owned());
    }
    match Reason::from_name(&info.reason) {
        Some(reason) if reason.code() != status.code() => Err(format!(
            "{reason} comes with {}, always",
            code_name(reason.code())
        )),
        _ => Ok(info),
    }
}

/// Code, reason and message, for people.
pub(crate) fn describe(status: &Status) -> String {
    let reason = match error_info(status) {
        Ok(info) => info.reason,
        Err(fault) => format!("({fault})"),
    };
    format!(
        "{} · {reason}: {}",
        code_name(status.code()),
        status.message()
    )
}

/// A code as the documentation of gRPC writes it, `NOT_FOUND` for `NotFound`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sandgate_proto::Problem;
    use tonic_types::ErrorDetails;

    use super::*;

    fn call(status: Status) -> Failure {
        let status = Box::new(status);
        Failure::Call { rpc: "X", status }
    }

    fn info(domain: &str, reason: &str) -> ErrorDetails {
        ErrorDetails::with_error_info(reason, domain, HashMap::new())
    }

    #[test]
    fn a_typed_error_is_taken_and_others_are_not() {
        let typed = Status::from(Problem::invalid_field("x", "is wrong"));
        assert!(invalid("x", Err::<(), _>(call(typed))).is_ok());
        assert!(invalid("x", Ok(())).is_err());
        let bare = Status::new(Code::InvalidArgument, "bare");
        let seen = invalid("x", Err::<(), _>(call(bare)))
            .unwrap_err()
            .to_string();
        assert!(
            seen.contains("no ErrorInfo") && seen.contains("INVALID_FIELD"),
            "{seen}"
        );
        let late = Failure::Late {
            rpc: "X",
            limit: Duration::from_secs(1),
        };
        assert!(invalid("x", Err::<(), _>(late)).is_err());
    }

    #[test]
    fn domain_message_and_code_count() {
        let code = Code::NotFound;
        for (message, details, fault) in [
            ("m", info("example.com", "SANDBOX_NOT_FOUND"), "domain"),
            ("", info(DOMAIN, "SANDBOX_NOT_FOUND"), "message"),
            ("m", info(DOMAIN, "INVALID_FIELD"), "INVALID_ARGUMENT"),
        ] {
            let status = Status::with_error_details(code, message, details);
            assert!(error_info(&status).unwrap_err().contains(fault));
        }
        let status = Status::with_error_details(code, "m", info(DOMAIN, "A_NEW_ONE"));
        assert_eq!(error_info(&status).unwrap().reason, "A_NEW_ONE");
    }

    #[test]
    fn unsupported_is_kept_for_rule_10() {
        let status = Status::from(Problem::new(Reason::CapabilityUnsupported, "no"));
        let failure = invalid("x", Err::<(), _>(call(status))).unwrap_err();
        assert!(failure.is_unsupported());
        assert!(!call(Status::new(Code::Unimplemented, "no")).is_unsupported());
    }
}
