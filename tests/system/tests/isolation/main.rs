//! Nobody sees, changes or can tell the existence of what is another's: every rpc of the contract is
//! called by people who must not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the whole binary is a test"
)]

mod answer;
mod covered;
mod foreign;
mod owners;
mod people;
mod private;
mod scopes;
mod taken;
mod timing;

/// Fails with all the findings, one a line.
#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
