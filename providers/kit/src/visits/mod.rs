//! A runner that is reached by visits: a vendor starts `sandgate-runner visit` in the sandbox, with
//! frames in its environment, and what it prints is what the runner answers. Each call is one visit,
//! so that each has the pace of its own reader, and the loss of one is no loss of a runner.

mod call;
mod desk;
mod files;
mod uploaded;

use std::{future::Future, io, pin::Pin, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::Stream;
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION, VISIT_VARIABLE, put_frame,
    v1::{Hello, ToRunner, Welcome, from_runner, to_runner},
};
use tokio::io::DuplexStream;

use self::desk::Desk;
pub use self::uploaded::Uploaded;
use crate::{CallContext, GreetError};

/// Of each direction between the kit and the desk, in bytes.
const BUFFER: usize = 256 * 1024;
/// Bytes of a variable: the kernel takes no longer string than 128 KiB.
const PART: usize = 96 * 1024;
/// Most bytes of frames that a visit is given in variables: with all else they have to fit into the 2 MiB
/// that a program may be started with. More goes through a file.
const MOST: usize = 900 * 1024;
/// What a call is answered whose visit is lost, be it made or not. Said by the desk, never by a runner.
pub(crate) const LOST: &str = "VISIT_LOST";
/// The call of the handshake.
const HELLO: u64 = 1;

/// Makes visits to the runner of one sandbox.
pub trait Visitor: Send + Sync + 'static {
    /// A visit under way.
    type Visit: Visit;

    /// Starts `sandgate-runner visit` with these variables. May be dropped at any await.
    ///
    /// # Errors
    /// Where it did not start, or nobody knows; whether repeating is of use is found out by the next
    /// call of `Provider::reach`.
    fn visit(
        &self,
        variables: Vec<(String, String)>,
    ) -> impl Future<Output = io::Result<Self::Visit>> + Send;

    /// Puts bytes into a new file in the sandbox. Whoever reads it removes it; what is returned does so
    /// where nobody is known to have read it. May be dropped at any await.
    ///
    /// # Errors
    /// Where not all came, or was taken; the file is removed again, as well as that can be done. A full
    /// disk is [`io::ErrorKind::StorageFull`].
    fn upload(
        &self,
        content: Upload,
        reader: Reader,
    ) -> impl Future<Output = io::Result<Uploaded>> + Send;
}

/// Who may read and remove an uploaded file; nobody else may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The runner's own user: frames.
    Runner,
    /// The sandbox's user: what a file is to hold.
    User,
}

/// Bytes as they come. An error in it says that not all did.
pub type Upload = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A visit under way.
pub trait Visit: Send + 'static {
    /// What it printed next; none: it ended well. Nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// Where it ended otherwise, or its output is lost.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;

    /// Ends it: nobody waits for its answer any more.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// A runner that was greeted by a visit.
pub struct Greeted<V> {
    visitor: V,
    hello: Hello,
    welcome: Welcome,
}

impl<V: Visitor> Greeted<V> {
    /// Greets the runner of the sandbox that the context names. The caller bounds the time.
    ///
    /// # Errors
    /// Where it does not welcome us. What the vendor said is [`GreetError::Io`].
    pub async fn by(visitor: V, context: &CallContext) -> Result<Self, GreetError> {
        let hello = Hello {
            lowest_version: LOWEST_VERSION,
            highest_version: HIGHEST_VERSION,
            sandbox_id: context.sandbox_id.clone(),
            generation: context.generation,
            ..Hello::default()
        };
        let mut visit = visitor.visit(variables(&framed(&hello, &[]))).await?;
        let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
        loop {
            let frame = frames.next()?;
            match frame.and_then(|frame: sandgate_runner_proto::v1::FromRunner| frame.body) {
                None => match visit.next().await? {
                    Some(bytes) => frames.buffer().extend_from_slice(&bytes),
                    None => return Err(GreetError::Ended),
                },
                Some(from_runner::Body::Welcome(welcome)) => {
                    return Ok(Self {
                        visitor,
                        hello,
                        welcome,
                    });
                }
                Some(from_runner::Body::Refused(refused)) => {
                    return Err(GreetError::Refused(refused.reason));
                }
                Some(_) => return Err(GreetError::Other),
            }
        }
    }

    /// What the runner said of itself.
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// A byte stream that is to the kit what a connection to the runner would be.
    pub fn link(self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(BUFFER);
        let Self {
            visitor,
            hello,
            welcome,
        } = self;
        let desk = Arc::new(Desk::new(visitor, hello, welcome));
        tokio::spawn(desk.serve(far));
        near
    }
}

/// The frames of one visit: the greeting, and what is asked.
fn framed(hello: &Hello, asked: &[ToRunner]) -> Vec<u8> {
    let mut frames = Vec::new();
    let body = Some(to_runner::Body::Hello(hello.clone()));
    put_frame(&ToRunner { call: HELLO, body }, &mut frames);
    for frame in asked {
        put_frame(frame, &mut frames);
    }
    frames
}

/// The variables that carry frames.
fn variables(frames: &[u8]) -> Vec<(String, String)> {
    let text = BASE64_STANDARD.encode(frames);
    let parts = text.as_bytes().chunks(PART).enumerate();
    parts
        .map(|(part, bytes)| {
            let value = String::from_utf8_lossy(bytes).into_owned();
            (format!("{VISIT_VARIABLE}_{part}"), value)
        })
        .collect()
}

#[cfg(test)]
mod tests;
