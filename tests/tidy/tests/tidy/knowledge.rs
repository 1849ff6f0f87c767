//! "Only X knows Y": which outside thing may be named where.

use crate::{
    assert_none,
    paths::{self, Named},
    source::Source,
};

/// One thing, and who may name it. Tests may name anything.
struct Rule {
    /// The path that is watched, with all that leads on from it.
    path: &'static str,
    /// Where the rule holds: a folder, a file, or "" for everywhere.
    within: &'static str,
    /// Folders, and names of files, that may.
    only: &'static [&'static str],
    /// What the others do.
    instead: &'static str,
}

const CONFIGURATION: &[&str] = &["config.rs", "process.rs", "main.rs", "build.rs"];

/// Both ends of a runner's link.
const RUNNERS_FRAMES: &[&str] = &[
    "providers/kit/src/files/",
    "providers/kit/src/runner/",
    "providers/kit/src/visits/",
    "providers/runner/fuzz/",
    "providers/runner/src/",
];

/// The runner, the provider whose sandboxes are processes of this machine, and the compiler's.
const STARTS_PROCESSES: &[&str] = &["providers/runner/", "providers/local/", "build.rs"];

const RULES: &[Rule] = &[
    Rule {
        path: "sqlx",
        within: "",
        only: &["gateway/src/store/"],
        instead: "ask the store",
    },
    Rule {
        path: "aes_gcm",
        within: "",
        only: &["gateway/src/vault/", "vault.rs"],
        instead: "ask the vault",
    },
    Rule {
        path: "object_store",
        within: "",
        only: &["gateway/src/objects/"],
        instead: "ask the objects",
    },
    Rule {
        path: "bollard",
        within: "",
        only: &["providers/container/"],
        instead: "go through the provider",
    },
    Rule {
        path: "sandgate_runner_proto::FrameReader",
        within: "",
        only: RUNNERS_FRAMES,
        instead: "make the call through the kit's link to the runner",
    },
    Rule {
        path: "sandgate_runner_proto::put_frame",
        within: "",
        only: RUNNERS_FRAMES,
        instead: "make the call through the kit's link to the runner",
    },
    Rule {
        path: "std::process::Command",
        within: "",
        only: STARTS_PROCESSES,
        instead: "have the runner start it",
    },
    Rule {
        path: "tokio::process",
        within: "",
        only: STARTS_PROCESSES,
        instead: "have the runner start it",
    },
    Rule {
        path: "std::env",
        within: "",
        only: CONFIGURATION,
        instead: "take it from the configuration",
    },
    Rule {
        path: "tonic",
        within: "gateway/src/session",
        only: &[],
        instead: "answer with a Problem",
    },
    Rule {
        path: "tonic",
        within: "gateway/src/sandbox",
        only: &[],
        instead: "answer with a Problem",
    },
    Rule {
        path: "sandgate_proto::v1",
        within: "gateway/src/relay",
        only: &[],
        instead: "pass the bytes on",
    },
];

/// No environment: the command line, which whoever starts the process hands to the configuration,
/// and facts of the compiler.
const NO_ENVIRONMENT: &[&str] = &["std::env::args_os", "std::env::consts"];

/// What makes a status of its own instead of turning a `Problem` into one.
const STATUS_CONSTRUCTORS: &[&str] = &[
    "new",
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
    "from_error",
    "from_error_generic",
];

const STATUS_FILE: &str = "proto/src/status.rs";

fn production() -> Vec<Source> {
    Source::all()
        .into_iter()
        .filter(|source| !source.is_test())
        .collect()
}

impl Rule {
    fn is_broken_by(&self, source: &Source, named: &Named) -> bool {
        let allowed = |place: &&str| match place.strip_suffix(".rs") {
            Some(_) => source.name() == *place,
            None => source.path.starts_with(*place),
        };
        named.is_under(self.path)
            && !NO_ENVIRONMENT.iter().any(|path| named.is_under(path))
            && source.path.starts_with(self.within)
            && !self.only.iter().any(allowed)
    }
}

/// Whether a path makes a status of tonic's; `imported`: the file calls that one `Status`.
fn makes_a_status(named: &Named, imported: bool) -> bool {
    let constructor = match named.segments.as_slice() {
        [from, of, constructor] if from == "tonic" && of == "Status" => constructor,
        [of, constructor] if imported && of == "Status" => constructor,
        _ => return false,
    };
    constructor.starts_with("with_") || STATUS_CONSTRUCTORS.contains(&constructor.as_str())
}

/// What a file names that it must not know.
fn broken(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let all = paths::production(source);
    let imported = all.iter().any(|named| named.text() == "tonic::Status");
    for named in all {
        let place = format!("{}:{}: {}", source.path, named.line, named.text());
        if makes_a_status(&named, imported) && source.path != STATUS_FILE {
            findings.push(format!(
                "{place}: make a `Problem` and turn it into a status with `Status::from`"
            ));
        }
        let broken = RULES
            .iter()
            .filter(|rule| rule.is_broken_by(source, &named));
        findings.extend(broken.map(|rule| format!("{place}: {}", rule.instead)));
    }
    findings
}

#[test]
fn only_one_place_knows_each_outside_thing() {
    let findings: Vec<_> = production().iter().flat_map(broken).collect();
    assert_none("named in a place that must not know it:", &findings);
}

#[test]
fn the_rules_bite() {
    for (path, text, findings) in [
        (
            "gateway/src/relay/x.rs",
            "use sandgate_proto::{Problem, v1::Sandbox};",
            1,
        ),
        (
            "gateway/src/rpc/x.rs",
            "use sandgate_proto::{Problem, v1::Sandbox};",
            0,
        ),
        (
            "gateway/src/session/x.rs",
            "use tonic::Code; fn f() { sqlx::query(\"\") }",
            2,
        ),
        ("gateway/src/store/x.rs", "fn f() { sqlx::query(\"\") }", 0),
        (
            "providers/local/src/x.rs",
            "use std::{env, fs}; use tonic::{Code, Status}; fn f() { m!(Status::internal(\"\")) }",
            2,
        ),
        (
            "gateway/src/rpc/x.rs",
            "fn f() { tonic::Status::with_details() }",
            1,
        ),
        (
            "gateway/src/rpc/x.rs",
            "use crate::Status; fn f() { Status::new() }",
            0,
        ),
        ("providers/local/src/config.rs", "use std::env;", 0),
        (
            "providers/container/src/x.rs",
            "use sandgate_runner_proto::{put_frame, v1::Start}; use tokio::process::Command;",
            2,
        ),
        (
            "providers/local/src/x.rs",
            "fn f() { std::env::args_os(); std::env::consts::ARCH }\n#[cfg(test)]\nuse std::env;",
            0,
        ),
    ] {
        let found = broken(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        assert_eq!(found.len(), findings, "{path}: {text}: {found:?}");
    }
}
