//! A Docker Engine that is none: it answers well, but for what a test wants answered otherwise.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sandgate_provider_container::{Config, Container, Inputs, Transport};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A status and a body.
    Answer(u16, String),
    /// The same, and nobody listens from then on.
    Last(u16, String),
    /// The same, after a while.
    Slow(Duration, u16, String),
    /// The connection ends without an answer.
    Reset,
    /// No answer, ever.
    Hang,
    /// Half of an answer, and the end of the connection.
    Half,
    /// Half of an answer, and nothing more.
    Stall,
    /// Something that is no HTTP.
    Noise,
    /// One piece of progress after the other, with such pauses.
    Progress(Duration, Vec<String>),
}

/// Which request: its method, a part of its path with the query, and what happens.
pub(crate) type Rule = (&'static str, &'static str, Act);

/// The engine, ended with the test.
pub(crate) struct Fake {
    folder: TempDir,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Fake {
    pub(crate) fn start(rules: Vec<Rule>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let seen = Arc::new(Mutex::default());
        let task = tokio::spawn(serve(listener, Arc::new(rules), seen.clone()));
        Self { folder, seen, task }
    }

    /// A provider on it.
    pub(crate) async fn provider(&self) -> Container {
        let host = format!("unix://{}/docker.sock", self.folder.path().display());
        let config = Config {
            engine: Inputs {
                host: Some(host),
                ..Inputs::default()
            },
            transport: Transport::Bridge,
            ..Config::default()
        };
        Container::connect(config).await.unwrap()
    }

    /// Requests so far: method and path.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: UnixListener, rules: Arc<Vec<Rule>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut calls: JoinSet<bool> = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                calls.spawn(one(stream, rules.clone(), seen.clone()));
            }
            Some(last) = calls.join_next() => {
                if last.unwrap() {
                    return;
                }
            }
        }
    }
}

/// One request and its answer; true if it was to be the last.
async fn one(mut stream: UnixStream, rules: Arc<Vec<Rule>>, seen: Arc<Mutex<Vec<String>>>) -> bool {
    let Some((method, path)) = request(&mut stream).await else {
        return false;
    };
    seen.lock().unwrap().push(format!("{method} {path}"));
    let rule = rules
        .iter()
        .find(|(wanted, part, _)| *wanted == method && path.contains(part));
    let well = || usual(&method, &path);
    let act = rule.map_or_else(well, |(_, _, act)| act.clone());
    match act {
        Act::Answer(status, body) => answer(&mut stream, status, &body).await,
        Act::Last(status, body) => {
            answer(&mut stream, status, &body).await;
            return true;
        }
        Act::Slow(pause, status, body) => {
            sleep(pause).await;
            answer(&mut stream, status, &body).await;
        }
        Act::Reset => {}
        Act::Hang => std::future::pending().await,
        Act::Half => say(&mut stream, HALF).await,
        Act::Stall => {
            say(&mut stream, HALF).await;
            std::future::pending().await
        }
        Act::Noise => say(&mut stream, "SSH-2.0-RAW\r\n").await,
        Act::Progress(pause, pieces) => {
            say(&mut stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            for piece in pieces {
                sleep(pause).await;
                say(&mut stream, &piece).await;
            }
        }
    }
    false
}

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n[{\"Id\": \"RAW";

async fn answer(stream: &mut UnixStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    say(stream, &head).await;
    if status != 204 && status != 304 {
        say(stream, body).await;
    }
}

async fn say(stream: &mut UnixStream, text: &str) {
    // Whoever asked may be gone.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// Reads a request to its end, and gives its method and its path without the version.
async fn request(stream: &mut UnixStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map(|text| text.parse());
    let length: usize = length.transpose().unwrap().unwrap_or(0);
    let chunked = headers.contains_key("transfer-encoding");
    while bytes.len() < length || (chunked && !bytes.ends_with(b"0\r\n\r\n")) {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => rest[rest.find('/')?..].to_owned(),
        None => path,
    };
    Some((method, path))
}

/// What an engine without anything answers that makes whatever it is asked for.
fn usual(method: &str, path: &str) -> Act {
    let container =
        r#"{"Id":"c1","Image":"i1","State":{"Status":"created"},"Config":{"Labels":{},"Cmd":[]}}"#;
    let (status, body) = match (method, path) {
        ("GET", "/version") => (200, r#"{"ApiVersion":"1.41","Version":"1"}"#),
        ("GET", "/info") => (
            200,
            r#"{"ID":"engine","NCPU":8,"MemTotal":68719476736,"DefaultRuntime":"runc"}"#,
        ),
        ("GET", "/_ping") => (200, "OK"),
        ("GET", path) if path.starts_with("/images/") => (200, r#"{"Id":"i1","Config":{}}"#),
        ("GET", path) if path.starts_with("/containers/json") => (200, "[]"),
        ("GET", path) if path.contains("/archive") => (404, r#"{"message":"no such file"}"#),
        ("GET", path) if path.starts_with("/containers/") => (200, container),
        ("GET", path) if path.starts_with("/networks") => (200, "[]"),
        ("GET", path) if path.starts_with("/volumes") => (200, r#"{"Volumes":[]}"#),
        ("POST", path) if path.starts_with("/containers/create") => {
            (201, r#"{"Id":"c1","Warnings":[]}"#)
        }
        ("POST", "/networks/create") => (201, r#"{"Id":"n1","Warning":""}"#),
        ("PUT", _) => (200, ""),
        ("POST" | "DELETE", _) => (204, ""),
        _ => (404, r#"{"message":"page not found"}"#),
    };
    Act::Answer(status, body.to_owned())
}
