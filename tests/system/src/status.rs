//! Reads what an error says, and fails where it does not say it as the contract wants.

use sandgate_proto::{DOMAIN, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

/// Code and reason of an error: exactly one `ErrorInfo`, of our domain, with a reason of the table
/// under its own code, and a message.
#[track_caller]
pub fn reason(status: &Status) -> (Code, String) {
    let details = status
        .check_error_details_vec()
        .unwrap_or_else(|error| panic!("details cannot be read: {error}: {status:?}"));
    let mut infos = details.iter().filter_map(|detail| match detail {
        ErrorDetail::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let info = infos
        .next()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert!(infos.next().is_none(), "several ErrorInfo: {status:?}");
    assert_eq!(info.domain, DOMAIN, "{status:?}");
    assert!(!status.message().is_empty(), "no message: {status:?}");
    let known =
        Reason::from_name(&info.reason).unwrap_or_else(|| panic!("no such reason: {status:?}"));
    assert_eq!(
        known.code(),
        status.code(),
        "reason under another code: {status:?}"
    );
    (status.code(), info.reason.clone())
}

/// Fails unless the error has this reason, and its message says `hint`.
#[track_caller]
pub fn assert_reason(status: &Status, expected: Reason, hint: &str) {
    let (_, found) = reason(status);
    assert_eq!(found, expected.name(), "{status:?}");
    assert!(
        status.message().contains(hint),
        "{:?} does not say {hint:?}",
        status.message()
    );
}

/// A variable of the error's message.
pub fn fact(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(key).cloned()
}

/// Whether the error says when to try again.
pub fn has_retry(status: &Status) -> bool {
    status
        .get_details_retry_info()
        .is_some_and(|retry| retry.retry_delay.is_some())
}
