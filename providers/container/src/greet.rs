//! A first word with a runner, to see that it is there. Does not say which sandbox it is.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION, put_frame,
    v1::{FromRunner, Hello, ToRunner, from_runner, to_runner},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::link::Link;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Greets the runner at the other end.
///
/// # Errors
/// A sentence, where that does not welcome us.
pub(crate) async fn greet(link: Link, secret: &str) -> Result<(), String> {
    match timeout(PATIENCE, talk(link, secret)).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn talk(mut link: Link, secret: &str) -> Result<(), String> {
    let hello = Hello {
        lowest_version: LOWEST_VERSION,
        highest_version: HIGHEST_VERSION,
        secret: Bytes::copy_from_slice(secret.as_bytes()),
        ..Hello::default()
    };
    let mut out = BytesMut::new();
    let body = Some(to_runner::Body::Hello(hello));
    put_frame(&ToRunner { call: 1, body }, &mut out);
    let broken = |error: std::io::Error| error.to_string();
    link.write_all_buf(&mut out).await.map_err(broken)?;
    link.flush().await.map_err(broken)?;
    let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
    loop {
        let frame: Option<FromRunner> = frames.next().map_err(|error| error.to_string())?;
        match frame.map(|frame| frame.body) {
            Some(Some(from_runner::Body::Welcome(_))) => return Ok(()),
            Some(Some(from_runner::Body::Refused(refused))) => {
                return Err(format!("refused: {:?}", refused.reason));
            }
            Some(_) => return Err("an answer of another kind".to_owned()),
            None => {}
        }
        if link.read_buf(frames.buffer()).await.map_err(broken)? == 0 {
            return Err("the runner is not there yet".to_owned());
        }
    }
}
