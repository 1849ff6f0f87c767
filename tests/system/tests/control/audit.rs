//! The audit log through its service.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use prost_types::Timestamp;
use sandgate_gateway::AuditArgs;
use sandgate_kit::Kind;
use sandgate_proto::{
    Reason,
    v1::{
        AuditEvent, CreateSessionRequest, DeleteSecretRequest, GetExecutionRequest,
        GetSessionRequest, IssueApiKeyRequest, ListAuditEventsRequest, ListAuditEventsResponse,
        ListSecretsRequest, RevokeApiKeyRequest, RunCommandRequest, SetSecretRequest,
        StartExecutionRequest, StopSandboxRequest, audit_service_client::AuditServiceClient,
    },
};
use sandgate_system::{
    Act, Caller, Op, Plan, World, assert_reason, eventually, framed, reason, uuid,
};
use serde_json::Value;
use tonic::Code;

const LIST: &str = "AuditService/ListAuditEvents";
const SET_SECRET: &str = "SecretService/SetSecret";
const RUN: &str = "SandboxService/RunCommand";
const START: &str = "ExecutionService/StartExecution";
const GET_SESSION: &str = "SessionService/GetSession";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn world() -> (World, Caller) {
    World::administered(Plan::default()).await
}

/// One page of events.
async fn page(caller: &Caller, request: &ListAuditEventsRequest) -> ListAuditEventsResponse {
    caller.call(LIST, request).await.message()
}

/// All events, newest first.
async fn events(caller: &Caller, request: &ListAuditEventsRequest) -> Vec<AuditEvent> {
    let (mut request, mut all) = (request.clone(), Vec::new());
    loop {
        let page = page(caller, &request).await;
        all.extend(page.events);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// Everything that the caller sees, once this many events are there; they have a second to come.
async fn soon(caller: &Caller, request: &ListAuditEventsRequest, count: usize) -> Vec<AuditEvent> {
    let begun = std::time::Instant::now();
    loop {
        let found = events(caller, request).await;
        if found.len() >= count {
            return found;
        }
        let late = begun.elapsed() > Duration::from_secs(1);
        assert!(!late, "{count} events are not there: {found:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Events of a method, by `Service/Rpc`.
fn of(method: &str) -> ListAuditEventsRequest {
    ListAuditEventsRequest {
        method: format!("sandbox.v1.{method}"),
        ..Default::default()
    }
}

fn about(session_id: &str) -> ListAuditEventsRequest {
    ListAuditEventsRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    }
}

fn secret(session_id: &str, name: &str) -> SetSecretRequest {
    SetSecretRequest {
        session_id: session_id.to_owned(),
        name: name.to_owned(),
        value: "hunter2".into(),
        ..Default::default()
    }
}

fn run(session_id: &str, sandbox_id: &str, execution_id: &str) -> RunCommandRequest {
    RunCommandRequest {
        session_id: session_id.to_owned(),
        sandbox_id: sandbox_id.to_owned(),
        execution_id: execution_id.to_owned(),
        command: "print hunter2".to_owned(),
        ..Default::default()
    }
}

/// Calls, and expects it to go well.
async fn succeed(caller: &Caller, rpc: &str, request: &impl prost::Message) {
    let status = caller.call(rpc, request).await.status();
    assert_eq!(status.code(), Code::Ok, "{rpc}: {status:?}");
}

/// What an event says of how it ended.
fn end(event: &AuditEvent) -> (&str, &str) {
    (&event.code, &event.reason)
}

fn names(events: &[AuditEvent]) -> Vec<&str> {
    let name = |event: &'_ AuditEvent| -> usize { event.method.rfind('/').unwrap() + 1 };
    events
        .iter()
        .map(|event| &event.method[name(event)..])
        .collect()
}

#[tokio::test]
async fn an_act_is_there_when_its_answer_is_with_all_that_is_said_of_it_and_no_more() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let session_id = ann.session().await;
    let request = SetSecretRequest {
        request_id: uuid(),
        ..secret(&session_id, "NAME")
    };
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let before = SystemTime::now() - Duration::from_millis(1);
    let headers = [("traceparent", parent.as_str())];
    let reply = ann.call_with(SET_SECRET, &headers, &request).await;
    assert_eq!(reply.status().code(), Code::Ok);
    let found = events(&ann, &of(SET_SECRET)).await;
    assert_eq!(found.len(), 1);
    let event = found[0].clone();
    let time = SystemTime::try_from(event.time.unwrap()).unwrap();
    assert!(before <= time && time <= SystemTime::now());
    let duration = Duration::try_from(event.duration.unwrap()).unwrap();
    assert!(!duration.is_zero() && duration < Duration::from_secs(20));
    assert!(event.event_id.len() == 36);
    let expected = AuditEvent {
        session_id,
        event_id: event.event_id.clone(),
        time: event.time,
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        principal: format!("key:{}", ann.api_key_id),
        method: "sandbox.v1.SecretService/SetSecret".to_owned(),
        target: "NAME".to_owned(),
        code: "OK".to_owned(),
        request_id: request.request_id,
        peer_address: "127.0.0.1".to_owned(),
        trace_id: TRACE.to_owned(),
        duration: event.duration,
        ..Default::default()
    };
    assert_eq!(event, expected);
}

#[tokio::test]
async fn what_a_call_made_is_in_its_event() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    let made = events(&ann, &about(&session_id)).await;
    assert_eq!(names(&made), ["CreateSandbox", "CreateSession"]);
    assert_eq!(made[0].sandbox_id, sandbox_id);
    let issued = events(&admin, &of("AdminService/IssueApiKey")).await;
    assert_eq!(issued[0].target, ann.api_key_id);
}

#[tokio::test]
async fn commands_are_there_within_a_second_with_the_sandbox_that_ran_them() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let session_id = ann.session().await;
    let reply = ann.create(&session_id, "build").await;
    let made: sandgate_proto::v1::CreateSandboxResponse = reply.message();
    let named = made.sandbox.unwrap().sandbox_id;
    succeed(&ann, RUN, &run(&session_id, "@build", "by-alias")).await;
    let reply = ann.call(RUN, &run(&session_id, "", "by-default")).await;
    let ran: sandgate_proto::v1::RunCommandResponse = reply.message();
    let start = StartExecutionRequest {
        session_id: session_id.clone(),
        sandbox_id: named.clone(),
        execution_id: "by-id".to_owned(),
        command: "print hunter2".to_owned(),
        ..Default::default()
    };
    succeed(&ann, START, &start).await;
    let seen = |event: &AuditEvent| {
        assert_eq!(end(event), ("OK", ""));
        assert_eq!(event.session_id, session_id);
        assert_eq!(event.user_id, "ann");
        (event.execution_id.clone(), event.sandbox_id.clone())
    };
    let ran_events: Vec<_> = soon(&ann, &of(RUN), 2).await.iter().map(seen).collect();
    assert_eq!(
        ran_events,
        [
            ("by-default".to_owned(), ran.sandbox_id),
            ("by-alias".to_owned(), named.clone())
        ]
    );
    let started: Vec<_> = soon(&ann, &of(START), 1).await.iter().map(seen).collect();
    assert_eq!(started, [("by-id".to_owned(), named.clone())]);

    // An act of the gateway's own knows its sandbox by the alias too.
    let stop = StopSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: "@build".to_owned(),
        ..Default::default()
    };
    succeed(&ann, "SandboxService/StopSandbox", &stop).await;
    let stopped = events(&ann, &of("SandboxService/StopSandbox")).await;
    assert_eq!(stopped[0].sandbox_id, named);
}

/// Looks of three kinds.
fn looks(session_id: &str, sandbox_id: &str) -> [(&'static str, bytes::Bytes); 3] {
    let get = GetSessionRequest {
        session_id: session_id.to_owned(),
    };
    let execution = GetExecutionRequest {
        session_id: session_id.to_owned(),
        sandbox_id: sandbox_id.to_owned(),
        execution_id: "e".to_owned(),
    };
    let secrets = ListSecretsRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    [
        (GET_SESSION, framed(&get)),
        ("ExecutionService/GetExecution", framed(&execution)),
        ("SecretService/ListSecrets", framed(&secrets)),
    ]
}

/// What refused looks are in the log as, the last one first.
async fn refused_looks(
    caller: &Caller,
    session_id: &str,
    sandbox_id: &str,
) -> Vec<(String, String, String)> {
    let list = framed(&ListAuditEventsRequest::default());
    let mut refused = Vec::new();
    for (rpc, body) in looks(session_id, sandbox_id)
        .into_iter()
        .chain([(LIST, list)])
    {
        let (_, reason) = reason(&caller.send(rpc, &[], body).await.status());
        let code = match reason.as_str() {
            "SESSION_NOT_FOUND" => "NOT_FOUND",
            "SCOPE_REQUIRED" => "PERMISSION_DENIED",
            _ => "UNAUTHENTICATED",
        };
        refused.insert(0, (format!("sandbox.v1.{rpc}"), code.to_owned(), reason));
    }
    refused
}

fn outcomes(events: &[AuditEvent]) -> Vec<(String, String, String)> {
    let outcome = |event: &AuditEvent| {
        let (code, reason) = end(event);
        (event.method.clone(), code.to_owned(), reason.to_owned())
    };
    events.iter().map(outcome).collect()
}

#[tokio::test]
async fn looks_are_not_there() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    succeed(&ann, RUN, &run(&session_id, &sandbox_id, "e")).await;
    for (rpc, body) in looks(&session_id, &sandbox_id) {
        let status = ann.send(rpc, &[], body).await.status();
        assert_eq!(status.code(), Code::Ok, "{rpc}: {status:?}");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let found = soon(&ann, &about(&session_id), 3).await;
    let acts = ["RunCommand", "CreateSandbox", "CreateSession"];
    assert_eq!(names(&found), acts);
}

#[tokio::test]
async fn looks_that_were_refused_are_there() {
    let (world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    let bob = admin.issue("bob", &["executions.read"]).await;
    let eve = Caller::connect(world.gateway, "no such key").await;
    let by_bob = refused_looks(&bob, &session_id, &sandbox_id).await;
    let by_eve = refused_looks(&eve, &session_id, &sandbox_id).await;

    let of_bob = ListAuditEventsRequest {
        org_id: "acme".to_owned(),
        user_id: "bob".to_owned(),
        ..Default::default()
    };
    let mut of_bob = soon(&admin, &of_bob, 5).await;
    // The oldest is that the key was issued.
    assert_eq!(names(&of_bob).last(), Some(&"IssueApiKey"));
    of_bob.pop();
    assert_eq!(outcomes(&of_bob), by_bob);
    let refused = |reason: &str| by_bob.iter().filter(|look| look.2 == reason).count();
    assert_eq!(
        (refused("SESSION_NOT_FOUND"), refused("SCOPE_REQUIRED")),
        (3, 1)
    );
    // Whoever asked in vain for a session is named; whose it is, is not told.
    let foreign = of_bob.iter().filter(|event| event.session_id == session_id);
    assert_eq!(foreign.count(), 3);
    let of_ann = events(&ann, &about(&session_id)).await;
    assert_eq!(names(&of_ann), ["CreateSandbox", "CreateSession"]);

    let of_nobody = ListAuditEventsRequest {
        code: "UNAUTHENTICATED".to_owned(),
        ..Default::default()
    };
    let of_nobody = soon(&admin, &of_nobody, 4).await;
    assert_eq!(outcomes(&of_nobody), by_eve);
    for event in &of_nobody {
        assert_eq!(event.reason, "AUTHENTICATION_REQUIRED");
        assert_eq!((&event.principal[..], &event.org_id[..]), ("", ""));
        assert_eq!(event.peer_address, "127.0.0.1");
    }
}

#[tokio::test]
async fn acts_that_fail_have_a_code_and_a_reason() {
    let (world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    let delete = DeleteSecretRequest {
        session_id: session_id.clone(),
        name: "MISSING".to_owned(),
        ..Default::default()
    };
    let delete_secret = "SecretService/DeleteSecret";
    let status = ann.call(delete_secret, &delete).await.status();
    assert_reason(&status, Reason::SecretNotFound, "");
    let found = events(&ann, &of(delete_secret)).await;
    assert_eq!(end(&found[0]), ("NOT_FOUND", "SECRET_NOT_FOUND"));
    assert_eq!(found[0].target, "MISSING");

    world.fake.set(Op::Create, Act::Fail(Kind::Rejected));
    ann.create(&session_id, "").await;
    let found = events(&ann, &of("SandboxService/CreateSandbox")).await;
    let rejected = ("FAILED_PRECONDITION", "UPSTREAM_REJECTED");
    assert_eq!(end(&found[0]), rejected);

    // One that only the provider refuses.
    let neither = RunCommandRequest {
        command: String::new(),
        ..run(&session_id, &sandbox_id, "e")
    };
    let status = ann.call(RUN, &neither).await.status();
    assert_reason(&status, Reason::InvalidField, "");
    let found = soon(&ann, &of(RUN), 1).await;
    assert_eq!(end(&found[0]), ("INVALID_ARGUMENT", "INVALID_FIELD"));
    assert_eq!(found[0].sandbox_id, sandbox_id);
}

#[tokio::test]
async fn an_act_that_its_caller_gives_up_is_there_too() {
    let (world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let session_id = ann.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let (caller, session) = (ann.clone(), session_id.clone());
    let hanging = tokio::spawn(async move { caller.create(&session, "").await });
    eventually("the provider is asked", || {
        world.fake.pending(Op::Create) == 1
    })
    .await;
    hanging.abort();
    let create = of("SandboxService/CreateSandbox");
    let found = soon(&ann, &create, 1).await;
    assert_eq!(found.len(), 1);
    assert_eq!(end(&found[0]), ("CANCELLED", "CANCELLED"));
    assert_eq!(found[0].session_id, session_id);
    // The work itself goes on, and is no other act.
    world.fake.mend(Op::Create);
    eventually("the sandbox is there", || world.fake.sandboxes().len() == 1).await;
    assert_eq!(events(&ann, &create).await.len(), 1);
}

#[tokio::test]
async fn acts_for_another_are_listed_for_that_one_with_the_key_that_did_them() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let scopes = [
        "act_as",
        "audit.read",
        "sessions.write",
        "sandboxes.write",
        "executions.write",
        "secrets.write",
    ];
    let backend = admin.issue("backend", &scopes).await;
    let request = CreateSessionRequest {
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        ..Default::default()
    };
    let session_id = backend.session_as(request).await;
    succeed(&backend, SET_SECRET, &secret(&session_id, "NAME")).await;
    succeed(&backend, RUN, &run(&session_id, "", "e")).await;
    let all = ListAuditEventsRequest::default();
    let found = soon(&ann, &all, 4).await;
    let acts = ["RunCommand", "SetSecret", "CreateSession", "IssueApiKey"];
    assert_eq!(names(&found), acts);
    for event in &found[..3] {
        assert_eq!(event.principal, format!("key:{}", backend.api_key_id));
        assert_eq!((&event.org_id[..], &event.user_id[..]), ("acme", "ann"));
    }
    assert_eq!(names(&events(&backend, &all).await), ["IssueApiKey"]);
    let of_ann = ListAuditEventsRequest {
        user_id: "ann".to_owned(),
        ..all
    };
    assert_eq!(events(&backend, &of_ann).await, found);
}

/// A user who did several things in two sessions, and all that there is of that.
struct Busy {
    ann: Caller,
    session_id: String,
    sandbox_id: String,
    all: Vec<AuditEvent>,
}

impl Busy {
    async fn new(admin: &Caller) -> Self {
        let ann = admin.issue("ann", &[]).await;
        let ((session_id, sandbox_id), other) = (ann.pair().await, ann.pair().await);
        succeed(&ann, SET_SECRET, &secret(&session_id, "ONE")).await;
        let refused = ann.call(SET_SECRET, &secret(&session_id, "not good")).await;
        assert_reason(&refused.status(), Reason::InvalidField, "name");
        succeed(&ann, SET_SECRET, &secret(&other.0, "TWO")).await;
        succeed(&ann, RUN, &run(&session_id, &sandbox_id, "e")).await;
        let all = soon(&ann, &ListAuditEventsRequest::default(), 9).await;
        assert_eq!(all.len(), 9);
        Self {
            ann,
            session_id,
            sandbox_id,
            all,
        }
    }

    /// The request finds those that it should, and not all.
    async fn expect(&self, request: ListAuditEventsRequest, keep: impl Fn(&AuditEvent) -> bool) {
        let kept = self.all.iter().filter(|event| keep(event));
        let expected: Vec<_> = kept.cloned().collect();
        assert!(!expected.is_empty() && expected.len() < self.all.len());
        let found = events(&self.ann, &request).await;
        assert_eq!(found, expected, "{request:?}");
    }
}

fn at(time: Option<Timestamp>) -> (i64, i32) {
    let time = time.unwrap();
    (time.seconds, time.nanos)
}

#[tokio::test]
async fn filters_add_up() {
    let (_world, admin) = world().await;
    let busy = Busy::new(&admin).await;
    let all = ListAuditEventsRequest::default();
    let session_id = &busy.session_id;
    busy.expect(about(session_id), |event| event.session_id == *session_id)
        .await;
    let of_sandbox = ListAuditEventsRequest {
        sandbox_id: busy.sandbox_id.clone(),
        ..all.clone()
    };
    busy.expect(of_sandbox, |event| event.sandbox_id == busy.sandbox_id)
        .await;
    let set = |event: &AuditEvent| event.method.ends_with(SET_SECRET);
    busy.expect(of(SET_SECRET), set).await;
    let failed = ListAuditEventsRequest {
        code: "INVALID_ARGUMENT".to_owned(),
        ..all.clone()
    };
    busy.expect(failed, |event| event.code == "INVALID_ARGUMENT")
        .await;
    let middle = busy.all[3].time;
    let before = ListAuditEventsRequest {
        end_time: middle,
        ..all.clone()
    };
    busy.expect(before, |event| at(event.time) < at(middle))
        .await;
    let since = ListAuditEventsRequest {
        start_time: middle,
        ..all
    };
    busy.expect(since, |event| at(event.time) >= at(middle))
        .await;
    let several = ListAuditEventsRequest {
        code: "OK".to_owned(),
        session_id: session_id.clone(),
        ..of(SET_SECRET)
    };
    busy.expect(several, |event| {
        event.code == "OK" && event.session_id == *session_id && set(event)
    })
    .await;
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let (_world, admin) = world().await;
    let Busy { ann, all, .. } = Busy::new(&admin).await;
    assert!(all.is_sorted_by_key(|event| std::cmp::Reverse(at(event.time))));
    let paged = ListAuditEventsRequest {
        page_size: 4,
        ..Default::default()
    };
    assert_eq!(events(&ann, &paged).await, all);
    let first = page(&ann, &paged).await;
    assert_eq!(first.events, all[..4]);
    // A token holds for its own list alone.
    let stolen = ListAuditEventsRequest {
        page_token: first.next_page_token,
        ..paged
    };
    let bob = admin.issue("bob", &[]).await;
    let refused = bob.call(LIST, &stolen).await.status();
    assert_reason(&refused, Reason::InvalidField, "page_token");
}

#[tokio::test]
async fn others_events_are_for_operators_alone() {
    let (_world, admin) = world().await;
    let (ann, bob) = (admin.issue("ann", &[]).await, admin.issue("bob", &[]).await);
    let session_id = ann.session().await;
    bob.session().await;
    let all = ListAuditEventsRequest::default();
    let users = |events: Vec<AuditEvent>| -> BTreeSet<String> {
        events.into_iter().map(|event| event.user_id).collect()
    };
    let everybody = ["ann", "bob"].map(str::to_owned).into();
    assert_eq!(users(events(&admin, &all).await), everybody);
    assert_eq!(users(events(&bob, &all).await), ["bob".to_owned()].into());
    assert!(events(&bob, &about(&session_id)).await.is_empty());
    let of_ann = ListAuditEventsRequest {
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        ..all
    };
    assert_eq!(
        users(events(&admin, &of_ann).await),
        ["ann".to_owned()].into()
    );
    let refused = bob.call(LIST, &of_ann).await.status();
    assert_reason(&refused, Reason::ScopeRequired, "act_as");

    // What somebody tries in vain is not put down to the one it names.
    let issue = IssueApiKeyRequest {
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        ..Default::default()
    };
    let rpc = "AdminService/IssueApiKey";
    let refused = bob.call(rpc, &issue).await.status();
    assert_reason(&refused, Reason::ScopeRequired, "admin");
    let tried = &events(&bob, &of(rpc)).await[0];
    assert_eq!(end(tried), ("PERMISSION_DENIED", "SCOPE_REQUIRED"));
    assert_eq!(tried.principal, format!("key:{}", bob.api_key_id));
}

/// The objects of a file, each on a line of its own.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let parsed = text.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().unwrap()
}

/// An event as it stands in the file; what is empty is left out.
fn line(event: &AuditEvent) -> Value {
    let texts = [
        ("session_id", &event.session_id),
        ("sandbox_id", &event.sandbox_id),
        ("execution_id", &event.execution_id),
        ("event_id", &event.event_id),
        ("org_id", &event.org_id),
        ("user_id", &event.user_id),
        ("principal", &event.principal),
        ("method", &event.method),
        ("target", &event.target),
        ("code", &event.code),
        ("reason", &event.reason),
        ("request_id", &event.request_id),
        ("peer_address", &event.peer_address),
        ("trace_id", &event.trace_id),
        ("time", &event.time.unwrap().to_string()),
        ("duration", &event.duration.unwrap().to_string()),
    ]
    .map(|(name, text)| (name.to_owned(), Value::from(text.as_str())));
    assert!(event.details.is_empty());
    let there = |(_, text): &(String, Value)| text != "";
    Value::Object(texts.into_iter().filter(there).collect())
}

#[tokio::test]
async fn the_file_holds_the_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (_world, admin) = World::administered(Plan {
        audit: AuditArgs {
            audit_file: Some(path.clone()),
            ..AuditArgs::default()
        },
        ..Plan::default()
    })
    .await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    succeed(&ann, SET_SECRET, &secret(&session_id, "NAME")).await;
    let odd = secret(&session_id, "two\nlines \"quoted\"");
    ann.call(SET_SECRET, &odd).await;
    succeed(&ann, RUN, &run(&session_id, &sandbox_id, "e")).await;
    let all = ListAuditEventsRequest::default();
    let mut listed = soon(&admin, &all, 6).await;
    listed.reverse();
    eventually("all are in the file", || lines(&path).len() >= listed.len()).await;
    let expected: Vec<_> = listed.iter().map(line).collect();
    assert_eq!(lines(&path), expected);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let moved = folder.path().join("audit.jsonl.1");
    std::fs::rename(&path, &moved).unwrap();
    succeed(&ann, SET_SECRET, &secret(&session_id, "LATER")).await;
    eventually("it is made anew", || lines(&path).len() == 1).await;
    assert_eq!(lines(&path)[0]["target"], "LATER");
    assert_eq!(lines(&moved).len(), listed.len());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_key_in_the_wrong_place_is_not_kept_and_nothing_too_long() {
    let (_world, admin) = world().await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    let key = ann.authorization.trim_start_matches("Bearer ").to_owned();
    let revoke = RevokeApiKeyRequest {
        api_key_id: key.clone(),
        ..Default::default()
    };
    let status = admin.call("AdminService/RevokeApiKey", &revoke).await;
    assert_reason(&status.status(), Reason::InvalidField, "api_key_id");
    let long = "x".repeat(100_000);
    let named = SetSecretRequest {
        request_id: long.clone(),
        ..secret(&session_id, &long)
    };
    ann.call(SET_SECRET, &named).await;
    ann.call(RUN, &run(&session_id, &sandbox_id, &long)).await;
    let found = soon(&admin, &ListAuditEventsRequest::default(), 6).await;
    assert_eq!(found[2].target, key[..20]);
    for event in found {
        let said = format!("{event:?}");
        assert!(!said.contains(&key[20..]), "{said}");
        assert!(
            said.len() < 4096,
            "{} bytes of {}",
            said.len(),
            event.method
        );
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused_with_its_field() {
    let world = World::start().await;
    let mut audit = AuditServiceClient::new(world.client().await.channel);
    let refused = [
        (
            ListAuditEventsRequest {
                page_token: "rubbish".into(),
                ..Default::default()
            },
            "page_token",
        ),
        (
            ListAuditEventsRequest {
                sandbox_id: "@alias".into(),
                ..Default::default()
            },
            "sandbox_id",
        ),
        (
            ListAuditEventsRequest {
                start_time: Some(Timestamp {
                    seconds: -1,
                    nanos: 0,
                }),
                ..Default::default()
            },
            "start_time",
        ),
    ];
    for (request, field) in refused {
        let status = audit.list_audit_events(request).await.unwrap_err();
        assert_reason(&status, Reason::InvalidField, field);
    }
}

#[tokio::test]
async fn nothing_is_found_about_a_session_that_never_was() {
    let world = World::start().await;
    let mut audit = AuditServiceClient::new(world.client().await.channel);
    let request = ListAuditEventsRequest {
        session_id: uuid(),
        ..Default::default()
    };
    let found = audit.list_audit_events(request).await.unwrap().into_inner();
    assert!(found.events.is_empty() && found.next_page_token.is_empty());
}
