//! What the tests of processes share: commands, their output, and taking away what they leave.

use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::ioctl_fionbio,
    process::{Pid, WaitOptions, geteuid, waitpid},
};

use super::{Child, Command, Keeper};

pub(super) fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|word| word.as_bytes().to_vec()).collect(),
        env: vec![b"PATH=/usr/local/bin:/usr/bin:/bin".to_vec()],
        cwd: "/".into(),
        user: String::new(),
        terminal: None,
        stdin: false,
    }
}

pub(super) fn shell(line: &str) -> Command {
    command(&["/bin/sh", "-c", line])
}

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// All that comes out of this end.
pub(super) fn all(end: OwnedFd) -> String {
    ioctl_fionbio(&end, false).unwrap();
    let mut text = Vec::new();
    // A terminal that nobody has open any more reads as an error.
    let _ = File::from(end).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Its next line, as a number.
pub(super) fn number(end: &OwnedFd) -> i32 {
    ioctl_fionbio(end, false).unwrap();
    let mut file = File::from(end.try_clone().unwrap());
    let (mut text, mut byte) = (String::new(), [0]);
    while file.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    text.trim().parse().unwrap()
}

/// Waits for the main process; another waiter of this program may have been faster.
pub(super) fn reap(child: &mut Child) {
    let _ = waitpid(Pid::from_raw(child.pid), WaitOptions::empty());
    child.tree.main_reaped();
}

/// Runs a command to its end; its output and error.
pub(super) fn run(keeper: &Keeper, number: u64, command: &Command) -> String {
    let mut child = keeper.spawn(number, command).unwrap();
    let mut output = all(child.stdout.take().unwrap());
    output += &all(child.stderr.take().unwrap());
    reap(&mut child);
    output
}

/// Whether a process runs.
pub(super) fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with(['Z', 'X'])
    })
}

/// Waits until it does not.
pub(super) fn goes_away(pid: i32) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while lives(pid) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    !lives(pid)
}
