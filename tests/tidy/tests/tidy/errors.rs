//! docs/errors.md lists every reason of the contract, with its code, and no other.

use std::collections::BTreeMap;

use sandgate_proto::{Code, Reason};

use crate::{assert_none, source};

const PAGE: &str = "docs/errors.md";

/// A code as the wire's documentation writes it, `NOT_FOUND` for `NotFound`.
fn upper_snake(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The rows of the page: reason and code, with what the other two columns say.
fn rows() -> BTreeMap<String, (String, [String; 2])> {
    let mut rows = BTreeMap::new();
    for line in source::read(PAGE)
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [code, reason, when, what] = cells[..] else {
            panic!("{PAGE}: a row has the columns code, reason, when, what to do: {line}");
        };
        let name = reason.trim_matches('`').to_owned();
        let row = (
            code.trim_matches('`').to_owned(),
            [when.to_owned(), what.to_owned()],
        );
        assert!(
            rows.insert(name, row).is_none(),
            "{PAGE}: {reason} is there twice"
        );
    }
    rows
}

#[test]
fn every_reason_is_documented_and_nothing_else() {
    let mut rows = rows();
    let mut findings = Vec::new();
    for reason in Reason::ALL {
        let (name, code) = (reason.name(), upper_snake(reason.code()));
        match rows.remove(name) {
            None => findings.push(format!("{name} is missing; add a row with code `{code}`")),
            Some((written, _)) if written != code => {
                findings.push(format!("{name} comes with `{code}`, not `{written}`"));
            }
            Some((_, cells)) if cells.iter().any(String::is_empty) => {
                findings.push(format!("{name}: say when, and what to do"));
            }
            Some(_) => {}
        }
    }
    findings.extend(
        rows.into_keys()
            .map(|name| format!("{name} is no reason; remove its row")),
    );
    assert_none("docs/errors.md and proto/src/reason.rs differ:", &findings);
}
