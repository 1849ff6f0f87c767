//! Which rpcs the walks cover. A new rpc has to be put somewhere.

use sandgate_system::{OWNER, Rpc};

use crate::assert_none;

/// Rpcs that look up nothing that has an owner. Those that make something, and lists of the caller's
/// own, are told apart from other people's by the key alone.
const WITHOUT_IDS: [&str; 12] = [
    "CreateAgent",
    "DeleteConnection",
    "GetConnection",
    "GetProvider",
    "IssueApiKey",
    "ListAgents",
    "ListApiKeys",
    "ListConnections",
    "ListProviders",
    "ReconcileProvider",
    "RotateKeys",
    "SetConnection",
];

/// Of these, those that do not say whose things are meant either.
const ABOUT_NOBODY: [&str; 4] = [
    "GetProvider",
    "ListProviders",
    "ReconcileProvider",
    "RotateKeys",
];

#[test]
fn every_rpc_is_in_a_walk_or_listed() {
    let mut findings = Vec::new();
    for rpc in Rpc::all() {
        let listed = WITHOUT_IDS.contains(&rpc.name);
        match rpc.ids().as_slice() {
            [] if !listed => findings.push(format!("{}: has no id; list it", rpc.path)),
            [_, ..] if listed => findings.push(format!("{}: has ids; take it out", rpc.path)),
            _ => {}
        }
        let owned = OWNER.iter().any(|field| rpc.has(field));
        if listed && owned == ABOUT_NOBODY.contains(&rpc.name) {
            findings.push(format!("{}: about nobody, or about somebody?", rpc.path));
        }
    }
    assert_none("the lists of this file and the contract differ:", &findings);
}

#[test]
fn every_field_that_looks_like_an_id_is_known() {
    let mut findings = Vec::new();
    for rpc in Rpc::all() {
        let unknown = rpc.unknown_ids().into_iter();
        findings.extend(unknown.map(|field| format!("{}: {field}", rpc.path)));
    }
    assert_none(
        "say in tests/system/src/rpcs.rs what these name:",
        &findings,
    );
}
