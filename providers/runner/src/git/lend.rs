//! Lends the token to git, by way of git's credential helpers: a helper is this program again, which
//! hands git's own pipes to the one that has the token. So it is in no file, and the helper, which
//! anybody may look at, never has it; and the lender knows whether git asked.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
    io::FdFlags,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use sandgate_runner_proto::OWN_PROGRAM;

use super::login::Login;
use crate::sys;

/// Most that git says of what it wants, in bytes.
const WANTED: u64 = 64 * 1024;

/// The one that has the token.
pub(super) struct Lender {
    /// What helpers inherit: where to ask, and this program wherever it lies.
    ask: OwnedFd,
    program: OwnedFd,
    given: Arc<AtomicBool>,
}

impl Lender {
    /// Begins to lend, until the process ends.
    pub(super) fn new(login: Login) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ask, answer) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let program = rustix::fs::open(OWN_PROGRAM, OFlags::PATH, Mode::empty())?;
        for inherited in [&ask, &program] {
            rustix::io::fcntl_setfd(inherited, FdFlags::empty())?;
        }
        let given = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given);
        thread::Builder::new()
            .name("lender".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                // A helper that breaks off gets nothing; the next one is served as well.
                while let Ok(Some(pipes)) = asked(&answer) {
                    let _ = serve(&login, pipes, &seen);
                }
            })?;
        Ok(Self {
            ask,
            program,
            given,
        })
    }

    /// What to tell git to run.
    pub(super) fn helper(&self) -> String {
        let (program, ask) = (self.program.as_raw_fd(), self.ask.as_raw_fd());
        format!("/proc/self/fd/{program} lend {ask}")
    }

    /// Whether git has had the token.
    pub(super) fn has_given(&self) -> bool {
        self.given.load(SeqCst)
    }
}

/// The helper's part: passes on the pipes that git gave it. What git tells of success and failure is
/// of no use to anybody.
pub(crate) fn ask(socket: i32, operation: &str) -> io::Result<()> {
    if operation != "get" {
        return io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop);
    }
    let socket = sys::inherited(socket)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let pipes = [rustix::stdio::stdin(), rustix::stdio::stdout()];
    if !control.push(SendAncillaryMessage::ScmRights(&pipes)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(
        &socket,
        &[IoSlice::new(b"g")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The pipes of the next helper; none: there will be no more.
fn asked(socket: &OwnedFd) -> io::Result<Option<[File; 2]>> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0; 1];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(socket.as_fd(), &mut into, &mut control, flags)?;
        if message.bytes == 0 {
            return Ok(None);
        }
        let mut pipes = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                pipes.extend(descriptors.map(File::from));
            }
        }
        if let Ok(pipes) = <[File; 2]>::try_from(pipes) {
            return Ok(Some(pipes));
        }
    }
}

fn serve(login: &Login, [wanted, mut answer]: [File; 2], given: &AtomicBool) -> io::Result<()> {
    let mut text = String::new();
    wanted.take(WANTED).read_to_string(&mut text)?;
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        // Of one name the last counts, as for git.
        let found = lines.rfind(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    };
    if !login.is_for(value("protocol"), value("host")) {
        return Ok(());
    }
    given.store(true, SeqCst);
    let (username, token) = (&login.username, &login.token);
    answer.write_all(format!("username={username}\npassword={token}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use sandgate_runner_proto::v1::GitLogin;

    use super::*;

    fn answered(wanted: &str) -> (String, bool) {
        let login = Login::checked(GitLogin {
            username: "oauth2".to_owned(),
            token: "token".into(),
            origins: vec!["https://github.com".to_owned()],
        });
        let (mut ours, theirs) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        ours.write_all(wanted.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut ours).unwrap();
        let mut read = theirs.try_clone().unwrap();
        let given = AtomicBool::new(false);
        serve(&login.unwrap(), [ours, theirs], &given).unwrap();
        std::io::Seek::rewind(&mut read).unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        (text, given.into_inner())
    }

    #[test]
    fn the_token_goes_to_its_host_alone() {
        let (text, given) = answered("protocol=https\nhost=github.com\npath=o/r\n");
        assert_eq!(
            (text.as_str(), given),
            ("username=oauth2\npassword=token\n", true)
        );
        for other in [
            "protocol=http\nhost=github.com\n",
            "protocol=https\nhost=github.com.evil.example\n",
            "protocol=https\nhost=github.com\nhost=evil.example\n",
            "host=github.com\n",
            "",
        ] {
            assert_eq!(answered(other), (String::new(), false), "{other:?}");
        }
    }
}
