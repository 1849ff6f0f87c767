//! The emulator as a program, and what is asked of it past the provider.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost_types::Timestamp;
use sandgate_system::Binary;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A running emulator.
pub(crate) struct Emulator(Binary);

impl Emulator {
    /// One with these flags.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let arguments = [&["e2b", "--listen", "127.0.0.1:0"], flags].concat();
        Self(Binary::start("sandgate-emulator", &arguments).await)
    }

    /// Its address as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// Sends `METHOD /path`, as the account of `key`; what is answered, null if that is nothing.
    pub(crate) async fn ask(&self, line: &str, key: &str, body: &Value) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let stream = TcpStream::connect(self.0.address()).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.0.address().to_string())
            .header("content-type", "application/json")
            .header("x-api-key", key);
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = request.body(Full::new(body)).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{line}: {status} {body:?}");
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// Adds a rule of what is spoiled.
    pub(crate) async fn fault(&self, rule: &Value) {
        self.ask("POST /_emulator/faults", "", rule).await;
    }

    /// How often the rules struck, the oldest first.
    pub(crate) async fn hits(&self) -> Vec<u64> {
        let rules = self.ask("GET /_emulator/faults", "", &Value::Null).await;
        let rules = rules.as_array().unwrap().iter();
        rules.map(|rule| rule["hits"].as_u64().unwrap()).collect()
    }

    /// Nothing is spoiled any more.
    pub(crate) async fn mend(&self) {
        self.ask("DELETE /_emulator/faults", "", &json!(null)).await;
    }

    /// Requests about one sandbox since this was asked last, by method and path. Health checks and
    /// the gateway's comparisons come at times of their own choice, and are left out.
    pub(crate) async fn counts(&self) -> BTreeMap<String, u64> {
        let line = "GET /_emulator/requests?reset=true";
        let told = self.ask(line, "", &Value::Null).await;
        let mut counts = BTreeMap::new();
        for request in told["requests"].as_array().unwrap() {
            let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
            let (path, query) = (text("path"), text("query"));
            let of_many = path == "/v2/sandboxes" && !query.contains("sandgate.sandbox_id");
            if path != "/health" && !of_many {
                let key = format!("{} {path}", text("method"));
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
    }

    /// E2B's ids of all sandboxes that an account has.
    pub(crate) async fn sandboxes(&self, key: &str) -> Vec<String> {
        let line = "GET /v2/sandboxes?state=running,paused";
        let all = self.ask(line, key, &Value::Null).await;
        let ids = all.as_array().unwrap().iter();
        ids.map(|one| one["sandboxID"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Removes a sandbox, as its owner would at E2B's dashboard.
    pub(crate) async fn kill(&self, key: &str, id: &str) {
        let line = format!("DELETE /sandboxes/{id}");
        self.ask(&line, key, &Value::Null).await;
    }

    /// A sandbox as its owner sees it.
    pub(crate) async fn detail(&self, key: &str, id: &str) -> Value {
        let line = format!("GET /sandboxes/{id}");
        self.ask(&line, key, &Value::Null).await
    }

    /// When its time is over, in seconds since the epoch.
    pub(crate) async fn end(&self, key: &str, id: &str) -> i64 {
        let detail = self.detail(key, id).await;
        let end: Timestamp = detail["endAt"].as_str().unwrap().parse().unwrap();
        end.seconds
    }

    /// Has its time be over so soon, as its owner can.
    pub(crate) async fn set_timeout(&self, key: &str, id: &str, seconds: u32) {
        let line = format!("POST /sandboxes/{id}/timeout");
        self.ask(&line, key, &json!({ "timeout": seconds })).await;
    }

    /// Its time is over now.
    pub(crate) async fn expire(&self, id: &str) {
        let line = format!("POST /_emulator/sandboxes/{id}/expire");
        self.ask(&line, "", &Value::Null).await;
    }

    /// How often a sandbox was woken since [`Self::counts`] was asked last.
    pub(crate) async fn woken(&self) -> u64 {
        let counts = self.counts().await;
        let wakes = |line: &str| line.ends_with("/connect") || line.ends_with("/resume");
        let woken = counts.iter().filter(|(line, _)| wakes(line));
        woken.map(|(_, count)| count).sum()
    }
}
