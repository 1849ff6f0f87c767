//! A key may call the rpcs of its scopes and no others; and whose a thing is comes before that.

use std::collections::BTreeSet;

use bytes::Bytes;
use sandgate_proto::{Reason, methods};
use sandgate_system::{Fields, Rpc, Words};
use tonic::Code;

use crate::{
    assert_none,
    people::{Caller, Person, Town, unknown},
};

fn scopes() -> BTreeSet<&'static str> {
    methods::ALL.iter().map(|method| method.scope).collect()
}

/// Own ids, as far as they are to be found: a name for something new is left to the gateway.
fn looked_up(rpc: &Rpc, ids: &Fields) -> Fields {
    let known = rpc.ids();
    known
        .into_iter()
        .fold(Fields::default(), |all, id| all.with(id, ids.get(id)))
}

/// Calls after which the next one would not find its things as they were.
fn ends_something(rpc: &Rpc) -> bool {
    ["Delete", "Stop", "Pause", "Revoke", "Signal"]
        .iter()
        .any(|word| rpc.name.starts_with(word))
}

#[tokio::test]
async fn a_key_with_one_scope_may_call_the_rpcs_of_that_scope_and_no_others() {
    let town = Town::new().await;
    let (words, mut findings) = (Words::default(), Vec::new());
    for scope in scopes() {
        let key = town.key_of_ann(scope).await;
        for rpc in Rpc::all() {
            let mut ids = looked_up(&rpc, &town.ann.ids);
            if rpc.scope == scope && ends_something(&rpc) {
                let again = Person::new(&town.world, &town.admin, "acme", "ann").await;
                ids = looked_up(&rpc, &again.ids);
            }
            let answer = key.call(&rpc, rpc.request(&words, &ids)).await;
            let refused = answer.reason == Reason::ScopeRequired.name();
            let unbuilt = answer.code == Some(Code::Unimplemented) && !rpc.is_built();
            if refused == (rpc.scope == scope) && !unbuilt {
                findings.push(format!("{} with {scope}: {answer:?}", rpc.path));
            }
            if answer.reason == Reason::AuthenticationRequired.name()
                || answer.reason == Reason::Internal.name()
            {
                findings.push(format!("{} with {scope}: {answer:?}", rpc.path));
            }
        }
    }
    assert_none(
        "SCOPE_REQUIRED is for every other scope, and only for those:",
        &findings,
    );
}

/// What is wrong with the answers to a key without the scope, on own things and on others'.
async fn out_of_order(
    town: &Town,
    key: &Caller,
    rpc: &Rpc,
    request: impl Fn(&Fields) -> Bytes,
) -> Vec<String> {
    let own = looked_up(rpc, &town.ann.ids);
    let mine = key.call(rpc, request(&own)).await;
    let unbuilt = mine.code == Some(Code::Unimplemented) && !rpc.is_built();
    let mut findings = Vec::new();
    if mine.reason != Reason::ScopeRequired.name() && !unbuilt {
        findings.push(format!("{} on own things: {mine:?}", rpc.path));
    }
    // Executions and keys are looked up behind the scope: by the provider, and by operators. Filters
    // over what may be gone are not looked up at all.
    let late = |id: &str| id == "execution_id" || id == "api_key_id";
    let filters = rpc.name == "ListAuditEvents" || rpc.name == "ListSessions";
    let never = unknown(&town.ann.ids);
    for id in rpc.ids().into_iter().filter(|id| !late(id) && !filters) {
        // Not bob's: an agent of his is ann's organisation's.
        for (whose, other) in [("carl's", &town.carl.ids), ("no", &never)] {
            let ids = own.clone().with_all(&[id], other);
            let answer = key.call(rpc, request(&ids)).await;
            if answer.code != Some(Code::NotFound) && !unbuilt {
                findings.push(format!("{} with {whose} {id}: {answer:?}", rpc.path));
            }
        }
    }
    findings
}

#[tokio::test]
async fn whose_it_is_comes_before_what_the_key_may_do() {
    let town = Town::new().await;
    let providers = town.key_of_ann("providers.read").await;
    let audit = town.key_of_ann("audit.read").await;
    let mut findings = Vec::new();
    for rpc in Rpc::all() {
        let key = match rpc.scope {
            "providers.read" => &audit,
            _ => &providers,
        };
        let good = |ids: &Fields| rpc.request(&Words::default(), ids);
        findings.extend(out_of_order(&town, key, &rpc, good).await);
        let broken = |ids: &Fields| rpc.broken(ids);
        findings.extend(out_of_order(&town, key, &rpc, broken).await);
    }
    assert_none(
        "existence and ownership, then scope, then the other fields:",
        &findings,
    );
}
