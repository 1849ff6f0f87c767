//! The cloud of a provider whose sandboxes are elsewhere: its emulator on this machine, which is never
//! killed, and what an account has there, asked past gateway and provider.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Client;
use sandgate_proto::v1::SetConnectionRequest;
use serde_json::{Value, json};

use crate::{
    Options, client,
    failure::{Failure, Result, setup},
    plan::NOTES,
    program::Program,
};

/// The caller's key, and so the account.
const KEY: &str = "e2b_chaos";
/// For one request: it is on this machine, which may be busy.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a sandbox is there before its create is answered, in milliseconds: a provider that is
/// killed meanwhile never knew of it.
const UNTOLD: u64 = 400;
/// Where commands begin, in the folder of a sandbox.
const HOME: &str = "root/home/user";

/// A running emulator. It is killed when this is dropped.
pub(crate) struct Cloud {
    program: Program,
    account: Account,
}

/// What this run has at the cloud. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    client: Client,
    url: String,
    folder: PathBuf,
    /// Ids of all sandboxes that were seen so far.
    seen: Arc<Mutex<BTreeSet<String>>>,
}

/// A sandbox that the cloud has, running or paused.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// The cloud's id.
    pub(crate) id: String,
    /// The gateway's; empty: it says of none that it is that.
    pub(crate) sandbox_id: String,
}

impl Cloud {
    /// Starts it, with the files of its sandboxes below this folder.
    pub(crate) async fn start(
        options: &Options,
        folder: &Path,
        listen: SocketAddr,
    ) -> Result<Self> {
        let data = folder.join("cloud");
        let arguments = ["e2b", "--listen", &listen.to_string(), "--data"];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(data.display().to_string());
        let settings = vec![("RUST_LOG", "warn".to_owned())];
        let path = options.programs.join("sandgate-emulator");
        let program = Program::new(path, settings, folder.join("cloud.log"));
        let mut program = program.with(arguments);
        program.start(listen).await?;
        let client = sandgate_service::web::builder()
            .and_then(|builder| Ok(builder.timeout(ANSWER).build()?))
            .map_err(|error| setup(error.to_string()))?;
        let account = Account {
            client,
            url: format!("http://{listen}"),
            folder: data,
            seen: Arc::default(),
        };
        account.slow_down().await?;
        Ok(Self { program, account })
    }

    /// What this run has there.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        self.program.last_words()
    }

    /// Ends it, and all that it has.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.program.finish().await
    }
}

impl Account {
    /// Where the cloud is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Files of all its sandboxes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the caller's key to a gateway, which seals it for all that have its store.
    pub(crate) async fn connect(&self, client: &client::Client) -> Result<()> {
        let request = SetConnectionRequest {
            provider: "e2b".to_owned(),
            api_key: KEY.to_owned(),
            ..Default::default()
        };
        let call = |request| {
            let mut calls = client.connections();
            async move { calls.set_connection(request).await }
        };
        let set = client.call("SetConnection", request, call).await;
        set.map(drop)
    }

    /// Has the answers to creates come late, all of them.
    async fn slow_down(&self) -> Result<()> {
        let rule = json!({
            "method": "POST",
            "path": "/sandboxes",
            "kind": "slow",
            "delay_ms": UNTOLD,
            "times": 0,
        });
        let url = format!("{}/_emulator/faults", self.url);
        let answer = self.client.post(url).json(&rule).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|error| unanswered(&error))
    }

    /// All sandboxes that it has.
    pub(crate) async fn guests(&self) -> Result<Vec<Guest>> {
        let mut guests = Vec::new();
        let mut token = String::new();
        loop {
            let (page, next) = self.page(&token).await?;
            guests.extend(page);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        self.seen().extend(guests.iter().map(|one| one.id.clone()));
        self.note().await?;
        Ok(guests)
    }

    async fn page(&self, token: &str) -> Result<(Vec<Guest>, String)> {
        let path = format!("/v2/sandboxes?state=running,paused&nextToken={token}");
        let answer = self.get(&path).await?;
        let next = answer.headers().get("x-next-token");
        let next = next.and_then(|next| next.to_str().ok()).unwrap_or_default();
        let next = next.to_owned();
        let page: Vec<Value> = answer.json().await.map_err(|error| unanswered(&error))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let guest = |one: Value| Guest {
            id: text(&one["sandboxID"]),
            sandbox_id: text(&one["metadata"]["sandgate.sandbox_id"]),
        };
        Ok((page.into_iter().map(guest).collect(), next))
    }

    /// Learns the ids of those that came and went since the last look: whatever is done with a
    /// sandbox, its delete at last, names it.
    async fn note(&self) -> Result<()> {
        let answer = self.get("/_emulator/requests?reset=true").await?;
        let told: Value = answer.json().await.map_err(|error| unanswered(&error))?;
        let requests = told["requests"].as_array().into_iter().flatten();
        let ids = requests.filter_map(|one| {
            let within = one["path"].as_str()?.strip_prefix("/sandboxes/");
            let id = within.and_then(|rest| rest.split('/').next());
            id.or(one["sandbox"].as_str()).map(str::to_owned)
        });
        self.seen().extend(ids);
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let request = self.client.get(format!("{}{path}", self.url));
        let answer = request.header("x-api-key", KEY).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map_err(|error| unanswered(&error))
    }

    /// Whether this sandbox is or was one of this account.
    pub(crate) fn had(&self, id: &str) -> bool {
        self.seen().contains(id)
    }

    /// What commands have noted in the files of a sandbox; nothing where those are gone.
    pub(crate) fn notes(&self, guest: &Guest) -> String {
        let file = self.folder.join(&guest.id).join(HOME).join(NOTES);
        fs::read_to_string(file).unwrap_or_default()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered(error: &reqwest::Error) -> Failure {
    setup(format!("the emulator does not answer: {error}"))
}
