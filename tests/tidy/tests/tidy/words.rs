//! Words that no file of the project may hold.

use std::{fs, process::Command};

use crate::{assert_none, source};

/// Whole words, in any case, with why they do not belong here; `|` is left out, so that this file
/// does not hold them either.
const WORDS: &[&str] = &[
    "anth|ropic",
    "ch|atgpt",
    "cl|aude",
    "code|x",
    "co|pilot",
    "gem|ini",
    "open|ai",
    "gp|t",
];

/// Pieces of text: folders of one machine, and hosts that package clients know by themselves.
const PIECES: &[&str] = &[
    "/wo|rk/",
    "index.cra|tes.io",
    "static.cra|tes.io",
    "registry.np|mjs.org",
    "proxy.go|lang.org",
    "sum.go|lang.org",
    "py|pi.org",
    "files.python|hosted.org",
    "repo1.ma|ven.org",
    "repo.ma|ven.apache.org",
    "deb.deb|ian.org",
    "security.deb|ian.org",
    "archive.ubu|ntu.com",
];

/// What git has, and what it would take with the next `git add`.
fn tracked() -> Vec<String> {
    let listing = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(source::workspace())
        .output()
        .expect("this test needs git");
    assert!(
        listing.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listing.stderr)
    );
    String::from_utf8(listing.stdout)
        .unwrap()
        .split_terminator('\0')
        .map(str::to_owned)
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|found| found == word)
}

fn finding(line: &str) -> Option<String> {
    let line = line.to_lowercase();
    let word = WORDS
        .iter()
        .map(|word| word.replace('|', ""))
        .find(|word| has_word(&line, word));
    word.or_else(|| {
        PIECES
            .iter()
            .map(|piece| piece.replace('|', ""))
            .find(|piece| line.contains(piece))
    })
}

#[test]
fn forbidden_words_are_absent() {
    let mut findings = Vec::new();
    for path in tracked() {
        // A file that was removed but not yet committed, or one that is no text.
        let Ok(text) = fs::read_to_string(source::workspace().join(&path)) else {
            continue;
        };
        let lines = text.lines().chain([path.as_str()]).enumerate();
        findings.extend(lines.filter_map(|(number, line)| {
            finding(line).map(|word| format!("{path}:{}: {word}", number + 1))
        }));
    }
    assert_none(
        "write it without the word, or name the thing and not its host:",
        &findings,
    );
}

#[test]
fn words_are_whole_and_pieces_are_not() {
    assert!(finding(&"made with Cl|aude.".replace('|', "")).is_some());
    assert!(finding(&"see /wo|rk/main".replace('|', "")).is_some());
    assert!(finding("a codexes cursor in /workspace").is_none());
}
