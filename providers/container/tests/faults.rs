//! Whatever the engine does wrong, callers get one kind of failure in time, and never its own text.
//! Time is the tests' own here, so that nobody waits.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

const TRANSPORT: sandgate_provider_container::Transport =
    sandgate_provider_container::Transport::Bridge;

use std::time::Duration;

use sandgate_kit::{CallContext, Kind, Page, Provider as _, ProviderError, Spec};
use sandgate_proto::{
    Outcome::{Ambiguous, Rejected},
    provider::v1::ProviderContext,
};
use sandgate_provider_container::Container;
use support::fake::{Act, Fake};
use tokio::time::Instant;

/// No single call may take longer, with all that it tries and takes back.
const DEADLINE: Duration = Duration::from_secs(240);
/// In everything that the engine says; nothing of it is for callers.
const RAW: &str = "RAW";
/// One of these tells what to do next.
const ADVICE: &[&str] = &[
    "try again",
    "start it",
    "wait",
    "choose",
    "check",
    "create",
    "delete",
    "log says why",
    "allow it",
    "logs say why",
    "remove it",
    "log and this provider's say why",
];

/// The engine did nothing; and nobody knows whether it did.
const SAFE: Kind = Kind::Unavailable(Rejected);
const UNSURE: Kind = Kind::Unavailable(Ambiguous);

/// What is asked of the provider.
#[derive(Clone, Copy, Debug)]
enum Call {
    Health,
    Capabilities,
    Get,
    List,
    Create,
    Start,
    Stop,
    Delete,
}

fn context() -> CallContext {
    let mut context = CallContext::from(ProviderContext::default());
    context.owner.gateway_id = "g".into();
    context.sandbox_id = support::id();
    context.generation = 1;
    context
}

async fn ask(provider: &Container, call: Call) -> Result<(), ProviderError> {
    let mut context = context();
    if matches!(call, Call::Get | Call::Start | Call::Stop) {
        context.provider_sandbox_id = "c1".into();
        // As `mine` has it.
        context.sandbox_id = "s".into();
    }
    let page = Page {
        after: String::new(),
        size: 9,
    };
    match call {
        Call::Health => provider.health().await,
        Call::Capabilities => provider.capabilities().await.map(drop),
        Call::Get => provider.get(&context).await.map(drop),
        Call::List => provider.list(&context, page).await.map(drop),
        Call::Create => Box::pin(provider.create(&context, Spec::default()))
            .await
            .map(drop),
        Call::Start => provider.start(&context).await.map(drop),
        Call::Stop => provider.stop(&context).await.map(drop),
        Call::Delete => provider.delete(&context).await,
    }
}

/// A container that is the sandbox of the context.
fn mine(status: &str) -> String {
    format!(
        r#"{{"Id":"c1","Image":"i1","State":{{"Status":"{status}"}},"Config":{{"Cmd":[],"Labels":{{
        "managed-by":"sandgate","sandgate.gateway_id":"g","sandgate.session_id":"","sandgate.sandbox_id":"s","sandgate.generation":"1"}}}}}}"#
    )
}

fn said(status: u16) -> Act {
    Act::Answer(status, format!(r#"{{"message":"{RAW} words"}}"#))
}

fn text(status: u16, words: &str) -> Act {
    Act::Answer(status, format!(r#"{{"message":"{RAW} {words}"}}"#))
}

fn garbage(status: u16) -> Act {
    Act::Answer(status, format!("<html>{RAW}</html>"))
}

/// Has one request go wrong, and looks at what the caller is told.
async fn told(call: Call, method: &'static str, part: &'static str, act: Act) -> ProviderError {
    let row = format!("{call:?}: {method} {part}: {act:?}");
    let mut rules = vec![(method, part, act)];
    match call {
        Call::Get | Call::Start => {
            rules.push(("GET", "/containers/c1/json", answer(&mine("exited"))));
        }
        Call::Stop => rules.push(("GET", "/containers/c1/json", answer(&mine("running")))),
        Call::Delete => rules.push(("GET", "/containers/json", answer(r#"[{"Id":"c1"}]"#))),
        _ => {}
    }
    let fake = Fake::start(rules);
    let provider = fake.provider().await;
    let begun = Instant::now();
    let error = ask(&provider, call).await.expect_err(&row);
    assert!(begun.elapsed() < DEADLINE, "{row}: {:?}", begun.elapsed());
    let asked = |request: &String| request.starts_with(method) && request.contains(part);
    assert!(fake.seen().iter().any(asked), "{row}: {:?}", fake.seen());
    let message = error.to_string();
    assert!(!message.contains(RAW), "{row}: {message}");
    let advises = ADVICE.iter().any(|advice| message.contains(advice));
    assert!(advises, "{row}: {message}");
    error
}

fn answer(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

async fn check(rows: Vec<(Call, &'static str, &'static str, Act, Kind)>) {
    for (call, method, part, act, expected) in rows {
        let row = format!("{call:?}: {method} {part}: {act:?}");
        let error = Box::pin(told(call, method, part, act)).await;
        assert_eq!(*error.kind(), expected, "{row}: {error}");
    }
}

const READS: &[(Call, &str, &str)] = &[
    (Call::Health, "GET", "/version"),
    (Call::Health, "GET", "/info"),
    (Call::Health, "GET", "/_ping"),
    (Call::Capabilities, "GET", "/info"),
    (Call::List, "GET", "/containers/json"),
    (Call::List, "GET", "/networks"),
    (Call::List, "GET", "/volumes"),
    (Call::Get, "GET", "/containers/c1/json"),
    (Call::Create, "GET", "/images/"),
    (Call::Create, "GET", "/networks"),
    (Call::Delete, "GET", "/containers/json"),
];

const CHANGES: &[(Call, &str, &str)] = &[
    (Call::Create, "POST", "/networks/create"),
    (Call::Create, "POST", "/containers/create?"),
    (Call::Create, "PUT", "/containers/c1/archive"),
    (Call::Create, "POST", "/containers/c1/start"),
    (Call::Start, "POST", "/containers/c1/start"),
    (Call::Stop, "POST", "/containers/c1/stop"),
    (Call::Delete, "DELETE", "/containers/c1"),
];

/// Whatever of this happens to a call, nobody knows what the engine did.
fn no_answers() -> Vec<Act> {
    vec![
        Act::Reset,
        Act::Hang,
        Act::Half,
        Act::Stall,
        Act::Noise,
        said(500),
        said(502),
        said(503),
        garbage(500),
        Act::Slow(Duration::from_secs(200), 200, "[]".into()),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_only_reads_is_safe_to_repeat() {
    for &(call, method, part) in READS {
        let mut acts = no_answers();
        if part != "/_ping" {
            acts.extend([garbage(200), Act::Answer(200, r#"[{"Id":"RAW"#.into())]);
        }
        let row = |act| (call, method, part, act, Kind::Unavailable(Rejected));
        Box::pin(check(acts.into_iter().map(row).collect())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_may_have_done_so() {
    for &(call, method, part) in CHANGES {
        let row = |act| (call, method, part, act, Kind::Unavailable(Ambiguous));
        let mut acts = no_answers();
        // Only these are answered with anything that is read.
        if part.ends_with("/create") || part.ends_with("/create?") {
            acts.extend([garbage(201), Act::Answer(201, r#"{"Id":"RAW"#.into())]);
        } else {
            acts.retain(|act| !matches!(act, Act::Half | Act::Stall));
        }
        Box::pin(check(acts.into_iter().map(row).collect())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_as_such() {
    for &(call, method, part) in READS.iter().chain(CHANGES) {
        for status in [400, 401, 403, 418] {
            check(vec![(call, method, part, said(status), Kind::Rejected)]).await;
        }
        check(vec![(call, method, part, said(429), Kind::RateLimited)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_there_already_is_told_by_what_it_is() {
    use Call::{Create, Delete, Get, Health, List, Start, Stop};
    const NAMED: &str = "/containers/create?name";
    const ONE: &str = "/containers/c1";
    let (busy, idle) = ("is already in progress", "is not running");
    let start = "/containers/c1/start";
    check(vec![
        // What answers there is no engine.
        (Health, "GET", "/version", said(404), Kind::Rejected),
        (List, "GET", "/containers/json", said(404), Kind::Rejected),
        (
            Create,
            "POST",
            "/networks/create",
            said(404),
            Kind::Rejected,
        ),
        (Get, "GET", "/c1/json", said(404), Kind::SandboxGone),
        (Stop, "POST", "/c1/stop", said(404), Kind::SandboxGone),
        // The image or the network went meanwhile.
        (Create, "POST", NAMED, said(404), SAFE),
        (Create, "POST", start, said(404), SAFE),
        (Start, "POST", start, said(404), SAFE),
        // The name is a stranger's.
        (Create, "POST", NAMED, said(409), Kind::Rejected),
        (
            Create,
            "POST",
            "/networks/create",
            said(409),
            Kind::Rejected,
        ),
        (Stop, "POST", "/c1/stop", text(409, idle), Kind::NotRunning),
        (Delete, "DELETE", ONE, text(409, busy), UNSURE),
    ])
    .await;
}

/// An answer to a pull, and what it means.
fn pulls() -> Vec<(Act, Kind)> {
    let image = || Kind::InvalidField("spec.image");
    let detail = |words| format!(r#"{{"errorDetail":{{"message":"RAW {words}"}}}}"#);
    let at_once = Duration::ZERO;
    vec![
        (text(404, "manifest unknown"), image()),
        (text(403, "denied"), image()),
        (text(500, "dial tcp: i/o timeout"), SAFE),
        (text(500, "toomanyrequests"), Kind::RateLimited),
        (said(429), Kind::RateLimited),
        (said(400), Kind::Rejected),
        (said(500), SAFE),
        (Act::Hang, SAFE),
        (Act::Reset, SAFE),
        (garbage(200), SAFE),
        (pulled(at_once, &[&detail("unauthorized")]), image()),
        (pulled(at_once, &[&detail("no space left")]), Kind::Rejected),
        // It ends too early; or says nothing for too long.
        (pulled(Duration::from_secs(100), &["{}\n", "{\"sta"]), SAFE),
        (pulled(Duration::from_secs(130), &["{}\n", "{}\n"]), SAFE),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_registries_say_through_the_engine_is_told() {
    for (act, expected) in pulls() {
        let row = format!("{act:?}");
        let absent = r#"{"message":"No such image"}"#;
        let fake = Fake::start(vec![
            ("GET", "/images/", Act::Answer(404, absent.into())),
            ("POST", "/images/create", act),
        ]);
        let created = ask(&fake.provider().await, Call::Create).await;
        let error = created.expect_err(&row);
        assert_eq!(*error.kind(), expected, "{row}: {error}");
        assert!(!error.to_string().contains(RAW), "{row}: {error}");
    }
}

fn pulled(pause: Duration, pieces: &[&str]) -> Act {
    let pieces = pieces.iter().map(|piece| (*piece).to_owned());
    Act::Progress(pause, pieces.collect())
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_was_never_asked() {
    let unasked = Kind::Unavailable(Rejected);
    let gone = |body: &str| Act::Last(200, body.to_owned());
    for (call, method, part, act) in [
        (Call::Health, "GET", "/info", gone(r#"{"ID":"e"}"#)),
        (Call::List, "GET", "/info", gone(r#"{"ID":"e"}"#)),
        (Call::Create, "GET", "/networks", gone("[]")),
        (
            Call::Delete,
            "GET",
            "/containers/json",
            gone(r#"[{"Id":"c1"}]"#),
        ),
    ] {
        check(vec![(call, method, part, act, unasked.clone())]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_engine_is_waited_for() {
    let slow = Act::Slow(Duration::from_secs(15), 200, "[]".into());
    let fake = Fake::start(vec![("GET", "/containers/json", slow)]);
    ask(&fake.provider().await, Call::List).await.unwrap();
}

/// What a create that was refused had made by then is taken back.
#[tokio::test(start_paused = true)]
async fn a_create_without_an_answer_is_taken_back() {
    let left = r#"[{"Id":"n1","Name":"n"}]"#;
    let fake = Fake::start(vec![
        ("POST", "/containers/create?name", Act::Reset),
        ("GET", "/networks?", answer(left)),
        (
            "GET",
            "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22sandgate.attempt",
            answer(r#"[{"Id":"c1"}]"#),
        ),
    ]);
    ask(&fake.provider().await, Call::Create).await.unwrap_err();
    let seen = fake.seen();
    for removed in ["DELETE /containers/c1?", "DELETE /networks/n1"] {
        let found = seen.iter().any(|request| request.starts_with(removed));
        assert!(found, "{removed}: {seen:#?}");
    }
}
