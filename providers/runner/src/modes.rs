//! What each mode of the program does.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::{fd::AsFd as _, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use sandgate_runner_proto::{
    FrameReader, HIGHEST_VERSION, LOWEST_VERSION, TO_RUNNER_BYTES, put_frame,
    v1::{Observe, Refused, Start, ToRunner, from_runner, to_runner},
};

use crate::{
    answer::{frame, malformed, refused},
    args::{Init, Mode, Options},
    bridge,
    config::Setup,
    engine::Engine,
    execution::is_id,
    files, git, socket,
    state::StateFile,
    visit,
};

/// Descriptors that the runner may need: pipes of all that may run, and files of all that ended.
const DESCRIPTORS: u64 = 8192;

/// Does what the command line says; the code to end with.
pub(crate) fn run(mode: Mode) -> io::Result<u8> {
    let done = match mode {
        Mode::Clone => return git::clone(),
        Mode::Credentials => return git::credentials(),
        Mode::Lend(socket, operation) => git::lend(socket, &operation),
        Mode::Forget(which) => git::forget(&which),
        Mode::Init(init, options) => hold_many(&init, options),
        Mode::Run(folder, options) => hold_one(&folder, options),
        Mode::Bridge(socket) => bridge::run(&socket),
        Mode::Visit(visit) => visit::run(&visit),
        Mode::Files => files::serve(),
        Mode::Version => {
            let version = env!("CARGO_PKG_VERSION");
            writeln!(
                io::stdout(),
                "sandgate-runner {version}, protocol {LOWEST_VERSION} to {HIGHEST_VERSION}"
            )
        }
    };
    done.map(|()| 0)
}

/// What holds for both ways to hold executions: nobody may look into our memory, orphans are ours,
/// and there are descriptors enough.
fn prepare(setup: &Setup) -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if !setup.is_init {
        rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    }
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit {
            current: Some(wanted),
            maximum,
        };
        rustix::process::setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

fn hold_many(init: &Init, options: Options) -> io::Result<()> {
    if init.detached {
        rustix::process::setsid()?;
    }
    let setup = Setup::init(init, options)?;
    prepare(&setup)?;
    if let Some(folder) = &init.spool_dir {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let listener = socket::listen(&init.socket)?;
    // Of no concern to all else that there is to do.
    if let Err(error) = git::go_on() {
        eprintln!("a token that was lent to git is not watched: {error}");
    }
    let engine = Engine::new(setup, listener, None)?;
    if let [program, arguments @ ..] = &init.command[..] {
        // Its end ends nothing, so nobody keeps it; it is reaped with all others.
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()?;
    }
    engine.run()
}

/// Holds the execution whose Start is read from standard input.
fn hold_one(folder: &Path, options: Options) -> io::Result<()> {
    let (call, mut start) = match read_start() {
        Ok(found) => found,
        Err(refusal) => return refuse(0, refusal),
    };
    let Some(folder) = own_folder(folder, &start.execution_id)? else {
        let message = "there is a folder for this id; read it, or reach its runner with `ctl`";
        return refuse(call, refused("ID_REUSED", message));
    };
    let folder = fs::canonicalize(folder)?;
    let setup = Setup::single(folder.clone(), options);
    prepare(&setup)?;
    // From inside, since the whole path may be longer than a socket's address can be.
    rustix::process::chdir(&folder)?;
    let listener = socket::listen(Path::new("control"))?;
    let state = StateFile::new(folder.clone());
    let mut engine = Engine::new(setup, listener, Some(state))?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::io::ioctl_fionbio(output.as_fd(), true)?;
    // Nobody can give credit here: the reader's own pace is the limit.
    let observe = start.observe.get_or_insert_with(|| Observe {
        follow: true,
        ..Observe::default()
    });
    observe.credit = u64::MAX;
    let connection = engine
        .connect_output(output)
        .ok_or(io::ErrorKind::OutOfMemory)?;
    if let Err(refusal) = engine.start(connection, call, &start) {
        // The folder is ours, and holds nothing yet but the socket: the id stays free.
        fs::remove_dir_all(folder)?;
        return refuse(call, refusal);
    }
    engine.run()
}

fn read_start() -> Result<(u64, Start), Refused> {
    let mut reader = FrameReader::new(TO_RUNNER_BYTES);
    let (mut input, mut buffer) = (io::stdin().lock(), vec![0; 64 * 1024]);
    loop {
        let size = match input.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.unwrap_or(0),
        };
        reader.buffer().extend_from_slice(&buffer[..size]);
        let frame = reader
            .next::<ToRunner>()
            .map_err(|broken| malformed(&broken.to_string()))?;
        match frame.map(|frame| (frame.call, frame.body)) {
            Some((call, Some(to_runner::Body::Start(start)))) if is_id(&start.execution_id) => {
                return Ok((call, start));
            }
            None if size > 0 => {}
            _ => {
                return Err(malformed(
                    "write one Start with a good execution_id to standard input",
                ));
            }
        }
    }
}

/// Makes the folder of an execution; none: there is one.
fn own_folder(folder: &Path, id: &str) -> io::Result<Option<PathBuf>> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).recursive(true).create(folder)?;
    let own = folder.join(id);
    match builder.recursive(false).create(&own) {
        Ok(()) => Ok(Some(own)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// A refusal is an answer, not a failure of the program.
fn refuse(call: u64, refusal: Refused) -> io::Result<()> {
    let mut bytes = Vec::new();
    put_frame(
        &frame(call, from_runner::Body::Refused(refusal)),
        &mut bytes,
    );
    io::stdout().write_all(&bytes)
}
