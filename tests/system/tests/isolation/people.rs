//! Ann of acme, bob of acme, carl of another organisation: each with a key and one of everything.

use std::time::Duration;

use prost::Message;
use sandgate_proto::v1;
use sandgate_system::{Fields, Op, Plan, Raw, Reply, Rpc, Words, World, framed, uuid};

use crate::answer::Answer;

/// The gateway's first key.
pub(crate) const ADMIN: &str = "the key of the administrator of this test";
/// How long a stream may be silent before it counts as one that goes on.
const SILENCE: Duration = Duration::from_millis(150);

/// A gateway and everybody who calls it.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) admin: Caller,
    pub(crate) ann: Person,
    pub(crate) bob: Person,
    pub(crate) carl: Person,
}

/// Somebody with a key.
#[derive(Clone)]
pub(crate) struct Caller {
    raw: Raw,
    bearer: String,
}

/// Somebody with a key, and things.
pub(crate) struct Person {
    pub(crate) caller: Caller,
    pub(crate) org: &'static str,
    pub(crate) user: &'static str,
    /// The ids of the things.
    pub(crate) ids: Fields,
    pub(crate) secret: String,
    pub(crate) alias: String,
    /// request_id of the session's create.
    pub(crate) request_id: String,
    /// Texts that only the owner may read. Agents are the organisation's, so theirs are apart.
    pub(crate) marks: Vec<String>,
    pub(crate) agent_marks: Vec<String>,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let plan = Plan {
            admin_key: Some(ADMIN),
            ..Plan::default()
        };
        let world = World::with(plan).await;
        let admin = Caller::new(&world, ADMIN).await;
        let ann = Person::new(&world, &admin, "acme", "ann").await;
        let bob = Person::new(&world, &admin, "acme", "bob").await;
        let carl = Person::new(&world, &admin, "other", "carl").await;
        Self {
            world,
            admin,
            ann,
            bob,
            carl,
        }
    }

    /// A key of ann's that may do this only.
    pub(crate) async fn key_of_ann(&self, scope: &str) -> Caller {
        let (_, secret) = issue(&self.admin, "acme", "ann", &[scope]).await;
        Caller::new(&self.world, &secret).await
    }

    /// Everything of ann's that calls of others could change.
    pub(crate) async fn state_of_ann(&self) -> String {
        let (ann, ids) = (&self.ann.caller, &self.ann.ids);
        let mut seen = String::new();
        for name in [
            "GetSession",
            "GetSandbox",
            "GetAgent",
            "GetExecution",
            "ListSecrets",
            "GetConnection",
        ] {
            let rpc = Rpc::named(name);
            let reply = ann.reply(&rpc, rpc.request(&Words::default(), ids)).await;
            if name == "GetSandbox" {
                // Its clocks go on by themselves.
                let sandbox = reply.message::<v1::GetSandboxResponse>().sandbox.unwrap();
                let still = v1::Sandbox {
                    last_activity_time: None,
                    idle_deadline: None,
                    lease_expire_time: None,
                    provider_expire_time: None,
                    ..sandbox
                };
                seen += &format!("{still:?}\n");
            } else {
                assert_eq!(reply.status().code(), tonic::Code::Ok, "{name}: {reply:?}");
                seen += &format!("{name} {:?}\n", reply.body);
            }
        }
        let keys = v1::ListApiKeysRequest {
            org_id: "acme".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        };
        let keys: v1::ListApiKeysResponse = self.admin.ok("ListApiKeys", &keys).await;
        let first = keys
            .api_keys
            .iter()
            .find(|key| key.api_key_id == ids.get("api_key_id"));
        let first = first.expect("ann's key is listed");
        seen += &format!("{:?} {:?}\n", first.scopes, first.revoke_time);
        let done = [Op::Create, Op::Start, Op::Stop, Op::Delete, Op::Exec];
        let of_ann = |op| {
            let calls = self.world.fake.calls(op);
            let of_ann = calls
                .iter()
                .filter(|call| call.context.sandbox_id == ids.get("sandbox_id"));
            of_ann.count()
        };
        seen + &format!("{:?}", done.map(of_ann))
    }
}

impl Caller {
    pub(crate) async fn new(world: &World, key: &str) -> Self {
        Self {
            raw: world.raw().await,
            bearer: format!("Bearer {key}"),
        }
    }

    pub(crate) async fn reply(&self, rpc: &Rpc, request: impl Into<bytes::Bytes>) -> Reply {
        let headers = [
            ("authorization", self.bearer.as_str()),
            ("grpc-timeout", "5S"),
        ];
        self.raw.look(rpc.path, &headers, request, SILENCE).await
    }

    pub(crate) async fn call(&self, rpc: &Rpc, request: impl Into<bytes::Bytes>) -> Answer {
        Answer::of(&self.reply(rpc, request).await)
    }

    /// A call that must work.
    pub(crate) async fn ok<M: Message + Default>(&self, rpc: &str, request: &impl Message) -> M {
        let reply = self.reply(&Rpc::named(rpc), framed(request)).await;
        assert_eq!(
            reply.status().code(),
            tonic::Code::Ok,
            "{rpc}: {:?}",
            reply.status()
        );
        reply.message()
    }
}

/// A new key: its id, and its secret.
async fn issue(admin: &Caller, org: &str, user: &str, scopes: &[&str]) -> (String, String) {
    let request = v1::IssueApiKeyRequest {
        org_id: org.to_owned(),
        user_id: user.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..Default::default()
    };
    let made: v1::IssueApiKeyResponse = admin.ok("IssueApiKey", &request).await;
    (made.api_key.unwrap().api_key_id, made.secret)
}

impl Person {
    /// Somebody with a new key and new things. The same person may be made more than once.
    pub(crate) async fn new(
        world: &World,
        admin: &Caller,
        org: &'static str,
        user: &'static str,
    ) -> Self {
        let (api_key_id, secret) = issue(admin, org, user, &[]).await;
        let caller = Caller::new(world, &secret).await;
        let mark = |what: &str| format!("{user}-{what}-{}", uuid());
        let (title, env, name, alias) = (mark("title"), mark("env"), mark("secret"), mark("alias"));
        let (title_of_agent, env_of_agent) = (mark("agent"), mark("agent-env"));
        let mut person = Self {
            caller,
            org,
            user,
            ids: Fields::default().with("api_key_id", &api_key_id),
            // A name that an environment can have, too.
            secret: name.replace('-', "_"),
            alias: alias[..40].to_owned(),
            request_id: uuid(),
            marks: Vec::new(),
            agent_marks: vec![title_of_agent, env_of_agent],
        };
        person.make(&title, &env).await;
        let ids = ["session_id", "sandbox_id", "execution_id", "api_key_id"];
        let ids = ids.map(|id| person.ids.get(id).to_owned());
        let texts = [title, env, person.secret.clone(), person.alias.clone()];
        person.marks = ids.into_iter().chain(texts).collect();
        let agents = ["agent_id", "harness_id"].map(|id| person.ids.get(id).to_owned());
        person.agent_marks.extend(agents);
        person
    }

    async fn make(&mut self, title: &str, env: &str) {
        let words = Words {
            title: title.to_owned(),
            spec_env: env.to_owned(),
            ..Words::default()
        };
        for (kind, field) in [
            (v1::AgentKind::Agent, "agent_id"),
            (v1::AgentKind::Harness, "harness_id"),
        ] {
            let request = v1::CreateAgentRequest {
                agent_id: format!("{}-{}", self.user, uuid()),
                kind: kind.into(),
                title: self.agent_marks[0].clone(),
                labels: [("label".to_owned(), self.agent_marks[1].clone())].into(),
                ..Default::default()
            };
            let made: v1::CreateAgentResponse = self.caller.ok("CreateAgent", &request).await;
            self.set(field, &made.agent.unwrap().agent_id);
        }
        let request = v1::CreateSessionRequest {
            request_id: self.request_id.clone(),
            title: title.to_owned(),
            default_sandbox: Some(words.spec()),
            ..Default::default()
        };
        let made: v1::CreateSessionResponse = self.caller.ok("CreateSession", &request).await;
        let session_id = made.session.unwrap().session_id;
        self.set("session_id", &session_id);
        let request = v1::CreateSandboxRequest {
            session_id: session_id.clone(),
            alias: self.alias.clone(),
            spec: Some(words.spec()),
            ..Default::default()
        };
        let made: v1::CreateSandboxResponse = self.caller.ok("CreateSandbox", &request).await;
        let sandbox_id = made.sandbox.unwrap().sandbox_id;
        self.set("sandbox_id", &sandbox_id);
        self.fill(session_id, sandbox_id).await;
    }

    /// What stands in a session, and a connection.
    async fn fill(&mut self, session_id: String, sandbox_id: String) {
        let request = v1::StartExecutionRequest {
            session_id: session_id.clone(),
            sandbox_id,
            execution_id: format!("{}-{}", self.user, uuid()),
            command: "print x; hang".to_owned(),
            stdin_open: true,
            ..Default::default()
        };
        let made: v1::StartExecutionResponse = self.caller.ok("StartExecution", &request).await;
        self.set("execution_id", &made.execution.unwrap().execution_id);
        let request = v1::SetSecretRequest {
            session_id,
            name: self.secret.clone(),
            value: b"a value".as_slice().into(),
            ..Default::default()
        };
        let _: v1::SetSecretResponse = self.caller.ok("SetSecret", &request).await;
        let request = v1::SetConnectionRequest {
            provider: "github".to_owned(),
            api_key: format!("a key that ends with {}", self.user),
            skip_validation: true,
            ..Default::default()
        };
        let _: v1::SetConnectionResponse = self.caller.ok("SetConnection", &request).await;
    }

    fn set(&mut self, field: &str, id: &str) {
        self.ids = std::mem::take(&mut self.ids).with(field, id);
    }
}

/// Ids as long as these, that nothing has.
pub(crate) fn unknown(like: &Fields) -> Fields {
    let mut unknown = Fields::default();
    for (name, id) in like.iter() {
        let tail = uuid();
        // As much of the old one as makes the same length: the name in front, if there is one.
        let new = match id.len().checked_sub(tail.len()) {
            Some(rest) => id[..rest].to_owned() + &tail,
            None => tail[..id.len()].to_owned(),
        };
        unknown = unknown.with(name, &new);
    }
    unknown
}
