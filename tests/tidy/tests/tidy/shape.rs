//! How a file looks: its first line says its job, and it is small.

use crate::{assert_none, source::Source};

const PRODUCTION_LINES: usize = 300;
const INLINE_TEST_LINES: usize = 100;
const MAIN_LINES: usize = 40;

#[test]
fn the_tree_is_found() {
    assert!(
        Source::all()
            .iter()
            .any(|source| source.path == "proto/src/lib.rs")
    );
}

#[test]
fn every_file_says_its_job_first() {
    let findings: Vec<_> = Source::all()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.clone())
        .collect();
    assert_none(
        "begin the file with a `//!` sentence that says its one job:",
        &findings,
    );
}

#[test]
fn files_are_small() {
    let mut findings = Vec::new();
    for source in Source::all() {
        let (production, tests) = (source.production_lines(), source.test_lines());
        if production > PRODUCTION_LINES && !source.holds_tests_only() {
            findings.push(format!("{}: {production} lines of at most {PRODUCTION_LINES}; give it one job and move the other out", source.path));
        }
        if tests > INLINE_TEST_LINES {
            findings.push(format!("{}: {tests} lines of inline tests of at most {INLINE_TEST_LINES}; move them to a file of their own", source.path));
        }
        if source.name() == "main.rs" && production >= MAIN_LINES {
            findings.push(format!("{}: {production} lines, a main.rs has fewer than {MAIN_LINES}; read configuration, build, run, drain", source.path));
        }
    }
    assert_none("files over their size:", &findings);
}
