//! The Docker Engine's own API over its unix socket, with nothing around it that could slow it.

mod archive;
mod bare;
mod frames;
mod made;
mod run;

pub(crate) use bare::Recipe;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use crate::error::{Error, Result};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// No head of an answer is longer.
const HEAD: usize = 64 * 1024;

/// An engine on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
}

/// An answer whose body is still to be read.
struct Answer {
    stream: UnixStream,
    status: u16,
    /// What came of the body together with the head.
    begun: Vec<u8>,
}

impl Engine {
    /// Connects for every call anew, which takes microseconds.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Whether it answers and has the image.
    pub(crate) async fn check(&self, image: &str) -> Result<()> {
        if let Err(error) = self.ask("GET", "/version", None).await {
            return Err(Error::NoEngine {
                socket: self.socket.display().to_string(),
                what: error.to_string(),
            });
        }
        let path = format!("/images/{image}/json");
        let found = self.ask("GET", &path, None).await;
        found
            .map(|_| ())
            .map_err(|_| Error::NoImage(image.to_owned()))
    }

    /// Its version, for the table.
    pub(crate) async fn version(&self) -> String {
        let answer = self.ask("GET", "/version", None).await;
        let version = answer.ok().and_then(|answer| text(&answer, "Version"));
        version.unwrap_or_else(|| "of an unknown version".to_owned())
    }

    /// One call; the answer's document, nothing where it has none.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let call = async {
            let mut answer = self.begin(method, path, body).await?;
            answer.stream.read_to_end(&mut answer.begun).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let wrong = |what: String| Error::Engine {
            doing: format!("{method} {path}"),
            what,
        };
        let answer = timeout(PATIENCE, call)
            .await
            .map_err(|_| wrong("no answer in time".to_owned()))?
            .map_err(|error| wrong(error.to_string()))?;
        let document = serde_json::from_slice(&answer.begun).unwrap_or_default();
        if answer.status >= 400 {
            let said = text(&document, "message").unwrap_or_default();
            return Err(wrong(format!("status {}: {said}", answer.status)));
        }
        Ok(document)
    }

    /// Sends a call and reads the head of the answer. In HTTP/1.0 a body is plain and ends with
    /// the connection.
    async fn begin(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, "application/json", body.as_bytes())
            .await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut begun = Vec::new();
        loop {
            if let Some(end) = begun.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = begun.split_off(end + 4);
                let status = status(&begun).ok_or_else(no_answer)?;
                return Ok(Answer {
                    stream,
                    status,
                    begun: rest,
                });
            }
            if begun.len() > HEAD || stream.read_buf(&mut begun).await? == 0 {
                return Err(no_answer());
            }
        }
    }
}

fn no_answer() -> std::io::Error {
    std::io::Error::other("what came is no HTTP answer")
}

fn status(head: &[u8]) -> Option<u16> {
    let head = std::str::from_utf8(head).ok()?;
    head.split_whitespace().nth(1)?.parse().ok()
}

/// A text of a document.
fn text(document: &Value, field: &str) -> Option<String> {
    document.get(field)?.as_str().map(str::to_owned)
}
