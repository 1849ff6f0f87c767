//! Whose things are meant can be said only by who may act for others.

use sandgate_proto::Reason;
use sandgate_system::{Fields, OWNER, Rpc, Words};

use crate::{answer::Answer, assert_none, people::Town};

/// People as bob could name them; the last two do not exist.
const OTHERS: [(&str, &str); 4] = [
    ("acme", "ann"),
    ("other", "carl"),
    ("acme", "zoe"),
    ("nowhere", "zoe"),
];

#[tokio::test]
async fn acting_for_others_is_refused_whether_they_exist_or_not() {
    let town = Town::new().await;
    let before = town.state_of_ann().await;
    let (bob, mut findings) = (&town.bob, Vec::new());
    for rpc in Rpc::all() {
        if !OWNER.iter().any(|field| rpc.has(field)) {
            continue;
        }
        let own = rpc
            .ids()
            .into_iter()
            .fold(Fields::default(), |all, id| all.with(id, bob.ids.get(id)));
        let mut first: Option<Answer> = None;
        for (org, user) in OTHERS {
            // Where only the organisation can be named, bob's is his own.
            if org == bob.org && !rpc.has("user_id") {
                continue;
            }
            let ids = own.clone().with("org_id", org).with("user_id", user);
            let answer = bob
                .caller
                .call(&rpc, rpc.request(&Words::default(), &ids))
                .await;
            let answer = answer.without(&ids);
            if !rpc.is_built() && answer.code == Some(tonic::Code::Unimplemented) {
                continue;
            }
            if answer.reason != Reason::ScopeRequired.name() {
                findings.push(format!("{} for {user} of {org}: {answer:?}", rpc.path));
            }
            let first = first.get_or_insert_with(|| answer.clone());
            if *first != answer {
                findings.push(format!("{}: {first:?} and {answer:?} differ", rpc.path));
            }
        }
    }
    assert_none(
        "without act_as, all of these are SCOPE_REQUIRED, and alike:",
        &findings,
    );
    assert_eq!(town.state_of_ann().await, before);
}

#[tokio::test]
async fn one_who_may_acts_for_others_and_sees_theirs() {
    let town = Town::new().await;
    let rpc = Rpc::named("ListSessions");
    let ids = Fields::default()
        .with("org_id", "acme")
        .with("user_id", "ann");
    let request = rpc.request(&Words::default(), &ids);
    let answer = town.admin.call(&rpc, request).await;
    assert!(answer.told(&town.ann.marks).is_some(), "{answer:?}");
    assert!(answer.told(&town.bob.marks).is_none(), "{answer:?}");
}
