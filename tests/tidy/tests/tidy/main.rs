//! The house rules that are cheap to check, as tests over the source tree. Each rule is a row of a
//! table; a failure lists every place that breaks it and says what to do instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the whole binary is a test"
)]

mod contract;
mod errors;
mod knowledge;
mod manifests;
mod paths;
mod problems;
mod rooms;
mod security;
mod shape;
mod source;
mod words;

/// Fails with all the findings, one a line.
#[track_caller]
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
