//! The real gateway as a process of its own, with a scripted provider and an upstream, and a record of
//! all that it answers.

use std::{fs, path::PathBuf, process::Stdio, sync::Arc};

use sandgate_proto::v1::{IssueApiKeyRequest, IssueApiKeyResponse};
use sandgate_system::{Binary, Fake, Link, Raw, Reply, Rpc, framed, kit_args};
use tempfile::TempDir;
use tonic::Code;

use crate::{canaries::Canaries, upstream::Upstream};

/// How long a stream may be silent before it is left.
const SILENCE: std::time::Duration = std::time::Duration::from_millis(100);

/// One answer.
pub(crate) struct Told {
    /// Name of the rpc, or what else was asked.
    pub(crate) rpc: String,
    pub(crate) fine: bool,
    /// All bytes of it, details of a status in the clear.
    pub(crate) bytes: Vec<u8>,
}

/// All that takes part.
pub(crate) struct Stand {
    pub(crate) canaries: Canaries,
    pub(crate) fake: Fake,
    pub(crate) link: Arc<Link>,
    pub(crate) upstream: Upstream,
    pub(crate) answers: Vec<Told>,
    /// What could not be done because it is not there yet.
    pub(crate) missing: Vec<String>,
    /// What the gateway must keep.
    pub(crate) data: TempDir,
    /// What it writes besides.
    pub(crate) written: TempDir,
    encryption_keys: String,
    gateway: Binary,
    pub(crate) raw: Raw,
    /// The key of the caller: an issued one once there is one.
    key: String,
    _provider: sandgate_kit::Running,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let mut canaries = Canaries::new();
        let fake = Fake::default();
        fake.state(&canaries.text("provider state"));
        let args = sandgate_kit::KitArgs {
            provider_token: Some(canaries.text("provider token").into()),
            ..kit_args()
        };
        let listen = ([127, 0, 0, 1], 0).into();
        let provider = sandgate_kit::start(fake.clone(), &args, listen)
            .await
            .unwrap();
        let link = Link::to(provider.address()).await;
        let upstream = Upstream::start(canaries.text("refused connection key")).await;
        let (data, written) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let encryption_keys = canaries.encryption_keys();
        let folders = (&data, &written);
        let gateway = gateway(
            &canaries,
            &link,
            &upstream,
            &encryption_keys,
            folders,
            false,
        )
        .await;
        Self {
            raw: Raw::connect(gateway.address()).await,
            key: canaries.text("admin key"),
            canaries,
            fake,
            link,
            upstream,
            answers: Vec::new(),
            missing: Vec::new(),
            data,
            written,
            encryption_keys,
            gateway,
            _provider: provider,
        }
    }

    /// Kills the gateway and starts another with the same data, which logs as JSON.
    pub(crate) async fn restarted(mut self) -> Self {
        let folders = (&self.data, &self.written);
        let gateway = gateway(
            &self.canaries,
            &self.link,
            &self.upstream,
            &self.encryption_keys,
            folders,
            true,
        );
        self.gateway = gateway.await;
        self.raw = Raw::connect(self.gateway.address()).await;
        self
    }

    /// Asks the gateway to end, so that it writes what it has; what was answered, and what is left.
    pub(crate) async fn ended(self) -> (Canaries, Vec<Told>, Vec<String>, [TempDir; 2]) {
        self.gateway.terminate();
        self.gateway.ended().await;
        (
            self.canaries,
            self.answers,
            self.missing,
            [self.data, self.written],
        )
    }

    /// A key of ann's for all calls from now on.
    pub(crate) async fn issue(&mut self) {
        let request = IssueApiKeyRequest {
            org_id: "acme".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        };
        let rpc = Rpc::named("IssueApiKey");
        let reply = self.call(&rpc, framed(&request)).await;
        if reply
            .ended()
            .is_some_and(|status| status.code() == Code::Ok)
        {
            self.key = reply.message::<IssueApiKeyResponse>().secret;
        } else {
            self.missing
                .push(format!("IssueApiKey: {:?}", reply.ended()));
        }
    }

    /// A call by ann, or by the administrator where only that one may.
    pub(crate) async fn call(&mut self, rpc: &Rpc, request: impl Into<bytes::Bytes>) -> Reply {
        self.call_with(rpc, &[], request).await
    }

    /// The same with more headers; another `authorization` takes the place of the own.
    pub(crate) async fn call_with(
        &mut self,
        rpc: &Rpc,
        headers: &[(&str, &str)],
        request: impl Into<bytes::Bytes>,
    ) -> Reply {
        let admin = self.canaries.text("admin key");
        let key = if rpc.scope == "admin" {
            &admin
        } else {
            &self.key
        };
        let bearer = format!("Bearer {key}");
        let mut all = headers.to_vec();
        if !all.iter().any(|(name, _)| *name == "authorization") {
            all.push(("authorization", bearer.as_str()));
        }
        let reply = self.raw.look(rpc.path, &all, request, SILENCE).await;
        self.record(rpc.name, &reply);
        reply
    }

    /// Keeps an answer for the search, and learns the secrets of new keys.
    pub(crate) fn record(&mut self, rpc: &str, reply: &Reply) {
        let mut bytes = reply.body.to_vec();
        for (name, value) in reply.headers.iter().chain(reply.trailers.iter()) {
            bytes.extend_from_slice(format!("\n{name}: ").as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        let status = reply.ended();
        let fine = status
            .as_ref()
            .is_none_or(|status| status.code() == Code::Ok);
        if let Some(status) = &status {
            bytes.extend_from_slice(status.message().as_bytes());
            bytes.extend_from_slice(status.details());
        }
        if rpc == "IssueApiKey" && fine {
            let made: IssueApiKeyResponse = reply.message();
            if !made.secret.is_empty() {
                self.canaries
                    .add_issued(&made.secret, &made.api_key.unwrap().api_key_id);
            }
        }
        let rpc = rpc.to_owned();
        self.answers.push(Told { rpc, fine, bytes });
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.gateway.address()
    }
}

async fn gateway(
    canaries: &Canaries,
    link: &Link,
    upstream: &Upstream,
    encryption_keys: &str,
    (data, written): (&TempDir, &TempDir),
    json: bool,
) -> Binary {
    let providers = format!("fake=http://{}", link.address());
    let upstream = format!("http://{}", upstream.address);
    let audit = path(written, "audit.jsonl");
    let (admin, token) = (canaries.text("admin key"), canaries.text("provider token"));
    let mut environment = vec![
        ("SANDGATE_ADMIN_KEY", admin.as_str()),
        ("SANDGATE_PROVIDER_TOKEN", token.as_str()),
        ("SANDGATE_ENCRYPTION_KEYS", encryption_keys),
        ("SANDGATE_GITHUB_API_URL", &upstream),
        ("SANDGATE_AUDIT_FILE", audit.to_str().unwrap()),
        ("SANDGATE_LOG", "trace"),
    ];
    if json {
        environment.push(("SANDGATE_LOG_JSON", "true"));
    }
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--drain-seconds",
        "1",
        "--providers",
        &providers,
        "--data-dir",
        data.path().to_str().unwrap(),
    ];
    let log = path(written, if json { "log.json" } else { "log.txt" });
    let log = Stdio::from(fs::File::create(log).unwrap());
    Binary::start_with("sandgate-gateway", &arguments, &environment, log).await
}

fn path(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
