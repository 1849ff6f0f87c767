//! A smart-HTTP server of git: `git http-backend` behind a little CGI, with basic authentication where a
//! path says so, and a record of who asked how.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command};

type Body = BoxBody<Bytes, Infallible>;

/// What the server knows and has seen.
struct State {
    root: PathBuf,
    /// The only password that is good now.
    password: Mutex<String>,
    /// Where `/moved` leads.
    elsewhere: Mutex<String>,
    asked: Mutex<Vec<Asked>>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked for, without the query.
    pub path: String,
    /// Its password, if it had one.
    pub password: Option<String>,
}

/// A running server. The first part of a path says how it is served: `open` to all; `closed` to the
/// password; `moved` likewise, and then sends elsewhere; `stuck` likewise, and sends half of what is cloned
/// and no more; `old` speaks the first version of git's protocol alone.
pub struct GitServer {
    state: Arc<State>,
    /// Where it listens, on every address of this machine.
    pub port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitServer {
    /// Serves the repositories in a folder.
    pub async fn start(root: &Path) -> Self {
        let state = Arc::new(State {
            root: root.to_owned(),
            password: Mutex::default(),
            elsewhere: Mutex::default(),
            asked: Mutex::default(),
        });
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let listener = TcpListener::bind(any).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(serve(listener, state.clone()));
        Self { state, port, task }
    }

    /// From now on this is the only password.
    pub fn takes(&self, password: &str) {
        password.clone_into(&mut self.state.password.lock().unwrap());
    }

    /// From now on `/moved` leads there.
    pub fn leads_to(&self, url: &str) {
        url.clone_into(&mut self.state.elsewhere.lock().unwrap());
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let state = state.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            // Who breaks off has a reason of its own.
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            drop(connection.await);
        });
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let password = password(&request);
    state.asked.lock().unwrap().push(Asked {
        path: path.clone(),
        password: password.clone(),
    });
    let (way, repository) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let is_known = password.is_some_and(|password| password == *state.password.lock().unwrap());
    if matches!(way, "closed" | "moved" | "stuck") && !is_known {
        let asks = (header::WWW_AUTHENTICATE, "Basic realm=\"git\"");
        return plain(StatusCode::UNAUTHORIZED, asks);
    }
    if way == "moved" {
        let elsewhere = state.elsewhere.lock().unwrap().clone();
        let query = request.uri().query().unwrap_or_default();
        let there = format!("{elsewhere}/{repository}?{query}");
        return plain(StatusCode::FOUND, (header::LOCATION, &there));
    }
    let is_stuck = way == "stuck" && path.ends_with("git-upload-pack");
    let mut request = request;
    if way == "old" {
        request.headers_mut().remove("git-protocol");
    }
    backend(state, &format!("/{repository}"), request, is_stuck).await
}

fn password(request: &Request<Incoming>) -> Option<String> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

fn plain(status: StatusCode, (name, value): (header::HeaderName, &str)) -> Response<Body> {
    let answer = Response::builder().status(status).header(name, value);
    answer.body(Full::default().boxed()).unwrap()
}

/// Has git answer.
async fn backend(
    state: &State,
    path: &str,
    request: Request<Incoming>,
    stuck: bool,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let given = tokio::spawn(async move { input.write_all(&body).await });
    let said = child.wait_with_output().await.unwrap().stdout;
    drop(given.await);
    response(&said, stuck)
}

/// What a CGI program prints is the answer.
fn response(said: &[u8], stuck: bool) -> Response<Body> {
    let mut reader = BufReader::new(said);
    let mut answer = Response::builder();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        answer = match name {
            "Status" => answer.status(value[..3].parse::<u16>().unwrap()),
            _ => answer.header(name, value),
        };
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    // Of what only says which refs there are, all.
    if !stuck || body.len() < 4096 {
        return answer.body(Full::from(body).boxed()).unwrap();
    }
    body.truncate(body.len() / 2);
    let half = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(body)))]);
    let never = stream::pending();
    answer
        .body(BodyExt::boxed(StreamBody::new(half.chain(never))))
        .unwrap()
}
