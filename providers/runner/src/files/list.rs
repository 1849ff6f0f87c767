//! Lists directories, a page at a time.

use std::{fs, io::ErrorKind::PermissionDenied, os::unix::ffi::OsStrExt as _};

use bytes::Bytes;
use prost::Message as _;
use sandgate_runner_proto::v1::{FileEntries, FileFacts, ListFiles, file_answer};

use super::{
    Answer, Trouble,
    facts::{answer, facts, path},
    line::Line,
    walk::Walk,
};

/// Bytes of entries in one frame.
const FRAME: usize = 256 * 1024;

/// Most names of an answer.
const MOST: usize = 10_000;

/// Answers ListFiles.
pub(super) fn list(line: &mut Line, request: &ListFiles) -> Answer {
    let path = path(&request.path)?;
    let top: Bytes = path.as_os_str().as_bytes().to_vec().into();
    let (levels, after) = (request.depth.max(1), request.after.to_vec());
    let names = (request.limit as usize).saturating_add(1).min(MOST);
    let mut walk = Walk::some(path, levels, after, names)?;
    let mut page = Page {
        top: top.clone(),
        ..Page::default()
    };
    let (mut left, mut more) = (names - 1, false);
    while let Some(step) = walk.next() {
        // What cannot be read is there as a name.
        let Ok(name) = step else {
            continue;
        };
        let place = walk.place(&name);
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found,
            // Nothing in the directory can be looked at: it is not empty.
            Err(error) if error.kind() == PermissionDenied && !name.contains(&b'/') => {
                return Err(error.into());
            }
            Err(_) => continue,
        };
        if left == 0 {
            more = true;
            break;
        }
        left -= 1;
        page.add(line, facts(&place, &found))?;
    }
    Ok(answer(file_answer::Body::Entries(FileEntries {
        entries: page.entries,
        more,
        last: true,
        top,
    })))
}

/// Entries until they fill a frame.
#[derive(Default)]
struct Page {
    top: Bytes,
    entries: Vec<FileFacts>,
    bytes: usize,
}

impl Page {
    fn add(&mut self, line: &mut Line, entry: FileFacts) -> Result<(), Trouble> {
        let size = entry.encoded_len();
        if self.bytes + size > FRAME {
            let entries = std::mem::take(&mut self.entries);
            line.part(file_answer::Body::Entries(FileEntries {
                entries,
                top: self.top.clone(),
                ..FileEntries::default()
            }))?;
            self.bytes = 0;
        }
        self.bytes += size;
        self.entries.push(entry);
        Ok(())
    }
}
