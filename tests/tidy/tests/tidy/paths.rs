//! The paths that a Rust file names, `use` groups taken apart: read from tokens, so that comments
//! and strings do not count and the insides of macros do.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::source::Source;

/// A path such as `std::env::var`, where it stands.
pub(crate) struct Named {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// Its segments.
    pub(crate) segments: Vec<String>,
}

impl Named {
    /// As it is written.
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }

    /// Whether it is this path or leads on from it.
    pub(crate) fn is_under(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        path.split("::")
            .all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
    }
}

/// The paths in the production part of a file.
pub(crate) fn production(source: &Source) -> Vec<Named> {
    let last = source.production_lines();
    let mut named = named(&source.text);
    named.retain(|path| path.line <= last);
    named
}

fn named(text: &str) -> Vec<Named> {
    let tokens: TokenStream = text.parse().expect("a file that compiles");
    let mut found = Vec::new();
    walk(&Vec::from_iter(tokens), &mut found);
    found
}

fn walk(tokens: &[TokenTree], found: &mut Vec<Named>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(_) => at += path(&tokens[at..], &[], found),
            TokenTree::Group(group) => {
                walk(&Vec::from_iter(group.stream()), found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads one path at the start of `tokens`, below `prefix`; answers how many tokens it took.
fn path(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<Named>) -> usize {
    let line = tokens[0].span().start().line;
    let mut segments = prefix.to_vec();
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(name)) if name == "self" && !prefix.is_empty() => {}
            Some(TokenTree::Ident(name)) => segments.push(name.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner = Vec::from_iter(group.stream());
                for member in inner.split(is_comma).filter(|member| !member.is_empty()) {
                    path(member, &segments, found);
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if !(is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))) {
            break;
        }
        at += 2;
    }
    found.push(Named { line, segments });
    at.max(1)
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',')
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

#[test]
fn groups_are_taken_apart_and_macros_are_read() {
    let text = "use std::{env, fs::{self, File}};\n// sqlx::no\nfn f() { m!(tonic::Status::new(\"a::b\")) }";
    let all: Vec<String> = named(text).iter().map(Named::text).collect();
    for wanted in ["std::env", "std::fs", "std::fs::File", "tonic::Status::new"] {
        assert!(
            all.iter().any(|path| path == wanted),
            "{wanted} is not in {all:?}"
        );
    }
    assert!(
        !all.iter()
            .any(|path| path.contains("sqlx") || path.contains("a::b"))
    );
}
