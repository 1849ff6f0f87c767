//! The exec API: make an exec, attach, read to the end, ask how it ended.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{Engine, frames::Frames, text};
use crate::error::{Error, Result};

/// Bytes asked for at once.
const READ: usize = 256 * 1024;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Engine {
    /// Runs a program of a container to its end; bytes that it printed.
    ///
    /// # Errors
    /// Also where it did not exit with 0.
    pub(crate) async fn run(&self, container: &str, argv: &[&str]) -> Result<u64> {
        let wrong = |what: String| Error::Engine {
            doing: format!("exec of {argv:?}"),
            what,
        };
        let body = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": argv});
        let path = format!("/containers/{container}/exec");
        let made = self.ask("POST", &path, Some(&body)).await?;
        let id = text(&made, "Id").ok_or_else(|| wrong("no id".to_owned()))?;
        let frames = timeout(PATIENCE, self.read(&id))
            .await
            .map_err(|_| wrong("no end in time".to_owned()))?
            .map_err(|error| wrong(error.to_string()))?;
        let seen = self.ask("GET", &format!("/exec/{id}/json"), None).await?;
        match seen["ExitCode"].as_i64() {
            Some(0) if frames.whole() => Ok(frames.stdout),
            _ => Err(wrong(format!("it ended with {}", seen["ExitCode"]))),
        }
    }

    async fn read(&self, id: &str) -> std::io::Result<Frames> {
        let body = json!({"Detach": false, "Tty": false});
        let path = format!("/exec/{id}/start");
        let mut answer = self.begin("POST", &path, Some(&body)).await?;
        let mut frames = Frames::default();
        frames.take(&answer.begun);
        let mut buffer = vec![0; READ];
        loop {
            match answer.stream.read(&mut buffer).await? {
                0 => return Ok(frames),
                read => frames.take(&buffer[..read]),
            }
        }
    }
}
