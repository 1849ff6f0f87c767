//! Runs git: with settings that nothing outside can change, its output redacted on the way to our
//! standard error.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};

use super::{
    failure::Failure,
    lend::Lender,
    login::{Login, host},
    redact::Redactor,
};
use crate::{config::git_environment, sys};

/// What is kept of its output to know why it failed, in bytes.
const TAIL: usize = 16 * 1024;
/// Size of a read, and how many come one after the other: more than a pipe holds.
const READ: usize = 64 * 1024;
const READS: usize = 16;
/// What asks us to end.
const STOPS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// What holds for every git, whoever has configured it how. Helpers, hooks, monitors and clean-up in
/// the background do not run; nothing but the web is spoken.
const SETTINGS: &[&str] = &[
    "credential.helper=",
    "core.askPass=",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
    "safe.directory=*",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "http.saveCookies=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
];

/// Git, ready to run.
pub(super) struct Git {
    settings: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    signals: OwnedFd,
    redactor: Redactor,
    tail: Vec<u8>,
    stopped: bool,
    lender: Option<Lender>,
}

impl Git {
    /// With this token, if any. Call it before any thread is started.
    pub(super) fn new(login: Option<Login>) -> io::Result<Self> {
        let [term, int, hup] = STOPS;
        let signals = sys::take_signals(&[term, int, hup, libc::SIGCHLD])?;
        let mut settings: Vec<String> = SETTINGS.iter().map(|&text| text.to_owned()).collect();
        let forms = login.as_ref().map(Login::forms).unwrap_or_default();
        let origins = login.as_ref().map(|login| login.origins.clone());
        let lender = login.map(Lender::new).transpose()?;
        if let Some(lender) = &lender {
            let lent = origins.iter().flatten();
            settings.extend(lent.flat_map(|origin| of_origin(origin, &lender.helper())));
        }
        Ok(Self {
            settings,
            environment: git_environment(),
            signals,
            redactor: Redactor::new(forms),
            tail: Vec::new(),
            stopped: false,
            lender,
        })
    }

    /// Whether a host has had the token.
    pub(super) fn is_authenticated(&self) -> bool {
        self.lender.as_ref().is_some_and(Lender::has_given)
    }

    /// Whether there is a token.
    pub(super) fn has_login(&self) -> bool {
        self.lender.is_some()
    }

    /// Whether the last run said one of these.
    pub(super) fn said(&self, words: &[&str]) -> bool {
        let tail = String::from_utf8_lossy(&self.tail);
        words.iter().any(|words| tail.contains(words))
    }

    /// Says something of our own, redacted like all else.
    pub(super) fn say(&mut self, line: &str) {
        let out = self.redactor.push(format!("{line}\n").as_bytes());
        self.show(&out);
    }

    /// Runs it to its end.
    pub(super) fn run<S: AsRef<OsStr>>(
        &mut self,
        folder: &Path,
        arguments: &[S],
    ) -> Result<(), Failure> {
        self.tail.clear();
        let (output, input) = io::pipe()?;
        let mut command = self.command(folder, arguments);
        command.process_group(0);
        command.stdout(input.try_clone()?).stderr(input);
        let child = command.spawn();
        let child = child.map_err(|error| missing(error, folder))?;
        // With it goes our own end of the pipe.
        drop(command);
        let status = self.watch(child, File::from(OwnedFd::from(output)))?;
        let rest = self.redactor.finish();
        self.show(&rest);
        if self.stopped {
            return Err(Failure::Stopped);
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (code, signal) => {
                let code = code.unwrap_or(128 + signal.unwrap_or_default());
                Err(Failure::Git(code))
            }
        }
    }

    /// What a quick one prints; empty if it fails.
    pub(super) fn ask(&self, folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = self.command(folder, arguments);
        let done = command.stderr(Stdio::null()).output();
        let done = done.map_err(|error| missing(error, folder))?;
        let said = done.status.success().then_some(done.stdout);
        let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
        Ok(said.trim_end().to_owned())
    }

    fn command<S: AsRef<OsStr>>(&self, folder: &Path, arguments: &[S]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(folder).stdin(Stdio::null());
        command.env_clear().envs(self.environment.iter().cloned());
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        // Ours are blocked, and who is asked to end is to do so.
        sys::unblock_signals(&mut command);
        command
    }

    /// Passes on what it says until it has ended. When we are asked to end it is killed, with all that
    /// it started: what they made is taken away, and a server or a checkout may take its time.
    fn watch(&mut self, mut child: Child, mut output: File) -> io::Result<ExitStatus> {
        rustix::io::ioctl_fionbio(&output, true)?;
        let group = Pid::from_child(&child);
        loop {
            // Before the look whether it has ended: the wait is told of an end that comes later.
            if self.is_stopped() {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let ended = child.try_wait()?;
            // Only now, so that nothing of its last words is missed. Whoever else still holds the pipe
            // is of no concern.
            let is_open = self.pass_on(&mut output)?;
            if let Some(status) = ended {
                return Ok(status);
            }
            self.wait(is_open.then_some(&output))?;
        }
    }

    /// Whether we have been asked to end.
    pub(super) fn is_stopped(&mut self) -> bool {
        while let Some(signal) = sys::next_signal(self.signals.as_fd()) {
            self.stopped |= STOPS.contains(&signal);
        }
        self.stopped
    }

    /// Passes on what is there; false: nothing more comes.
    fn pass_on(&mut self, output: &mut File) -> io::Result<bool> {
        let mut buffer = vec![0; READ];
        for _ in 0..READS {
            match output.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(size) => {
                    let out = self.redactor.push(&buffer[..size]);
                    self.show(&out);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits for output or a signal; that a child has ended is one, too.
    fn wait(&self, output: Option<&File>) -> io::Result<()> {
        let mut waited = vec![PollFd::new(&self.signals, PollFlags::IN)];
        waited.extend(output.map(|output| PollFd::new(output, PollFlags::IN)));
        match poll(&mut waited, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn show(&mut self, out: &[u8]) {
        self.tail.extend_from_slice(out);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        // Whoever does not listen is not told.
        let _ = io::stderr().write_all(out);
    }
}

/// What holds for a place that the token is for: nobody is asked for it but our helper, and it is not
/// followed to another place. Addresses for ssh, as submodules have them, become ones of the web.
fn of_origin(origin: &str, helper: &str) -> [String; 6] {
    let host = host(origin).unwrap_or_default();
    [
        format!("credential.{origin}.helper="),
        format!("credential.{origin}.helper={helper}"),
        format!("http.{origin}/.followRedirects=false"),
        format!("http.{origin}/.sslVerify=true"),
        format!("url.{origin}/.insteadOf=git@{host}:"),
        format!("url.{origin}/.insteadOf=ssh://git@{host}/"),
    ]
}

/// Why git could not be started in this folder.
pub(super) fn missing(error: io::Error, folder: &Path) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    // Where the folder has vanished it is told alike.
    if !folder.is_dir() {
        return Failure::of_path(&error, &folder.to_string_lossy());
    }
    let message = "the sandbox has no program git: install it in the image, then repeat the call";
    Failure::Refused("GIT_MISSING", message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_vanished_is_no_missing_git() {
        for (folder, word) in [("/", "GIT_MISSING"), ("/nowhere/at/all", "FAILED")] {
            let failure = missing(ErrorKind::NotFound.into(), Path::new(folder));
            assert!(
                matches!(failure, Failure::Refused(told, _) if told == word),
                "{folder}"
            );
        }
    }
}
