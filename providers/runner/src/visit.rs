//! One visit to the runner of a sandbox: the frames that came in the environment go to its socket,
//! and what it says comes back, until the last answer. Where no runner listens, one is started.
//!
//! For vendors that start a program in a sandbox with one request, and stream what it prints.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::{fs::FlockOperation, process::DumpableBehavior};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, TO_RUNNER_BYTES, VISIT_FILE, VISIT_VARIABLE,
    v1::{FromRunner, ToRunner, file_answer, from_runner, to_runner},
};

use crate::{
    args::Visit,
    bridge,
    config::{visit_file, visit_variables},
};

/// How long a runner that was started may take to listen.
const READY: Duration = Duration::from_secs(10);
/// Between two tries to connect to it.
const PAUSE: Duration = Duration::from_millis(2);
/// Size of a read.
const READ: usize = 256 * 1024;

/// Makes the visit.
pub(crate) fn run(visit: &Visit) -> io::Result<()> {
    // Nobody else may read what the variables hold.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let variables = visit_variables();
    let frames = match visit_file() {
        Some(file) => taken(&file)?,
        None => frames(&variables)?,
    };
    let mut open = Open::read(&frames)?;
    let mut socket = match bridge::connect(&visit.socket) {
        Ok(socket) => socket,
        Err(error) if is_unheard(&error) && !visit.init.is_empty() => started(visit, &variables)?,
        Err(error) => return Err(error),
    };
    socket.write_all(&frames)?;
    let mut answers = FrameReader::new(FROM_RUNNER_BYTES);
    let (mut buffer, mut output) = (vec![0; READ], io::stdout().lock());
    while !open.0.is_empty() {
        let size = socket.read(&mut buffer)?;
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        output.write_all(&buffer[..size])?;
        output.flush()?;
        answers.buffer().extend_from_slice(&buffer[..size]);
        while let Some(frame) = answers.next().map_err(io::Error::other)? {
            open.answered(&frame);
        }
    }
    Ok(())
}

/// Reads the frames from a file, which is gone then.
fn taken(file: &Path) -> io::Result<Vec<u8>> {
    let frames = fs::read(file);
    fs::remove_file(file)?;
    frames
}

/// Puts the frames together from the variables that hold them in parts.
fn frames(variables: &[(String, String)]) -> io::Result<Vec<u8>> {
    let parts = variables.iter().map(|(_, part)| part.as_str());
    let frames = BASE64_STANDARD.decode(parts.collect::<String>());
    frames.map_err(|error| io::Error::other(format!("{VISIT_VARIABLE}: {error}")))
}

/// Calls that have not had their last answer, and whether what they start is watched.
struct Open(HashMap<u64, bool>);

impl Open {
    fn read(frames: &[u8]) -> io::Result<Self> {
        let mut reader = FrameReader::new(TO_RUNNER_BYTES);
        reader.buffer().extend_from_slice(frames);
        let mut open = HashMap::new();
        while let Some(frame) = reader.next::<ToRunner>().map_err(io::Error::other)? {
            let watched = match frame.body {
                Some(to_runner::Body::Start(start)) => start.observe.is_some(),
                Some(to_runner::Body::Observe(_)) => true,
                // What has no answer.
                Some(
                    to_runner::Body::Credit(_)
                    | to_runner::Body::Drop(_)
                    | to_runner::Body::FileData(_),
                ) => continue,
                _ => false,
            };
            open.insert(frame.call, watched);
        }
        Ok(Self(open))
    }

    fn answered(&mut self, frame: &FromRunner) {
        let watched = self.0.get(&frame.call).copied().unwrap_or_default();
        let goes_on = match &frame.body {
            Some(from_runner::Body::Started(_)) => watched,
            Some(from_runner::Body::Output(_) | from_runner::Body::Gap(_)) => true,
            Some(from_runner::Body::FileAnswer(answer)) => match &answer.body {
                Some(
                    file_answer::Body::Opened(_)
                    | file_answer::Body::Data(_)
                    | file_answer::Body::Working(_),
                ) => true,
                Some(file_answer::Body::Entries(entries)) => !entries.last,
                _ => false,
            },
            _ => false,
        };
        if !goes_on {
            self.0.remove(&frame.call);
        }
    }
}

/// Whether nobody listens there, as far as can be told: any other error is no reason for another runner,
/// which would take the socket from the one that is there.
fn is_unheard(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Starts a runner that outlives this visit, unless another visit was faster.
fn started(visit: &Visit, variables: &[(String, String)]) -> io::Result<UnixStream> {
    if let Some(folder) = visit.socket.parent() {
        // Ours alone, also where somebody else has made it.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    let mut lock = visit.socket.as_os_str().to_owned();
    lock.push(".lock");
    let lock = fs::File::options()
        .create(true)
        .append(true)
        .open(Path::new(&lock))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    match bridge::connect(&visit.socket) {
        Err(error) if is_unheard(&error) => {}
        connected => return connected,
    }
    let mut command = Command::new("/proc/self/exe");
    command.args(["init", "--detached", "--socket"]);
    command.arg(&visit.socket).args(&visit.init);
    for (name, _) in variables {
        command.env_remove(name);
    }
    command.env_remove(VISIT_FILE);
    // Nothing of ours may keep it: who reads our output would wait for its end.
    let null = || Stdio::null();
    let mut runner = command
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn()?;
    let begin = Instant::now();
    loop {
        match bridge::connect(&visit.socket) {
            Ok(socket) => return Ok(socket),
            Err(error) if begin.elapsed() > READY => {
                // Else it would take the place of the one that the next visit starts.
                runner.kill()?;
                return Err(error);
            }
            Err(_) => sleep(PAUSE),
        }
        if let Some(status) = runner.try_wait()? {
            return Err(io::Error::other(format!("the runner ended: {status}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use sandgate_runner_proto::{
        put_frame,
        v1::{Done, Ended, Hello, List, Observe, Output, Start, Started, Welcome},
    };

    use super::*;

    #[test]
    fn a_visit_ends_with_its_last_answer() {
        use from_runner::Body;
        let mut frames = Vec::new();
        let start = |watched: bool| Start {
            observe: watched.then(Observe::default),
            ..Start::default()
        };
        for (call, body) in [
            (1, to_runner::Body::Hello(Hello::default())),
            (2, to_runner::Body::Start(start(true))),
            (3, to_runner::Body::Start(start(false))),
            (4, to_runner::Body::List(List::default())),
        ] {
            let body = Some(body);
            put_frame(&ToRunner { call, body }, &mut frames);
        }
        let mut open = Open::read(&frames).unwrap();
        let mut left = |call, body| {
            open.answered(&FromRunner {
                call,
                body: Some(body),
            });
            open.0.len()
        };
        assert_eq!(left(1, Body::Welcome(Welcome::default())), 3);
        assert_eq!(left(2, Body::Started(Started::default())), 3);
        assert_eq!(left(3, Body::Started(Started::default())), 2);
        assert_eq!(left(2, Body::Output(Output::default())), 2);
        assert_eq!(left(4, Body::Done(Done::default())), 1);
        assert_eq!(left(2, Body::Ended(Ended::default())), 0);
        assert!(Open::read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }
}
