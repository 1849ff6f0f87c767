//! docs/security.md and the pages of clouds name tests as their proof, by the end of the path: each of
//! them exists, and every threat says how it stands.

use crate::{
    assert_none,
    source::{self, Source},
};

const PAGE: &str = "docs/security.md";
/// Further pages that name tests, and how many at least.
const PAGES: &[(&str, usize)] = &[(PAGE, 40), ("docs/providers/e2b.md", 20)];

/// How a threat can stand. One that is mitigated names a test.
const STANDS: &[&str] = &["mitigated", "accepted", "not yet"];

/// The texts in code style that name a test: a Rust file, and a function in it.
fn proofs(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once(".rs::").map(|_| text))
        .filter_map(|text| text.rsplit_once("::"))
        .collect()
}

/// Whether a file has this function, and it runs as a test: behind an attribute that says so, or as a
/// check of the conformance suite.
fn is_test(text: &str, name: &str) -> bool {
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    // Attributes of more than one line do not occur before a test's name.
    lines.retain(|line| !line.starts_with("//"));
    let begins = |line: &str| {
        let line = line.trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| begins(line)) else {
        return false;
    };
    let is_check = lines[at].contains("context: &Context");
    is_check
        || lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

#[test]
fn every_test_that_a_page_names_exists() {
    for (page, least) in PAGES {
        let text = source::read(page);
        let proofs = proofs(&text);
        assert!(proofs.len() > *least, "{page} names {} tests", proofs.len());
        let findings = missing(&proofs);
        assert_none(&format!("{page} names tests that do not exist:"), &findings);
    }
}

/// What is said of those that do not exist, or more than once.
fn missing(proofs: &[(&str, &str)]) -> Vec<String> {
    let (sources, mut findings) = (Source::all(), Vec::new());
    for (file, name) in proofs {
        let ending = format!("/{file}");
        let named = sources
            .iter()
            .filter(|source| source.path.ends_with(&ending));
        let found = named.filter(|source| is_test(&source.text, name)).count();
        if found != 1 {
            findings.push(format!(
                "{file}::{name}: there are {found} tests of this name"
            ));
        }
    }
    findings
}

#[test]
fn every_threat_says_how_it_stands() {
    let mut findings = Vec::new();
    let (page, mut threats) = (source::read(PAGE), 0);
    for line in page.lines().filter(|line| line.starts_with("| **")) {
        threats += 1;
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, stands, ..] = cells[..] else {
            findings.push(format!("a threat has three columns: {line}"));
            continue;
        };
        if !STANDS.contains(&stands) {
            findings.push(format!("{threat}: {stands:?} is none of {STANDS:?}"));
        }
        if stands == "mitigated" && proofs(line).is_empty() {
            findings.push(format!("{threat}: is mitigated, but no test shows it"));
        }
    }
    assert!(threats > 30, "{PAGE} has {threats} threats");
    assert_none(&format!("threats of {PAGE}:"), &findings);
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "fn helper() {}\n#[test]\nfn one() {}\n#[tokio::test(flavor = \"x\")]\nasync fn two() {}\nasync fn three(context: &Context<'_>) {}\n";
    for (name, wanted) in [
        ("one", true),
        ("two", true),
        ("three", true),
        ("helper", false),
        ("on", false),
    ] {
        assert_eq!(is_test(text, name), wanted, "{name}");
    }
    assert_eq!(proofs("a `x/y.rs::one` b `c` `z.rs`"), [("x/y.rs", "one")]);
}
