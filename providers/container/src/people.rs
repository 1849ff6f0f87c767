//! The users of an image, read from it without running anything.

use sandgate_kit::{Kind, ProviderError};

/// Where the users and the groups are.
pub(crate) const PASSWD: &str = "/etc/passwd";
pub(crate) const GROUP: &str = "/etc/group";
/// Home of a user who has none, as in commands of the runner.
const NO_HOME: &str = "/";

/// What an image says of itself and its users.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct People {
    /// Id of the image.
    pub(crate) image: String,
    /// The image's own user; empty: root.
    pub(crate) default: String,
    /// HOME in the image's environment.
    pub(crate) home: Option<String>,
    pub(crate) passwd: Vec<u8>,
    pub(crate) group: Vec<u8>,
}

/// A user as the kernel knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Its folder, by the list of users.
    pub(crate) home: String,
}

impl People {
    /// Finds a user: empty for root, or a name or number, with `:group` or `:gid` if wanted. A
    /// number needs no entry.
    ///
    /// # Errors
    /// `InvalidField` where the image has no such user or group.
    pub(crate) fn find(&self, user: &str) -> Result<Person, ProviderError> {
        let missing = || {
            let message = "the image has no such user or group; add it there, or give a number";
            ProviderError::new(Kind::InvalidField("spec.user"), message)
        };
        let (name, group) = match user.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (user, None),
        };
        let name = if name.is_empty() { "0" } else { name };
        let entry = self
            .users()
            .find(|entry| entry[0] == name)
            .or_else(|| self.users().find(|entry| entry[2] == name));
        let uid = entry.as_ref().map_or(name, |entry| &entry[2]);
        let uid = uid.parse().map_err(|_| missing())?;
        let own = entry.as_ref().and_then(|entry| entry[3].parse().ok());
        let (gid, groups) = match group {
            Some(group) => (self.gid(group).ok_or_else(missing)?, Vec::new()),
            None => {
                let name = entry.as_ref().map_or("", |entry| &entry[0]);
                (own.unwrap_or(0), self.groups_of(name))
            }
        };
        let home = entry.map(|entry| entry[5].clone()).unwrap_or_default();
        Ok(Person {
            uid,
            gid,
            groups,
            home: if home.is_empty() {
                NO_HOME.into()
            } else {
                home
            },
        })
    }

    fn users(&self) -> impl Iterator<Item = Vec<String>> {
        entries(&self.passwd, 6)
    }

    fn gid(&self, group: &str) -> Option<u32> {
        let entry = entries(&self.group, 3).find(|entry| entry[0] == group);
        entry.as_ref().map_or(group, |entry| &entry[2]).parse().ok()
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        entries(&self.group, 4)
            .filter(|entry| !user.is_empty() && entry[3].split(',').any(|name| name == user))
            .filter_map(|entry| entry[2].parse().ok())
            .collect()
    }
}

/// The lines that have that many fields.
fn entries(text: &[u8], fields: usize) -> impl Iterator<Item = Vec<String>> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<Vec<String>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(':').map(str::to_owned).collect())
        .filter(|entry: &Vec<String>| entry.len() >= fields)
        .collect();
    lines.into_iter()
}

impl Person {
    /// Whether it may make files in a folder.
    pub(crate) fn may_write(&self, folder: &crate::archive::Rights) -> bool {
        let bits = if self.uid == 0 {
            return true;
        } else if folder.uid == self.uid {
            folder.mode >> 6
        } else if folder.gid == self.gid || self.groups.contains(&folder.gid) {
            folder.mode >> 3
        } else {
            folder.mode
        };
        bits & 0o3 == 0o3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Rights;

    fn people() -> People {
        People {
            passwd: b"root:x:0:0:root:/root:/bin/sh\n#no:x:9:9::/:\nbroken:x\nme:x:1000:100::/home/me:/bin/sh\nbare:x:7:8:::\n".to_vec(),
            group: b"root:x:0:\ndisk:x:6:you,me\nmen:x:9:me\n".to_vec(),
            ..People::default()
        }
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let people = people();
        let me = Person {
            uid: 1000,
            gid: 100,
            groups: vec![6, 9],
            home: "/home/me".into(),
        };
        assert_eq!(people.find("me").unwrap(), me);
        assert_eq!(people.find("1000").unwrap(), me);
        assert_eq!(people.find("").unwrap().home, "/root");
        let other = people.find("me:disk").unwrap();
        assert_eq!((other.gid, other.groups.len()), (6, 0));
        assert_eq!(people.find("me:77").unwrap().gid, 77);
        let nameless = people.find("5000:7").unwrap();
        assert_eq!((nameless.uid, nameless.gid), (5000, 7));
        assert_eq!(nameless.home, "/");
        assert_eq!(people.find("bare").unwrap().home, "/");
        for user in ["no", "broken", "me:women", "-1", "4294967296"] {
            let error = people.find(user).unwrap_err();
            assert_eq!(*error.kind(), Kind::InvalidField("spec.user"), "{user}");
        }
    }

    #[test]
    fn a_folder_lets_its_own_in() {
        let me = people().find("me").unwrap();
        let folder = |uid, gid, mode| Rights { uid, gid, mode };
        assert!(me.may_write(&folder(1000, 0, 0o700)));
        assert!(me.may_write(&folder(0, 9, 0o770)));
        assert!(me.may_write(&folder(0, 0, 0o1777)));
        assert!(!me.may_write(&folder(0, 0, 0o755)));
        assert!(!me.may_write(&folder(1000, 0, 0o077)));
    }
}
