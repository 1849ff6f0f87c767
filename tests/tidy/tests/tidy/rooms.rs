//! The gateway's rooms: requests fall from top to bottom, and nothing climbs.

use crate::{assert_none, paths, source::Source};

const GATEWAY: &str = "gateway/src/";

/// The rooms, top to bottom. A room names itself and rooms of lower floors only; `true` lets the
/// rooms of a floor name each other. A module that is no room here is ground: every room may stand
/// on it, and it names no room but those of the last floor.
const FLOORS: &[(&[&str], bool)] = &[
    (&["lib", "main", "server"], true),
    (&["edge"], false),
    (&["relay", "rpc", "lease", "ops"], false),
    (
        &[
            "session",
            "sandbox",
            "agent",
            "credential",
            "identity",
            "audit",
            "watch",
            "replay",
            "kept",
            "file",
            "transfer",
        ],
        true,
    ),
    (&["store", "vault", "fleet", "objects"], false),
];

/// The floor of a room, 0 at the top.
fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|(rooms, _)| rooms.contains(&module))
}

fn may_name(from: &str, to: &str) -> bool {
    let Some(below) = floor(to) else { return true };
    match floor(from) {
        _ if from == to => true,
        Some(above) if above == below => FLOORS[above].1,
        Some(above) => above < below,
        None => below == FLOORS.len() - 1,
    }
}

/// The modules from the root of the crate to this file.
fn module_path(path: &str) -> Vec<&str> {
    let mut modules: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if matches!(modules.last(), Some(&"mod")) {
        modules.pop();
    }
    modules
}

/// The top module that a path leads to, if it leads into this crate.
fn target<'a>(module: &[&'a str], segments: &'a [String]) -> Option<&'a str> {
    match segments.first()?.as_str() {
        "crate" => segments.get(1).map(String::as_str),
        "super" => {
            let up = segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            match module.len().checked_sub(up)? {
                0 => segments.get(up).map(String::as_str),
                _ => module.first().copied(),
            }
        }
        _ => None,
    }
}

#[test]
fn nothing_climbs() {
    let mut findings = Vec::new();
    for source in Source::all().iter().filter(|source| !source.is_test()) {
        let Some(inside) = source.path.strip_prefix(GATEWAY) else {
            continue;
        };
        let module = module_path(inside);
        for named in paths::production(source) {
            let Some(to) = target(&module, &named.segments) else {
                continue;
            };
            if !may_name(module[0], to) {
                findings.push(format!(
                    "{}:{}: `{}` names `{to}` ({})",
                    source.path,
                    named.line,
                    module[0],
                    named.text(),
                ));
            }
        }
    }
    assert_none(
        "a room calls only what stands below it; send what must go up through a channel, or move it down:",
        &findings,
    );
}

#[test]
fn the_table_of_rooms_bites() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let module = module_path("store/sqlite/mod.rs");
    assert_eq!(
        target(&module, &path("super::super::edge::X")),
        Some("edge")
    );
    assert_eq!(target(&module, &path("super::record")), Some("store"));
    assert_eq!(target(&module, &path("crate::rpc")), Some("rpc"));
    assert!(!may_name("store", "edge") && !may_name("relay", "rpc") && !may_name("ids", "rpc"));
    assert!(may_name("edge", "relay") && may_name("session", "sandbox") && may_name("rpc", "ids"));
}
