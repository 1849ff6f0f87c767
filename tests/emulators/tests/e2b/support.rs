//! An emulator in the test's process, and plain HTTP to it.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sandgate_emulators::e2b::{Emulator, Settings};
use serde_json::Value;
use tokio::net::TcpStream;

/// Starts one.
pub(crate) async fn start() -> Emulator {
    start_with(|_| {}).await
}

/// Starts one that is not the usual.
pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Emulator {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_sandgate-emulator"));
    let mut settings = Settings::local(program);
    change(&mut settings);
    Emulator::start(settings).await.unwrap()
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body broke off.
    pub(crate) broken: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The messages of a stream, and what its last frame says.
    pub(crate) fn frames(&self) -> (Vec<Value>, Option<Value>) {
        let (mut rest, mut messages) = (&self.body[..], Vec::new());
        while let [flags, a, b, c, d, tail @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let value = serde_json::from_slice(&tail[..length]).unwrap();
            if flags & 2 != 0 {
                return (messages, Some(value));
            }
            messages.push(value);
            rest = &tail[length..];
        }
        (messages, None)
    }
}

/// Sends a request; none: there was no answer.
pub(crate) async fn call(
    emulator: &Emulator,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let (method, path) = line.split_once(' ').unwrap();
    let stream = TcpStream::connect(emulator.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", emulator.address().to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let (parts, mut stream) = sender.send_request(request).await.ok()?.into_parts();
    let (mut body, mut broken) = (Vec::new(), false);
    while let Some(frame) = stream.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => broken = true,
        }
        if broken {
            break;
        }
    }
    Some(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.into(),
        broken,
    })
}

/// A message in a frame.
pub(crate) fn framed(message: &Value) -> Vec<u8> {
    let message = message.to_string();
    let length = u32::try_from(message.len()).unwrap();
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message.as_bytes());
    frame
}

/// A sandbox, and the headers that lead into it.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Inside {
    /// Makes one.
    pub(crate) async fn make(emulator: &Emulator, more: Value) -> Self {
        let mut new = serde_json::json!({"templateID": "base", "timeout": 60});
        new.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let headers = [
            ("x-api-key", "e2b_test"),
            ("content-type", "application/json"),
        ];
        let made = call(emulator, "POST /v2/sandboxes", &headers, new.to_string())
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        Self {
            id: text("sandboxID"),
            token: text("envdAccessToken"),
        }
    }

    /// Calls the management API about it.
    pub(crate) async fn manage(&self, emulator: &Emulator, line: &str, body: &str) -> Answer {
        let line = line.replace("{id}", &self.id);
        let headers = [
            ("x-api-key", "e2b_test"),
            ("content-type", "application/json"),
        ];
        call(emulator, &line, &headers, body.to_owned())
            .await
            .unwrap()
    }

    /// Calls into it.
    pub(crate) async fn call(
        &self,
        emulator: &Emulator,
        line: &str,
        more: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let mut headers = vec![
            ("e2b-sandbox-id", self.id.as_str()),
            ("e2b-sandbox-port", "49983"),
            ("x-access-token", self.token.as_str()),
        ];
        headers.extend(more);
        call(emulator, line, &headers, body).await
    }

    /// Starts a process and follows it to the end of the stream.
    pub(crate) async fn start(
        &self,
        emulator: &Emulator,
        request: &Value,
        more: &[(&str, &str)],
    ) -> (Vec<Value>, Option<Value>) {
        let mut headers = vec![("content-type", "application/connect+json")];
        headers.extend(more);
        let line = "POST /process.Process/Start";
        let answer = self
            .call(emulator, line, &headers, framed(request))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.frames()
    }
}
