//! What is told of a file or folder.

use std::{
    collections::BTreeMap, fs, io, os::unix::fs::MetadataExt as _, path::Path, time::UNIX_EPOCH,
};

use buffa_types::google::protobuf::Timestamp;
use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use sandgate_e2b_envd::filesystem::{EntryInfo, FileType};

use super::users;

/// Before the names of what callers keep with a file.
const OURS: &str = "user.e2b.";
/// Room for the names, and for one value, bytes.
const ROOM: usize = 64 * 1024;

/// Bits of a mode.
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Looks at a path; links are not followed but for their kind and mode.
///
/// # Errors
/// Where nothing is there.
pub(super) fn look(path: &Path) -> io::Result<EntryInfo> {
    let seen = fs::symlink_metadata(path)?;
    let is_link = seen.mode() & TYPE == LINK;
    let target = is_link.then(|| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
    let meant = match is_link {
        true => fs::metadata(path).ok(),
        false => Some(seen.clone()),
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    let modified = seen.modified()?.duration_since(UNIX_EPOCH);
    let modified = modified.unwrap_or_default();
    Ok(EntryInfo {
        name: name.to_string_lossy().into_owned(),
        r#type: meant
            .as_ref()
            .map_or(FileType::FILE_TYPE_UNSPECIFIED, kind)
            .into(),
        path: path.to_string_lossy().into_owned(),
        size: i64::try_from(seen.len()).unwrap_or(i64::MAX),
        mode: meant.as_ref().map_or(0, fs::Metadata::mode) & 0o777,
        permissions: permissions(seen.mode()),
        owner: users::name("/etc/passwd", seen.uid()),
        group: users::name("/etc/group", seen.gid()),
        modified_time: Timestamp {
            seconds: i64::try_from(modified.as_secs()).unwrap_or_default(),
            nanos: i32::try_from(modified.subsec_nanos()).unwrap_or_default(),
            ..Timestamp::default()
        }
        .into(),
        symlink_target: target.map(|target| target.to_string_lossy().into_owned()),
        metadata: kept(path).into_iter().collect(),
        is_symlink: is_link,
        ..EntryInfo::default()
    })
}

fn kind(seen: &fs::Metadata) -> FileType {
    match seen.mode() & TYPE {
        FOLDER => FileType::FILE_TYPE_DIRECTORY,
        FILE => FileType::FILE_TYPE_FILE,
        LINK => FileType::FILE_TYPE_SYMLINK,
        _ => FileType::FILE_TYPE_UNSPECIFIED,
    }
}

/// As Go prints a mode: letters for what it is, then nine for who may.
fn permissions(mode: u32) -> String {
    let kind = match mode & TYPE {
        FOLDER => "d",
        LINK => "L",
        0o010_000 => "p",
        0o140_000 => "S",
        0o060_000 => "D",
        0o020_000 => "Dc",
        _ => "",
    };
    let mut text = kind.to_owned();
    for (bit, letter) in [(0o4000, 'u'), (0o2000, 'g'), (0o1000, 't')] {
        if mode & bit != 0 {
            text.push(letter);
        }
    }
    if text.is_empty() {
        text.push('-');
    }
    for (at, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> at) == 0 {
            '-'
        } else {
            letter
        });
    }
    text
}

/// What callers keep with a file.
pub(super) fn kept(path: &Path) -> BTreeMap<String, String> {
    let mut names = vec![0; ROOM];
    // Where the file system has no such thing, nothing is kept.
    let length = listxattr(path, &mut names[..]).unwrap_or(0);
    let mut found = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let Some(key) = name.strip_prefix(OURS) else {
            continue;
        };
        let mut value = vec![0; ROOM];
        if let Ok(length) = getxattr(path, name, &mut value[..]) {
            let value = String::from_utf8_lossy(&value[..length]).into_owned();
            found.insert(key.to_owned(), value);
        }
    }
    found
}

/// Replaces it.
///
/// # Errors
/// Where the file system does not take it.
pub(super) fn keep(path: &Path, metadata: &BTreeMap<String, String>) -> io::Result<()> {
    for key in kept(path).keys().filter(|key| !metadata.contains_key(*key)) {
        removexattr(path, format!("{OURS}{key}"))?;
    }
    for (key, value) in metadata {
        setxattr(
            path,
            format!("{OURS}{key}"),
            value.as_bytes(),
            XattrFlags::empty(),
        )?;
    }
    Ok(())
}

#[test]
fn modes_are_printed_as_go_does() {
    assert_eq!(permissions(0o100_644), "-rw-r--r--");
    assert_eq!(permissions(0o040_755), "drwxr-xr-x");
    assert_eq!(permissions(0o041_777), "dtrwxrwxrwx");
    assert_eq!(permissions(0o120_777), "Lrwxrwxrwx");
    assert_eq!(permissions(0o104_755), "urwxr-xr-x");
}
