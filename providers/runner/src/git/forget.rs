//! Removes the file of a lent token when its time is over, unless another call has put it there anew. A
//! line in the file says until when it is lent, so that a sandbox that was stopped goes on with that.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::{
        fs::{MetadataExt as _, OpenOptionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime},
};

use rustix::{fs::OFlags, process::geteuid};
use sandgate_runner_proto::{GIT_CREDENTIALS, OWN_PROGRAM};

use crate::sys;

/// Between two looks. Short, since the time of a machine that was frozen jumps.
const PAUSE: Duration = Duration::from_secs(15);
/// Begins the line; to git it is no credential.
const MARK: &str = "# lent by sandgate until ";
/// Most that is read of the file, in bytes: more is none of ours.
const MOST: u64 = 64 * 1024;

/// Which file, and when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forget {
    pub(crate) path: PathBuf,
    /// Milliseconds since 1970: fine enough that who was to remove one that was lent before sees that
    /// this is another.
    pub(crate) until: u64,
}

/// The line that says until when.
pub(super) fn mark(until: u64) -> String {
    format!("{MARK}{until}")
}

/// Waits, and removes it.
pub(crate) fn forget(forget: &Forget) -> io::Result<()> {
    rustix::process::setsid()?;
    let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(forget.until));
    while forget.is_there() {
        let left = until.and_then(|until| until.duration_since(SystemTime::now()).ok());
        match left {
            Some(left) if !left.is_zero() => sleep(left.min(PAUSE)),
            _ => return fs::remove_file(&forget.path),
        }
    }
    Ok(())
}

/// Goes on where a sandbox was stopped while a token was lent to somebody in it. What it is to find may
/// be anything: only a file with our line counts, and only its owner removes it.
pub(crate) fn go_on() -> io::Result<()> {
    let path = PathBuf::from(GIT_CREDENTIALS);
    let Some((until, file)) = lent(&path) else {
        return Ok(());
    };
    let owner = (file.uid(), file.gid());
    let is_other = owner.0 != geteuid().as_raw();
    Forget { path, until }.later(is_other.then_some(owner))
}

impl Forget {
    /// Whether no other call has put it there anew.
    fn is_there(&self) -> bool {
        lent(&self.path).is_some_and(|(until, _)| until == self.until)
    }

    /// Removes it before its time, as well as that can be done.
    pub(super) fn now(&self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Leaves somebody behind who does it, as this user and group or as we are.
    pub(super) fn later(&self, user: Option<(u32, u32)>) -> io::Result<()> {
        let mut command = Command::new(OWN_PROGRAM);
        command
            .arg("forget")
            .arg(&self.path)
            .arg(self.until.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        sys::unblock_signals(&mut command);
        command.spawn().map(drop)
    }
}

/// Until when the file is lent, and whose it is; none: it is not there, a link, or not ours.
fn lent(path: &Path) -> Option<(u64, Metadata)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.ok()?;
    let facts = file.metadata().ok().filter(Metadata::is_file)?;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(MARK));
    Some((lines.next_back()?.parse().ok()?, facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_our_line_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let until = || lent(&path).map(|(until, _)| until);
        assert_eq!(until(), None);
        for (text, wanted) in [
            (format!("https://a:b@c\n{}\n", mark(70)), Some(70)),
            (format!("{}\n{}", mark(7), mark(8)), Some(8)),
            ("https://a:b@c\n".to_owned(), None),
            (format!(" {}\n", mark(7)), None),
            (format!("{MARK}soon\n"), None),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(until(), wanted, "{text}");
        }
        fs::write(&path, mark(7)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(lent(&link).is_none());
        assert!(lent(folder.path()).is_none());
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        assert!(lent(&pipe).is_none());
    }

    #[test]
    fn one_that_was_lent_anew_is_not_removed_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, mark(8)).unwrap();
        let of = |until| Forget {
            path: path.clone(),
            until,
        };
        of(7).now();
        assert!(path.exists());
        of(8).now();
        assert!(!path.exists());
        of(8).now();
    }
}
