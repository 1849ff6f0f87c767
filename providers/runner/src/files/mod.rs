//! Work on files: a process of its own for each connection that asks for it, as the sandbox's user,
//! so that the kernel decides what it may do. It serves one request after another and ends with its
//! connection.

mod edit;
mod facts;
mod line;
mod list;
mod pack;
mod pulse;
mod read;
mod remove;
mod skip;
mod source;
mod sparse;
mod temporary;
mod trouble;
mod unpack;
mod walk;
mod write;

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use sandgate_runner_proto::v1::{
    Done, FileAnswer, FileRequest, file_request, from_runner, to_runner,
};

pub(crate) use self::line::Inherited;
use self::{line::Line, trouble::Trouble};
use crate::answer::{malformed, refused};

/// Most memory, in bytes: archives name sizes that nobody has to believe.
const MEMORY: u64 = 512 << 20;

/// What a request comes to: its last answer.
type Answer = Result<FileAnswer, Trouble>;

/// Serves the connection on standard input; on standard output is what came on it before, standard
/// error leads to the runner.
pub(crate) fn serve() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    rustix::process::setrlimit(Resource::As, limit)?;
    serve_on(Inherited::take()?)
}

/// The same on any connection.
pub(crate) fn serve_on(inherited: Inherited) -> io::Result<()> {
    let mut line = Line::new(inherited)?;
    while let Some(frame) = line.next()? {
        let call = frame.call;
        let answer = match frame.body {
            Some(to_runner::Body::Files(_)) => from_runner::Body::Done(Done { delivered: true }),
            Some(to_runner::Body::File(request)) => match work(&mut line, call, request) {
                Ok(answer) => from_runner::Body::FileAnswer(answer),
                Err(Trouble::Line(error)) => return Err(error),
                Err(trouble) => from_runner::Body::Refused(trouble.refusal()),
            },
            // What is left of a request that has been answered.
            Some(to_runner::Body::FileData(_) | to_runner::Body::Drop(_)) => continue,
            None => from_runner::Body::Refused(refused(
                "UNKNOWN_REQUEST",
                "this runner is older than the request",
            )),
            Some(_) => from_runner::Body::Refused(malformed("this connection is for files")),
        };
        line.end(call, answer)?;
        line.drain(call)?;
    }
    Ok(())
}

/// Reads, and again where a signal came in between.
fn again(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn work(line: &mut Line, call: u64, request: FileRequest) -> Answer {
    use file_request::Body;
    let Some(body) = request.body else {
        return Err(Trouble::refused(
            "UNKNOWN_REQUEST",
            "this runner is older than the request",
        ));
    };
    line.begin(call, &body);
    match body {
        Body::Read(read) => read::read(line, &read),
        Body::Write(write) => write::write(line, &write),
        Body::Stat(stat) => facts::stat(&stat),
        Body::List(list) => list::list(line, &list),
        Body::MakeFolder(make) => edit::make_folder(&make),
        Body::Remove(remove) => edit::remove(&remove),
        Body::Move(rename) => edit::rename(&rename),
        Body::Pack(pack) => pack::pack(line, &pack),
        Body::Unpack(unpack) => unpack::unpack(line, &unpack),
    }
}
