//! The user's key and envd's token are nowhere but sealed: not in logs at their most talkative, not in
//! the gateway's data, not in answers or errors.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use prost::Message;
use sandgate_proto::v1::{
    CreateSandboxRequest, ExposePortRequest, GetConnectionRequest, ListConnectionsRequest,
    ListSandboxesRequest, PauseSandboxRequest, ResumeSandboxRequest, RunCommandRequest,
    SandboxSpec, SetConnectionRequest, port_service_client::PortServiceClient,
};
use sandgate_system::{Binary, Client, Search, uuid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Response, Status};

use crate::emulator::Emulator;

/// Two programs that write down all that they do, and what they answered.
struct Stand {
    emulator: Emulator,
    client: Client,
    key: String,
    /// What is no secret and has to be found.
    title: String,
    told: Vec<u8>,
    errors: usize,
    data: TempDir,
    logs: TempDir,
    programs: [Binary; 2],
}

fn random() -> String {
    format!("{}{}", uuid(), uuid()).replace('-', "")
}

/// A program whose log goes into the folder, in whole.
async fn logged(program: &str, arguments: &[&str], logs: &Path) -> Binary {
    let log = fs::File::create(logs.join(program)).unwrap();
    let environment = [("SANDGATE_LOG", "trace")];
    Binary::start_with(program, arguments, &environment, log.into()).await
}

impl Stand {
    async fn start() -> Self {
        let emulator = Emulator::start(&[]).await;
        let (data, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (url, here) = (emulator.url(), "127.0.0.1:0");
        let arguments = ["--listen", here, "--api-url", &url, "--sandbox-url", &url];
        let provider = logged("sandgate-provider-e2b", &arguments, logs.path()).await;
        let providers = format!("e2b=http://{}", provider.address());
        let folder = data.path().to_str().unwrap();
        let arguments = [
            "--listen",
            here,
            "--providers",
            &providers,
            "--data-dir",
            folder,
        ];
        let gateway = logged("sandgate-gateway", &arguments, logs.path()).await;
        Self {
            client: Client::connect(gateway.address()).await,
            key: format!("e2b_{}", random()),
            title: random(),
            told: Vec::new(),
            errors: 0,
            emulator,
            data,
            logs,
            programs: [provider, gateway],
        }
    }

    /// Keeps an answer or an error; what was answered.
    fn keep<M: Message>(&mut self, answer: Result<Response<M>, Status>) -> Option<M> {
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                self.told.extend(answer.encode_to_vec());
                Some(answer)
            }
            Err(status) => {
                self.errors += 1;
                self.told.extend(status.message().as_bytes());
                self.told.extend(status.details());
                self.told.extend(format!("{status:?}").as_bytes());
                None
            }
        }
    }

    /// Every call about a connection.
    async fn connections(&mut self) {
        let (provider, api_key) = ("e2b".to_owned(), self.key.clone());
        let request = SetConnectionRequest {
            provider: provider.clone(),
            api_key,
            ..Default::default()
        };
        let mut connections = self.client.connections();
        let set = connections.set_connection(request).await;
        self.keep(set);
        let request = GetConnectionRequest {
            provider,
            ..Default::default()
        };
        let found = connections.get_connection(request).await;
        self.keep(found);
        let request = ListConnectionsRequest::default();
        let listed = connections.list_connections(request).await;
        self.keep(listed);
    }

    /// CreateSandbox; its id.
    async fn create(&mut self, session_id: &str) -> Option<String> {
        let request = CreateSandboxRequest {
            session_id: session_id.to_owned(),
            spec: Some(SandboxSpec {
                title: self.title.clone(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.client.sandboxes().create_sandbox(request).await;
        let made = self.keep(made)?;
        Some(made.sandbox.unwrap().sandbox_id)
    }

    /// Looks at a sandbox, uses it, and brings it to rest and back.
    async fn live(&mut self, session_id: &str, sandbox_id: &str) {
        let mut sandboxes = self.client.sandboxes();
        let (session_id, sandbox_id) = (session_id.to_owned(), sandbox_id.to_owned());
        let request = RunCommandRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            command: "echo x; echo y >&2; exit 3".to_owned(),
            ..Default::default()
        };
        let ran = sandboxes.run_command(request).await;
        self.keep(ran);
        let request = PauseSandboxRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            ..Default::default()
        };
        let paused = sandboxes.pause_sandbox(request).await;
        self.keep(paused);
        let request = ResumeSandboxRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            ..Default::default()
        };
        let resumed = sandboxes.resume_sandbox(request).await;
        self.keep(resumed);
        let request = ListSandboxesRequest {
            session_id: session_id.clone(),
            ..Default::default()
        };
        let listed = sandboxes.list_sandboxes(request).await;
        self.keep(listed);
        let request = sandgate_proto::v1::GetSandboxRequest {
            session_id,
            sandbox_id,
        };
        let found = sandboxes.get_sandbox(request).await;
        self.keep(found);
    }

    /// The tokens of all sandboxes that are there.
    async fn tokens(&self) -> BTreeSet<String> {
        let mut tokens = BTreeSet::new();
        for id in self.emulator.sandboxes(&self.key).await {
            let detail = self.emulator.detail(&self.key, &id).await;
            let token = detail["envdAccessToken"].as_str().unwrap();
            tokens.insert(token.to_owned());
        }
        tokens
    }

    /// The token of a sandbox's ports, which only who may expose them is told.
    async fn traffic(&self, session_id: &str, sandbox_id: &str) -> String {
        let request = ExposePortRequest {
            session_id: session_id.to_owned(),
            sandbox_id: sandbox_id.to_owned(),
            port: 8080,
        };
        let mut ports = PortServiceClient::new(self.client.channel.clone());
        let exposed = ports.expose_port(request).await.unwrap().into_inner();
        exposed.headers["e2b-traffic-access-token"].clone()
    }

    /// Ends both programs, so that they write what they have.
    async fn ended(self) -> (Vec<u8>, [TempDir; 2]) {
        for program in self.programs {
            program.terminate();
            program.ended().await;
        }
        (self.told, [self.data, self.logs])
    }
}

/// Refusals that repeat what was sent to who refuses.
fn refusals(secrets: &str) -> Vec<Value> {
    let mut rules = Vec::new();
    for status in [400, 401, 403, 404, 409, 429, 500] {
        for path in ["/sandboxes*", "/v2/sandboxes", "/process.Process/*"] {
            let body = json!({"code": status, "message": secrets, "error_code": secrets});
            rules.push(json!({"path": path, "kind": "status", "status": status, "body": body.to_string(), "times": 0}));
        }
    }
    let envd = json!({"code": "internal", "message": secrets}).to_string();
    rules.push(json!({"path": "/process.Process/*", "kind": "status", "status": 500, "body": envd, "times": 0}));
    rules.push(
        json!({"path": "/files", "kind": "status", "status": 500, "body": secrets, "times": 0}),
    );
    rules
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// A file, and its first line that holds a secret.
fn first_leak(path: &Path, search: &Search) -> String {
    let bytes = fs::read(path).unwrap();
    let secret = |line: &&[u8]| {
        let found = search.find(line);
        found.contains("key") || found.contains("token")
    };
    let line = bytes.split(|byte| *byte == b'\n').find(secret);
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    format!("{}: {line}", path.display())
}

/// Uses a sandbox, well and with every refusal, which repeats the secrets or says nothing; then looks
/// for them.
async fn search(repeated: bool) {
    let mut stand = Stand::start().await;
    stand.connections().await;
    let session_id = stand.client.session().await;
    let sandbox_id = stand.create(&session_id).await.unwrap();
    stand.live(&session_id, &sandbox_id).await;
    assert_eq!(stand.errors, 0);
    let mut tokens = stand.tokens().await;
    tokens.insert(stand.traffic(&session_id, &sandbox_id).await);
    let said = match repeated {
        true => format!("{} {}", stand.key, tokens.first().unwrap()),
        false => "no".to_owned(),
    };
    for rule in refusals(&said) {
        stand.emulator.fault(&rule).await;
        stand.live(&session_id, &sandbox_id).await;
        stand.create(&session_id).await;
        stand.emulator.mend().await;
    }
    assert!(stand.errors > 50, "{} errors", stand.errors);
    stand.live(&session_id, &sandbox_id).await;
    tokens.append(&mut stand.tokens().await);

    let mut search = Search::default();
    search.add("key", stand.key.as_bytes());
    search.add("title", stand.title.as_bytes());
    for token in tokens {
        search.add("token", token.as_bytes());
    }
    let (told, folders) = stand.ended().await;
    assert_eq!(search.find(&told), BTreeSet::from(["title"]), "answers");
    let (mut seen, mut leaks) = (BTreeSet::new(), Vec::new());
    for path in folders.iter().flat_map(|folder| files(folder.path())) {
        let found = search.find(&fs::read(&path).unwrap());
        if found.contains("key") || found.contains("token") {
            leaks.push(first_leak(&path, &search));
        }
        if found.contains("title") {
            seen.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    // The search is where the data is, and the logs hold everything.
    assert!(seen.contains("sandgate.db"), "{seen:?}");
    for program in ["sandgate-gateway", "sandgate-provider-e2b"] {
        let log = fs::read(folders[1].path().join(program)).unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains("TRACE"), "{program} does not say everything");
        assert!(log.contains(&sandbox_id), "{program} has seen nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_token_stay_where_they_belong() {
    search(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_where_e2b_repeats_them() {
    search(true).await;
}
