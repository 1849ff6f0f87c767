//! What is another's looks exactly like what does not exist.

use sandgate_system::{Fields, Op, Rpc, Words};
use tonic::Code;

use crate::{
    answer::Answer,
    assert_none,
    people::{Person, Town, unknown},
};

/// Filters over what may be gone: nobody can tell that from what never was, so an empty list is as
/// good an answer as NOT_FOUND, if it is the same for both.
const HISTORY: [(&str, &str); 4] = [
    ("ListAuditEvents", "session_id"),
    ("ListAuditEvents", "sandbox_id"),
    ("ListSessions", "agent_id"),
    ("ListSessions", "harness_id"),
];

/// Operators' things: the scope is what keeps others away, whatever they name.
const OPERATORS: &str = "api_key_id";

/// One way to name something of ann's.
struct Case {
    what: String,
    field: &'static str,
    foreign: Fields,
    unknown: Fields,
}

/// Makes the cases of one rpc: ids of ann's, and unknown ones, among the caller's own.
struct Asked<'a> {
    rpc: &'a Rpc,
    own: &'a Person,
    ann: &'a Person,
    never: Fields,
    cases: Vec<Case>,
}

impl Asked<'_> {
    fn has(&self, field: &str) -> bool {
        self.rpc.looks_up(field)
    }

    /// With these fields swapped for ann's.
    fn add(&mut self, what: &str, field: &'static str, names: &[&str]) {
        self.add_named(what, field, names, None);
    }

    /// The same, with the sandbox named by these aliases.
    fn add_named(
        &mut self,
        what: &str,
        field: &'static str,
        names: &[&str],
        aliases: Option<[&str; 2]>,
    ) {
        let swapped = |with: &Fields, alias: Option<&str>| {
            let mut all = self.own.ids.clone().with_all(names, with);
            if let Some(alias) = alias {
                all = all.with("sandbox_id", alias);
            }
            let asked = all.iter().filter(|(name, _)| self.has(name));
            asked.fold(Fields::default(), |all, (name, id)| all.with(name, id))
        };
        let case = Case {
            what: format!("{} by {}, {what}", self.rpc.path, self.own.user),
            field,
            foreign: swapped(&self.ann.ids, aliases.map(|aliases| aliases[0])),
            unknown: swapped(&self.never, aliases.map(|aliases| aliases[1])),
        };
        self.cases.push(case);
    }
}

/// Every way in which this rpc can be asked for something of ann's, with the caller's own things in
/// all other places.
fn cases(rpc: &Rpc, own: &Person, ann: &Person) -> Vec<Case> {
    const ALL: [&str; 3] = ["session_id", "sandbox_id", "execution_id"];
    let mut asked = Asked {
        rpc,
        own,
        ann,
        never: unknown(&ann.ids),
        cases: Vec::new(),
    };
    if asked.has("session_id") {
        asked.add("all of ann's", "session_id", &ALL);
        asked.add("ann's session, own things", "session_id", &ALL[..1]);
    }
    if asked.has("sandbox_id") {
        asked.add("own session, ann's sandbox", "sandbox_id", &ALL[1..]);
        let alias = format!("@{}", ann.alias);
        let never = format!("@{}", "x".repeat(ann.alias.len()));
        let aliases = Some([alias.as_str(), never.as_str()]);
        asked.add_named("own session, ann's alias", "sandbox_id", &ALL[2..], aliases);
        asked.add_named("all of ann's, by alias", "sandbox_id", &ALL, aliases);
    }
    for (field, what) in [
        ("execution_id", "own sandbox, ann's execution"),
        ("agent_id", "ann's agent"),
        ("harness_id", "ann's harness"),
        (OPERATORS, "ann's key"),
    ] {
        let agents = field == "agent_id" || field == "harness_id";
        // Those are the organisation's.
        if asked.has(field) && !(agents && own.org == ann.org) {
            asked.add(what, field, &[field]);
        }
    }
    asked.cases
}

/// What is wrong with a pair of answers.
fn finding(
    rpc: &Rpc,
    case: &Case,
    foreign: &Answer,
    other: &Answer,
    marks: &[String],
) -> Option<String> {
    let what = &case.what;
    if foreign != other {
        return Some(format!(
            "{what}:\n    foreign {foreign:?}\n    unknown {other:?}"
        ));
    }
    if let Some(mark) = foreign.told(marks) {
        return Some(format!("{what}: tells {mark}: {foreign:?}"));
    }
    let filter = HISTORY.contains(&(rpc.name, case.field));
    let right = match foreign.code {
        Some(Code::NotFound) => true,
        Some(Code::Unimplemented) => !rpc.is_built(),
        Some(Code::PermissionDenied) => case.field == OPERATORS,
        Some(Code::Ok) => filter && foreign.is_empty_list(),
        // Only the sandbox knows its executions, and it is asked with well-formed requests only.
        Some(Code::InvalidArgument) => filter || case.field == "execution_id",
        _ => false,
    };
    (!right).then(|| format!("{what}: neither may be answered like this: {foreign:?}"))
}

async fn walk(
    town: &Town,
    own: &Person,
    request: impl Fn(&Rpc, &Fields) -> bytes::Bytes,
) -> Vec<String> {
    let ann = &town.ann;
    let mut marks = ann.marks.clone();
    if own.org != ann.org {
        marks.extend(ann.agent_marks.clone());
    }
    let mut findings = Vec::new();
    for rpc in Rpc::all() {
        for case in cases(&rpc, own, ann) {
            let foreign = own.caller.call(&rpc, request(&rpc, &case.foreign)).await;
            let other = own.caller.call(&rpc, request(&rpc, &case.unknown)).await;
            let foreign = foreign.without(&case.foreign);
            let other = other.without(&case.unknown);
            findings.extend(finding(&rpc, &case, &foreign, &other, &marks));
        }
    }
    findings
}

#[tokio::test]
async fn what_is_anothers_looks_like_what_is_not_there() {
    let town = Town::new().await;
    let before = town.state_of_ann().await;
    let words = Words::default();
    for own in [&town.bob, &town.carl] {
        let findings = walk(&town, own, |rpc, ids| rpc.request(&words, ids)).await;
        assert_none(
            "a stranger can tell that something exists, or reach it:",
            &findings,
        );
    }
    assert_eq!(town.state_of_ann().await, before);
    for op in [
        Op::Create,
        Op::Get,
        Op::Start,
        Op::Stop,
        Op::Delete,
        Op::Reach,
        Op::Exec,
    ] {
        for call in town.world.fake.calls(op) {
            if call.context.sandbox_id == town.ann.ids.get("sandbox_id") {
                assert_eq!(
                    call.context.owner.session_id,
                    town.ann.ids.get("session_id")
                );
            }
        }
    }
}

#[tokio::test]
async fn malformed_fields_do_not_tell_them_apart_either() {
    let town = Town::new().await;
    let before = town.state_of_ann().await;
    for own in [&town.bob, &town.carl] {
        let findings = walk(&town, own, Rpc::broken).await;
        assert_none("whose it is comes before what is malformed:", &findings);
    }
    assert_eq!(town.state_of_ann().await, before);
}

#[tokio::test]
async fn ones_own_ids_are_found() {
    let town = Town::new().await;
    // Without it, a gateway that answers NOT_FOUND to everybody would pass.
    let mut found = 0;
    for own in [&town.ann, &town.bob, &town.carl] {
        for name in [
            "GetSession",
            "GetSandbox",
            "GetExecution",
            "GetAgent",
            "ListSecrets",
            "ListSessionFiles",
        ] {
            let rpc = Rpc::named(name);
            let answer = own
                .caller
                .call(&rpc, rpc.request(&Words::default(), &own.ids))
                .await;
            if rpc.is_built() {
                assert!(answer.is_fine(), "{} by {}: {answer:?}", rpc.path, own.user);
                found += 1;
            }
        }
    }
    assert!(found >= 15, "{found}");
    let rpc = Rpc::named("GetAgent");
    let request = rpc.request(&Words::default(), &town.ann.ids);
    let answer = town.bob.caller.call(&rpc, request).await;
    assert!(
        answer.is_fine(),
        "an agent is its organisation's: {answer:?}"
    );
}
