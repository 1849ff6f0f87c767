//! Under which user of the host a sandbox runs.
//!
//! An ordinary user's sandboxes run as that user, alone in a user namespace of their own. Root's
//! sandboxes must not run as the host's root, not even inside a user namespace: a process with uid
//! 0 outside and no capability still owns root's files, is trusted by whoever listens on an
//! abstract socket, and is exempt from the limit on processes. So each gets a uid that nobody else
//! has, taken from a range that systemd's table of uids leaves free
//! (<https://systemd.io/UIDS-GIDS>: 1879048192 to 2147352575).

use std::fs;

use uuid::Uuid;

/// First uid of the range.
const FIRST: u32 = 1_900_000_000;
/// Uids in the lower half of the range, which sandboxes have; the upper half stands in for the
/// root of their user namespaces and owns nothing.
const COUNT: u32 = 1 << 16;

/// Who runs the sandboxes of this provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The user that the provider runs as.
    Own,
    /// Another one for each sandbox; the provider is root.
    PerSandbox,
}

/// Uid, and gid, of one sandbox on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostUser {
    /// Owns the processes and files of the sandbox.
    pub(crate) id: u32,
    /// Root inside the sandbox's user namespace. Nothing runs as it.
    pub(crate) root: u32,
}

impl Identity {
    /// Root of a container that has but a small range of uids counts as an ordinary user: on its
    /// host it is one.
    pub(crate) fn detect() -> Self {
        let whole = |map: &str| fs::read_to_string(map).is_ok_and(|map| covers(&map));
        let root = rustix::process::geteuid().is_root();
        if root && whole("/proc/self/uid_map") && whole("/proc/self/gid_map") {
            Self::PerSandbox
        } else {
            Self::Own
        }
    }

    /// The sandbox's own user on the host; none where it is the provider's.
    pub(crate) fn of(self, sandbox: Uuid) -> Option<HostUser> {
        let [high, low, ..] = *sandbox.as_bytes();
        let id = FIRST + u32::from(u16::from_be_bytes([high, low]));
        (self == Self::PerSandbox).then_some(HostUser {
            id,
            root: id + COUNT,
        })
    }
}

/// Whether a uid_map has uid 0 and the whole range.
fn covers(map: &str) -> bool {
    let has = |first: u64, count: u64| {
        map.lines().any(|line| {
            let mut fields = line
                .split_whitespace()
                .map_while(|field| field.parse::<u64>().ok());
            let (Some(inside), Some(_), Some(size)) = (fields.next(), fields.next(), fields.next())
            else {
                return false;
            };
            inside <= first && first + count <= inside + size
        })
    };
    has(0, 1) && has(FIRST.into(), 2 * u64::from(COUNT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_of_the_whole_machine_can_give_each_sandbox_a_user() {
        assert!(covers("         0          0 4294967295\n"));
        assert!(!covers("         0     100000      65536\n"));
        assert!(!covers(
            "         0       1000          1\n         1     100000      65536\n"
        ));
    }

    #[test]
    fn a_sandbox_has_the_same_user_every_time() {
        let sandbox = Uuid::from_u128(0xffff << 112);
        let user = Identity::PerSandbox.of(sandbox).unwrap();
        assert_eq!(
            user,
            HostUser {
                id: FIRST + 65_535,
                root: FIRST + 131_071
            }
        );
        assert_eq!(Identity::Own.of(sandbox), None);
    }
}
