//! What a caller meets says what to do next, and when to repeat where that can help.

use sandgate_proto::{Code, Reason};

use crate::{assert_none, source::Source};

/// What makes a message for callers. A malformed field is told what it must be instead.
const CONSTRUCTORS: &[&str] = &["Problem::new(", "ProviderError::new("];

/// Words of which every message has one; `{advice}` and `{instead}` stand for what is put there.
const ADVICE: &[&str] = &[
    "add", "advice", "ask", "call", "check", "choose", "create", "delete", "end", "free", "give",
    "have", "install", "instead", "keep", "leave", "list", "look", "make", "open", "put", "read",
    "repeat", "resume", "send", "set", "signal", "start", "stop", "store", "take", "try", "use",
    "wait", "write",
];

/// One call of a constructor: what stands in its parentheses, and which methods follow on it.
struct Made<'a> {
    line: usize,
    arguments: &'a str,
    methods: Vec<&'a str>,
}

impl Made<'_> {
    /// The text of its string literals.
    fn said(&self) -> String {
        let parts = split_strings(self.arguments);
        parts
            .filter(|(string, _)| *string)
            .map(|(_, text)| text)
            .collect()
    }

    fn reason(&self) -> Option<Reason> {
        let name = self.arguments.trim_start().strip_prefix("Reason::")?;
        let end = name.find(|letter: char| !letter.is_alphanumeric())?;
        let all = Reason::ALL.iter().copied();
        all.into_iter()
            .find(|reason| format!("{reason:?}") == name[..end])
    }
}

/// Pieces of a text, each with whether it is the inside of a string literal.
fn split_strings(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let (mut pieces, mut from, mut inside, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => {
                pieces.push((inside, &text[from..at]));
                (inside, from) = (!inside, at + 1);
            }
            _ => {}
        }
    }
    pieces.push((inside, &text[from..]));
    pieces.into_iter()
}

/// How long the text is up to the parenthesis that closes the one before it.
fn closed(text: &str) -> usize {
    let start = text.as_ptr() as usize;
    let mut depth = 1;
    for (string, piece) in split_strings(text) {
        for (at, letter) in piece.char_indices().filter(|_| !string) {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return piece.as_ptr() as usize - start + at;
            }
        }
    }
    text.len()
}

/// The calls of one constructor in a file's production part.
fn made<'a>(text: &'a str, constructor: &str) -> Vec<Made<'a>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(constructor) {
        let mut rest = &text[at + constructor.len()..];
        let end = closed(rest);
        let mut one = Made {
            line: text[..at].lines().count(),
            arguments: &rest[..end],
            methods: Vec::new(),
        };
        rest = rest.get(end + 1..).unwrap_or_default();
        while let Some(call) = rest.trim_start().strip_prefix('.')
            && let Some((method, arguments)) = call.split_once('(')
        {
            one.methods.push(method);
            rest = arguments.get(closed(arguments) + 1..).unwrap_or_default();
        }
        found.push(one);
    }
    found
}

/// Whether a message says what to do, by a verb or by the name of an rpc.
fn advises(message: &str) -> bool {
    let mut words = message.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| {
        let capitals = word.chars().filter(|letter| letter.is_uppercase()).count();
        ADVICE.contains(&word.to_lowercase().as_str()) || capitals > 1 && word.len() > capitals
    })
}

fn broken(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for one in CONSTRUCTORS.iter().flat_map(|name| made(text, name)) {
        let place = format!("{path}:{}", one.line);
        let said = one.said();
        let field = one.arguments.trim_start().starts_with("Kind::InvalidField");
        if !said.is_empty() && !field && !advises(&said) {
            findings.push(format!("{place}: say what to do next: {said:?}"));
        }
        let Some(reason) = one.reason() else { continue };
        if reason.code() == Code::Unavailable {
            let has = |method: &str| one.methods.contains(&method);
            if !has("retry_after") {
                findings.push(format!("{place}: {reason} says when to repeat"));
            }
            // What is said of a server that ends goes to calls of every kind.
            if !has("with_outcome") && reason != Reason::Draining {
                findings.push(format!(
                    "{place}: {reason} says whether it may have happened"
                ));
            }
        }
    }
    findings
}

#[test]
fn every_message_says_what_to_do_and_what_is_unavailable_when() {
    let mut findings = Vec::new();
    for source in Source::all().iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().take(source.production_lines());
        let text: Vec<_> = lines.collect();
        findings.extend(broken(&source.path, &text.join("\n")));
    }
    assert_none("a caller is left alone with its error:", &findings);
}

#[test]
fn the_rules_bite() {
    for (text, findings) in [
        ("Problem::new(Reason::Internal, \"it broke (badly)\")", 1),
        (
            "Problem::new(Reason::Internal, \"it broke; look at the log\")",
            0,
        ),
        (
            "ProviderError::new(Kind::SandboxGone, \"call StartSandbox\")",
            0,
        ),
        (
            "ProviderError::new(Kind::InvalidField(\"a\"), \"is odd\")",
            0,
        ),
        ("Problem::new(Reason::UpstreamUnavailable, message)", 2),
        (
            "Problem::new(Reason::ProviderUnavailable, f(\")\")).with_outcome(x)\n .retry_after(y)",
            1,
        ),
        (
            "Problem::new(Reason::Draining, \"repeat\").retry_after(z)",
            0,
        ),
        ("Problem::new(Reason::Draining, \"repeat\")", 1),
    ] {
        let found = broken("x.rs", text);
        assert_eq!(found.len(), findings, "{text}: {found:?}");
    }
}
