//! Why the benchmark could not run.

use std::io;

/// A reason that ends the run. Slowness is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("cannot start {program}: {source}; {hint}")]
    Start {
        /// Which.
        program: String,
        /// Why not.
        source: io::Error,
        /// What helps.
        hint: &'static str,
    },
    /// A program started, and ended or stayed silent where it should serve.
    #[error("{program} {what}; its own message, if any, is above")]
    Program {
        /// Which.
        program: String,
        /// What it did.
        what: String,
    },
    /// A file, a folder or a port of this machine.
    #[error("{doing}: {source}")]
    Machine {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A call failed.
    #[error("a call over {way} failed: {status}")]
    Call {
        /// Which way it took.
        way: &'static str,
        /// What came back.
        status: Box<tonic::Status>,
    },
    /// An answer is not what the provider sends.
    #[error("an answer over {way} is wrong: {what}")]
    Answer {
        /// Which way it took.
        way: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The gateway's database could not be filled, or has no sandbox to copy.
    #[error("cannot fill the gateway's database: {0}")]
    Store(#[from] sqlx::Error),
    /// The Docker Engine cannot be used.
    #[error(
        "no Docker Engine answers at {socket}: {what}; start one on this machine, name its socket with --docker, or take other figures with --only"
    )]
    NoEngine {
        /// Where it was looked for.
        socket: String,
        /// Why not.
        what: String,
    },
    /// The Docker Engine has no such image.
    #[error(
        "the Docker Engine has no image {0}: pull debian:12-slim and tag it so, or name another with --image"
    )]
    NoImage(String),
    /// The Docker Engine refused something, or answered with something else.
    #[error("the Docker Engine: {doing}: {what}")]
    Engine {
        /// What it was asked.
        doing: String,
        /// What it said.
        what: String,
    },
    /// A signal ended the run.
    #[error("ended by a signal; what was made is removed")]
    Interrupted,
    /// A phase took far longer than on any machine that a figure could be taken on.
    #[error("{0} did not end in time; is the machine busy?")]
    Late(&'static str),
}

/// What the parts of the benchmark return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Says what was tried on this machine.
pub(crate) fn machine(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Machine { doing, source }
}
