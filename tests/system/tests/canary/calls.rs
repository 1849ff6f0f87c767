//! The calls that the texts are sent through: as they should be, and as they should not.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use prost::Message;
use sandgate_kit::Kind;
use sandgate_proto::{Outcome, v1};
use sandgate_system::{Act, Fields, Op, Rpc, Words, frame, framed, uuid};

use crate::stand::Stand;

/// The secret that commands and sandboxes use by its name.
const SECRET: &str = "CANARY_SECRET";

/// Calls that end something come last, each before what it needs.
const LAST: [&str; 8] = [
    "SignalExecution",
    "DeleteConnection",
    "StopSandbox",
    "DeleteSandbox",
    "DeleteSecret",
    "DeleteSession",
    "DeleteAgent",
    "RevokeApiKey",
];

/// Calls that are tried with more bytes than a message may have: one of each kind.
const LARGE: [&str; 4] = ["Exec", "WriteFile", "SetSecret", "IssueApiKey"];

impl Stand {
    /// What requests are filled with.
    pub(crate) fn words(&self) -> Words {
        let has_secret = !self
            .missing
            .iter()
            .any(|what| what.starts_with("SetSecret"));
        let secret_name = if has_secret { SECRET } else { "" };
        Words {
            secret_name: secret_name.to_owned(),
            ..self.canaries.words()
        }
    }

    /// One of everything, with the texts in it; the ids.
    pub(crate) async fn things(&mut self) -> Fields {
        let fresh = [
            "session_id",
            "sandbox_id",
            "execution_id",
            "agent_id",
            "harness_id",
            "api_key_id",
        ];
        let ids = fresh
            .iter()
            .fold(Fields::default(), |ids, id| ids.with(id, &uuid()));
        let made: v1::CreateAgentResponse = self.make("CreateAgent", &ids, &[]).await;
        let agent_id = made.agent.map_or_else(uuid, |agent| agent.agent_id);
        let harness = v1::CreateAgentRequest {
            kind: v1::AgentKind::Harness.into(),
            ..Default::default()
        };
        let made: v1::CreateAgentResponse = self.made("CreateAgent", framed(&harness)).await;
        let harness_id = made.agent.map_or_else(uuid, |agent| agent.agent_id);
        let ids = ids
            .with("agent_id", &agent_id)
            .with("harness_id", &harness_id);
        let made: v1::CreateSessionResponse =
            self.make("CreateSession", &ids, &["session_id"]).await;
        let ids = ids.with("session_id", &made.session.unwrap_or_default().session_id);
        let key: v1::IssueApiKeyResponse = self.make("IssueApiKey", &ids, &[]).await;
        let ids = ids.with(
            "api_key_id",
            &key.api_key.map_or_else(uuid, |key| key.api_key_id),
        );
        let _: v1::SetSecretResponse = self.make("SetSecret", &ids, &["session_id"]).await;
        let _: v1::SetConnectionResponse = self.make("SetConnection", &ids, &[]).await;
        self.running(&ids).await;
        ids
    }

    /// A sandbox with a command that has run in it.
    async fn running(&mut self, ids: &Fields) {
        let spec = v1::SandboxSpec {
            secret_env: match self.words().secret_name.as_str() {
                "" => Default::default(),
                name => [("SECRET".to_owned(), name.to_owned())].into(),
            },
            ..self.words().spec()
        };
        let request = v1::CreateSandboxRequest {
            session_id: ids.get("session_id").to_owned(),
            sandbox_id: ids.get("sandbox_id").to_owned(),
            spec: Some(spec),
            ..Default::default()
        };
        let _: v1::CreateSandboxResponse = self.made("CreateSandbox", framed(&request)).await;
        let request = v1::StartExecutionRequest {
            stdin_open: true,
            ..v1::StartExecutionRequest::decode(self.words().exec().encode_to_vec().as_slice())
                .unwrap()
        };
        let start = Rpc::named("StartExecution").encoded(request.encode_to_vec(), ids);
        let _: v1::StartExecutionResponse = self.made("StartExecution", frame(0, &start)).await;
    }

    /// Makes something, with those of the ids that are meant.
    async fn make<M: Message + Default>(&mut self, rpc: &str, ids: &Fields, meant: &[&str]) -> M {
        let fields = Fields::default().with_all(meant, ids);
        let request = Rpc::named(rpc).request(&self.words(), &fields);
        self.made(rpc, request).await
    }

    async fn made<M: Message + Default>(&mut self, rpc: &str, request: Bytes) -> M {
        let reply = self.call(&Rpc::named(rpc), request).await;
        match reply.ended() {
            Some(status) if status.code() == tonic::Code::Ok => reply.message(),
            other => {
                let why = other.map(|status| status.message().to_owned());
                self.missing
                    .push(format!("{rpc}: {}", why.unwrap_or_default()));
                M::default()
            }
        }
    }

    /// Every rpc, as it should be called.
    pub(crate) async fn walk(&mut self) {
        let ids = self.things().await;
        let words = self.words();
        let place = |rpc: &Rpc| {
            LAST.iter()
                .position(|last| *last == rpc.name)
                .map_or(0, |at| at + 1)
        };
        let mut rpcs = Rpc::all();
        rpcs.sort_by_key(place);
        for rpc in rpcs {
            // What makes something makes another one.
            let meant: Vec<_> = rpc.ids();
            let fields = Fields::default()
                .with_all(&meant, &ids)
                .with("request_id", &uuid());
            for _ in 0..2 {
                // Repeating a request_id must not tell more than the first answer did.
                self.call(&rpc, rpc.request(&words, &fields)).await;
            }
        }
    }

    /// Every rpc, as it should not be called.
    pub(crate) async fn abuse(&mut self) {
        let ids = self.things().await;
        let (words, junk) = (self.words(), self.canaries.text("junk"));
        let unknown = self.canaries.text("unknown credential");
        for rpc in Rpc::all() {
            // Ids of what is not there end nothing.
            let ends = LAST.contains(&rpc.name) || rpc.name.starts_with("Create");
            let fields = match ends {
                true => ids
                    .iter()
                    .fold(Fields::default(), |all, (name, _)| all.with(name, &uuid())),
                false => ids.clone(),
            };
            let good = rpc.encoded(Vec::new(), &fields);
            let full = rpc.request(&words, &fields).slice(5..);
            for broken in broken(&good, &full, &junk) {
                self.call(&rpc, broken).await;
            }
            if LARGE.contains(&rpc.name) {
                let more = field(777, junk.repeat(80_000).as_bytes());
                self.call(&rpc, frame(0, &[&full[..], &more].concat()))
                    .await;
            }
            let request = rpc.request(&words, &fields);
            let wrong = format!("Bearer {unknown}");
            let token = format!("Bearer e30.{junk}.{unknown}");
            for headers in [
                &[("authorization", wrong.as_str())][..],
                &[("authorization", token.as_str())],
                &[("authorization", junk.as_str())],
                &[("grpc-timeout", "1n")],
                &[("grpc-timeout", junk.as_str())],
                &[
                    ("sandgate-context-bin", junk.as_str()),
                    ("sandgate-state-bin", junk.as_str()),
                ],
                &[("grpc-encoding", "gzip"), ("x-anything", junk.as_str())],
            ] {
                self.call_with(&rpc, headers, request.clone()).await;
            }
        }
        self.refused_key().await;
    }

    /// A key that the upstream does not take, and one that it does.
    async fn refused_key(&mut self) {
        let rpc = Rpc::named("SetConnection");
        for (provider, name) in [
            ("github", "refused connection key"),
            ("github", "connection key"),
            ("fake", "refused connection key"),
            ("no-such-provider", "refused connection key"),
        ] {
            let request = v1::SetConnectionRequest {
                provider: provider.to_owned(),
                api_key: self.canaries.text(name),
                ..Default::default()
            };
            self.call(&rpc, framed(&request)).await;
        }
        if self.upstream.asked() == 0 {
            self.missing
                .push("SetConnection: the key was not tried upstream".to_owned());
        }
    }

    /// Every rpc, while the provider fails in every way.
    pub(crate) async fn fail(&mut self) {
        let ops = [
            Op::Capabilities,
            Op::Create,
            Op::Get,
            Op::List,
            Op::Start,
            Op::Stop,
            Op::Delete,
            Op::Reach,
        ];
        for kind in [
            Kind::SandboxGone,
            Kind::Unavailable(Outcome::Ambiguous),
            Kind::Rejected,
            Kind::CredentialRejected,
            Kind::RateLimited,
            Kind::Internal,
        ] {
            let ids = self.things().await;
            for op in ops {
                self.fake.set(op, Act::Fail(kind.clone()));
            }
            self.about_sandboxes(&ids).await;
            for op in ops {
                self.fake.mend(op);
            }
        }
        let ids = self.things().await;
        self.link.refuse().await;
        self.about_sandboxes(&ids).await;
        self.link.mend().await;
        let ids = self.things().await;
        self.link.garble().await;
        self.about_sandboxes(&ids).await;
        self.link.mend().await;
        // Until the gateway has found its way back.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    async fn about_sandboxes(&mut self, ids: &Fields) {
        let words = self.words();
        for rpc in Rpc::all() {
            if rpc.has("sandbox_id") || rpc.name == "ReconcileProvider" {
                let fields = Fields::default().with_all(&rpc.ids(), ids);
                let request = rpc.request(&words, &fields);
                self.call_with(&rpc, &[("grpc-timeout", "200m")], request)
                    .await;
            }
        }
    }

    /// Health and reflection, which ask for no key, and paths that the contract does not have.
    pub(crate) async fn others(&mut self) {
        let junk = self.canaries.text("junk");
        let request = frame(0, &field(1, junk.as_bytes()));
        let names = BTreeMap::from([
            ("health", "/grpc.health.v1.Health/Check"),
            ("health list", "/grpc.health.v1.Health/List"),
            (
                "reflection",
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            ),
            ("unknown method", "/sandbox.v1.SandboxService/NoSuchMethod"),
            ("unknown service", "/no.such.Service/NoSuchMethod"),
        ]);
        for (name, path) in names {
            for request in [request.clone(), Bytes::new(), frame(0, b"")] {
                let silence = Duration::from_millis(200);
                let admin = format!("Bearer {}", self.canaries.text("admin key"));
                let reply = self
                    .raw
                    .look(path, &[("authorization", &admin)], request, silence)
                    .await;
                self.record(name, &reply);
            }
        }
    }
}

/// A field of bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut field);
    field
}

/// Messages that are wrong, and hold what they should not.
fn broken(ids: &[u8], full: &[u8], junk: &str) -> Vec<Bytes> {
    let behind = |more: &[u8]| frame(0, &[full, more].concat());
    let mut broken = vec![
        // Ids alone, and none.
        frame(0, ids),
        frame(0, &field(777, junk.as_bytes())),
        // Unknown fields, fields twice, the gateway's own field.
        behind(&field(777, junk.as_bytes())),
        behind(ids),
        behind(&field(1000, junk.as_bytes())),
        // Cut off, of the wrong type, no text, more than one.
        frame(0, &full[..full.len().saturating_sub(3)]),
        behind(&[0x0d, 1, 2, 3, 4]),
        behind(&field(5, &[junk.as_bytes(), b"\xff\xfe"].concat())),
        frame(1, full),
        frame(7, full),
        Bytes::from(junk.to_owned()),
    ];
    let mut twice = BytesMut::from(&frame(0, full)[..]);
    twice.extend_from_slice(&frame(0, full));
    broken.push(twice.freeze());
    // Every field, once more and as a number.
    broken.extend((1..16u8).map(|number| behind(&[number << 3, 1])));
    broken
}
