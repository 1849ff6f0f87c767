//! Who a command runs as: the users and groups of the sandbox, read without the C library's help.

use std::{fs::File, io::Read, os::unix::fs::OpenOptionsExt};

use rustix::{
    fs::OFlags,
    process::{getegid, geteuid, getgroups},
};

use super::failure::StartFailure;

/// Most that is read of either file, in bytes; longer ones are cut.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The user and groups that the runner itself has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

impl Own {
    pub(super) fn now() -> Self {
        let groups = getgroups().unwrap_or_default();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: groups.into_iter().map(|group| group.as_raw()).collect(),
        }
    }
}

/// A user as a process takes it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary ones.
    pub(super) groups: Vec<u32>,
    /// Its name, else its number.
    pub(super) name: String,
    /// What /etc/passwd says about it.
    pub(super) entry: Option<Entry>,
}

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    uid: u32,
    gid: u32,
    pub(super) home: Vec<u8>,
    pub(super) shell: Vec<u8>,
}

/// The two files, as they are now.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

impl Accounts {
    /// Reads what is needed to resolve `user`. A file that is missing counts as empty.
    pub(super) fn read(user: &str) -> Self {
        Self {
            passwd: read("/etc/passwd"),
            // The runner's own groups are known, so the common case needs one file only.
            group: match user {
                "" => Vec::new(),
                _ => read("/etc/group"),
            },
        }
    }

    /// Finds `user`: empty, or a name or number, with `:group` or `:gid` if wanted. A number needs
    /// no entry; it then has the runner's group. A given group stands alone, else the user has the
    /// supplementary groups that /etc/group says. The user that the runner is keeps its groups.
    pub(super) fn resolve(&self, user: &str, own: &Own) -> Result<Identity, StartFailure> {
        let (name, group) = match user.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (user, None),
        };
        let (uid, entry) = match name {
            "" => (own.uid, self.with_uid(own.uid)),
            _ => self.user(name).ok_or_else(|| unknown("user", name))?,
        };
        let (gid, groups) = match (group, &entry) {
            (Some(group), _) => {
                let gid = self.gid(group).ok_or_else(|| unknown("group", group))?;
                (gid, Vec::new())
            }
            (None, _) if uid == own.uid => (own.gid, own.groups.clone()),
            (None, Some(entry)) => (entry.gid, self.groups_of(&entry.name)),
            (None, None) => (own.gid, Vec::new()),
        };
        let name = match &entry {
            Some(entry) => String::from_utf8_lossy(&entry.name).into_owned(),
            None => uid.to_string(),
        };
        Ok(Identity {
            uid,
            gid,
            groups,
            name,
            entry,
        })
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        lines(&self.passwd).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next().filter(|name| !name.is_empty())?.to_vec();
            let uid = number(fields.nth(1)?)?;
            let gid = number(fields.next()?)?;
            let home = fields.nth(1).unwrap_or_default().to_vec();
            let shell = fields.next().unwrap_or_default().to_vec();
            Some(Entry {
                name,
                uid,
                gid,
                home,
                shell,
            })
        })
    }

    fn with_uid(&self, uid: u32) -> Option<Entry> {
        self.entries().find(|entry| entry.uid == uid)
    }

    fn user(&self, name: &str) -> Option<(u32, Option<Entry>)> {
        if let Some(entry) = self.entries().find(|entry| entry.name == name.as_bytes()) {
            return Some((entry.uid, Some(entry)));
        }
        let uid = number(name.as_bytes())?;
        Some((uid, self.with_uid(uid)))
    }

    /// Name, number and members of each group.
    fn groups(&self) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
        lines(&self.group).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = number(fields.nth(1)?)?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    fn gid(&self, group: &str) -> Option<u32> {
        self.groups()
            .find(|(name, ..)| *name == group.as_bytes())
            .map_or_else(|| number(group.as_bytes()), |(_, gid, _)| Some(gid))
    }

    fn groups_of(&self, user: &[u8]) -> Vec<u32> {
        let mut gids: Vec<u32> = self
            .groups()
            .filter(|(.., members)| members.split(|byte| *byte == b',').any(|name| name == user))
            .map(|(_, gid, _)| gid)
            .collect();
        gids.sort_unstable();
        gids.dedup();
        gids
    }
}

fn unknown(kind: &str, name: &str) -> StartFailure {
    StartFailure::new(
        "USER_NOT_FOUND",
        format!("The sandbox has no {kind} `{name}`: add it to the image, or give a number."),
    )
}

/// A file of the sandbox, which may be anything by now: not waited for, and cut.
fn read(path: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    if let Ok(file) = file
        && file.metadata().is_ok_and(|found| found.is_file())
        && file.take(FILE_BYTES).read_to_end(&mut text).is_err()
    {
        text.clear();
    }
    text
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"#"))
}

/// A user or group number; the highest one means "leave as it is" to the kernel and is none.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
