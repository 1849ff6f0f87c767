//! Secrets in the environment of commands: named by callers, resolved here, sent with the call.

use std::collections::BTreeMap;

use prost::Message;
use sandgate_proto::{
    Reason,
    provider::v1::GatewayPayload,
    v1::{
        CreateSandboxRequest, ExecRequest, ListSandboxesRequest, RunCommandRequest, SandboxSpec,
        StartExecutionRequest,
    },
};
use sandgate_system::{Client, Op, Raw, Reply, World, assert_reason, fact, frame, uuid};
use tonic::{Code, Status};

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";
const RUN: &str = "/sandbox.v1.SandboxService/RunCommand";
const START: &str = "/sandbox.v1.ExecutionService/StartExecution";
/// A field that nobody knows, behind a message.
const UNKNOWN: &[u8] = b"\xba\x3e\x03new";

type Names = BTreeMap<String, String>;

struct Stand {
    world: World,
    client: Client,
    raw: Raw,
    session_id: String,
    sandbox_id: String,
}

fn names(pairs: &[(&str, &str)]) -> Names {
    let owned = |(name, secret): &(&str, &str)| ((*name).to_owned(), (*secret).to_owned());
    pairs.iter().map(owned).collect()
}

fn spec(secret_env: &[(&str, &str)]) -> Option<SandboxSpec> {
    Some(SandboxSpec {
        secret_env: names(secret_env).into_iter().collect(),
        ..Default::default()
    })
}

impl Stand {
    /// A sandbox with this in its spec, and secrets A and B.
    async fn new(secret_env: &[(&str, &str)]) -> Self {
        let world = World::tapped().await;
        let client = world.client().await;
        let session_id = client.session().await;
        for name in ["A", "B"] {
            let value = format!("value of {name}");
            client.set_secret(&session_id, name, value).await;
        }
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            spec: spec(secret_env),
            ..Default::default()
        };
        let made = client.create(request).await.unwrap().sandbox.unwrap();
        let raw = world.raw().await;
        Self {
            world,
            client,
            raw,
            session_id,
            sandbox_id: made.sandbox_id,
        }
    }

    fn exec(&self, secret_env: &[(&str, &str)]) -> ExecRequest {
        ExecRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            command: "print x".to_owned(),
            secret_env: names(secret_env).into_iter().collect(),
            ..Default::default()
        }
    }

    /// The three calls that start a command, encoded.
    fn calls(&self, secret_env: &[(&str, &str)]) -> [(&'static str, Vec<u8>); 3] {
        let exec = self.exec(secret_env);
        let run = RunCommandRequest {
            session_id: exec.session_id.clone(),
            sandbox_id: exec.sandbox_id.clone(),
            command: exec.command.clone(),
            secret_env: exec.secret_env.clone(),
            ..Default::default()
        };
        let start = StartExecutionRequest {
            session_id: exec.session_id.clone(),
            sandbox_id: exec.sandbox_id.clone(),
            command: exec.command.clone(),
            secret_env: exec.secret_env.clone(),
            ..Default::default()
        };
        [
            (EXEC, exec.encode_to_vec()),
            (RUN, run.encode_to_vec()),
            (START, start.encode_to_vec()),
        ]
    }

    async fn send(&self, path: &str, message: &[u8]) -> Reply {
        self.raw.call(path, &[], frame(0, message)).await
    }

    async fn refused(&self, path: &str, message: &[u8]) -> Status {
        let before = self.sent(path).len();
        let status = self.send(path, message).await.status();
        assert_eq!(self.sent(path).len(), before, "it was sent on");
        status
    }

    /// The messages of this rpc that the provider got.
    fn sent(&self, path: &str) -> Vec<bytes::Bytes> {
        let (_, rpc) = path.rsplit_once('/').unwrap();
        let seen = self.world.tap().seen(rpc);
        seen.iter().map(|seen| seen.message()).collect()
    }

    /// What the provider got of a call behind the caller's bytes.
    async fn payload(&self, path: &str, message: &[u8]) -> GatewayPayload {
        let reply = self.send(path, message).await;
        assert_eq!(reply.status().code(), Code::Ok, "{path}");
        let sent = self.sent(path).pop().unwrap();
        assert_eq!(&sent[..message.len()], message, "{path}: other bytes");
        payload(&sent)
    }
}

/// Field 1000 has its number in all three calls.
fn payload(message: &[u8]) -> GatewayPayload {
    let decoded = ExecRequest::decode(message).unwrap();
    GatewayPayload::decode(decoded.gateway_payload).unwrap()
}

fn shown(values: &BTreeMap<String, bytes::Bytes>) -> Names {
    let text = |value: &bytes::Bytes| String::from_utf8(value.to_vec()).unwrap();
    values
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[tokio::test]
async fn values_come_behind_the_callers_bytes_whatever_call_starts_the_command() {
    let stand = Stand::new(&[("SPEC", "A"), ("BOTH", "A")]).await;
    let asked = [("ONE", "A"), ("TWO", "B"), ("BOTH", "B"), ("AGAIN", "A")];
    for (path, mut message) in stand.calls(&asked) {
        message.extend(UNKNOWN);
        let got = stand.payload(path, &message).await;
        let (a, b) = ("value of A", "value of B");
        let of_request = names(&[("AGAIN", a), ("BOTH", b), ("ONE", a), ("TWO", b)]);
        assert_eq!(shown(&got.secret_env), of_request, "{path}");
        let of_spec = names(&[("BOTH", a), ("SPEC", a)]);
        assert_eq!(shown(&got.spec_secret_env), of_spec, "{path}");
        assert_eq!(got.git, None);
    }
    for call in stand.world.fake.calls(Op::Exec) {
        let env = call.start.unwrap().env;
        let last = |name: &[u8]| env.iter().rfind(|pair| pair.starts_with(name)).unwrap();
        assert_eq!(last(b"BOTH="), &b"BOTH=value of B"[..]);
        assert_eq!(last(b"SPEC="), &b"SPEC=value of A"[..]);
    }
}

#[tokio::test]
async fn where_nothing_is_asked_for_nothing_is_added() {
    let stand = Stand::new(&[]).await;
    for (path, mut message) in stand.calls(&[]) {
        message.extend(UNKNOWN);
        stand.payload(path, &message).await;
        assert_eq!(stand.sent(path).pop().unwrap(), message, "{path}");
    }
    let stand = Stand::new(&[("SPEC", "B")]).await;
    for (path, message) in stand.calls(&[]) {
        let got = stand.payload(path, &message).await;
        let of_spec = names(&[("SPEC", "value of B")]);
        assert_eq!(shown(&got.spec_secret_env), of_spec, "{path}");
        assert!(got.secret_env.is_empty());
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named_and_nothing_is_sent() {
    let stand = Stand::new(&[("SPEC", "A")]).await;
    for (path, message) in stand.calls(&[("X", "B"), ("Y", "MISSING")]) {
        let status = stand.refused(path, &message).await;
        assert_reason(&status, Reason::SecretNotFound, "SetSecret");
        assert_eq!(fact(&status, "name").as_deref(), Some("MISSING"));
    }
    stand.client.delete_secret(&stand.session_id, "A").await;
    for (path, message) in stand.calls(&[]) {
        let status = stand.refused(path, &message).await;
        assert_reason(&status, Reason::SecretNotFound, "SetSecret");
        assert_eq!(fact(&status, "name").as_deref(), Some("A"));
    }
    // A secret of another session of the same user is none of this one's.
    let other = stand.client.session().await;
    stand.client.set_secret(&other, "A", "of another").await;
    let (path, message) = &stand.calls(&[])[0];
    let status = stand.refused(path, message).await;
    assert_reason(&status, Reason::SecretNotFound, "");
    assert_eq!(stand.world.fake.count(Op::Exec), 0);
}

#[tokio::test]
async fn a_changed_value_is_in_the_next_call() {
    let stand = Stand::new(&[("SPEC", "A")]).await;
    let (path, message) = &stand.calls(&[("ASKED", "B")])[1];
    let beside = stand.world.beside().await;
    let other = Client::connect(beside.address()).await;
    for round in 0..10 {
        let by = if round % 2 == 0 {
            &stand.client
        } else {
            &other
        };
        let value = format!("value {round}");
        for name in ["A", "B"] {
            by.set_secret(&stand.session_id, name, value.clone()).await;
        }
        let got = stand.payload(path, message).await;
        assert_eq!(got.secret_env["ASKED"], value);
        assert_eq!(got.spec_secret_env["SPEC"], value);
    }
}

#[tokio::test]
async fn too_much_is_refused_and_a_full_message_with_a_full_payload_passes() {
    let stand = Stand::new(&[("SPEC", "A")]).await;
    for name in ["A", "B", "C", "D"] {
        let large = vec![b'x'; 63 << 10];
        stand
            .client
            .set_secret(&stand.session_id, name, large)
            .await;
    }
    let over = [("P", "A"), ("Q", "B"), ("R", "C"), ("S", "D")];
    for (path, message) in stand.calls(&over) {
        let status = stand.refused(path, &message).await;
        assert_reason(&status, Reason::InvalidField, "256 KiB");
        assert_eq!(fact(&status, "field").as_deref(), Some("secret_env"));
        assert_eq!(fact(&status, "limit_bytes").as_deref(), Some("262144"));
    }
    // With the one of the spec that makes 252 KiB.
    let mut request = stand.exec(&over[..3]);
    request.stdin = vec![b'i'; 4 << 20].into();
    let above = request.encoded_len() - (4 << 20);
    request.stdin.truncate((4 << 20) - above);
    assert_eq!(request.encoded_len(), 4 << 20);
    let got = stand.payload(EXEC, &request.encode_to_vec()).await;
    assert_eq!(got.secret_env.len(), 3);
    assert!(got.secret_env.values().all(|value| value.len() == 63 << 10));
    assert!(stand.sent(EXEC)[0].len() > (4 << 20) + (250 << 10));
    let start = stand.world.fake.calls(Op::Exec).pop().unwrap().start;
    assert_eq!(start.unwrap().stdin.len(), request.stdin.len());
}

#[tokio::test]
async fn a_spec_with_an_unknown_secret_makes_nothing() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    client.set_secret(&session_id, "A", "value").await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        spec: spec(&[("X", "A"), ("Y", "LATER")]),
        ..Default::default()
    };
    let status = client.create(request.clone()).await.unwrap_err();
    assert_reason(&status, Reason::SecretNotFound, "SetSecret");
    assert_eq!(fact(&status, "name").as_deref(), Some("LATER"));
    assert_eq!(world.fake.count(Op::Create), 0);
    let list = ListSandboxesRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    let listed = client.sandboxes().list_sandboxes(list).await.unwrap();
    assert!(listed.into_inner().sandboxes.is_empty());
    client.set_secret(&session_id, "LATER", "value").await;
    assert!(!client.create(request).await.unwrap().replayed);
}
