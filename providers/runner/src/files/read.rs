//! Streams a file.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
};

use rustix::fs::OFlags;
use sandgate_runner_proto::v1::{FileEnd, ReadFile, file_answer};

use super::{
    Answer, Trouble,
    facts::{answer, check_etag, etag, facts, path},
    line::Line,
};

/// Bytes in one frame.
const CHUNK: usize = 256 * 1024;
/// Most that is read of a file that the kernel makes up and calls empty.
const MADE_UP: u64 = 16 << 20;

/// Answers ReadFile.
pub(super) fn read(line: &mut Line, request: &ReadFile) -> Answer {
    let path = path(&request.path)?;
    let mut file = open(&path)?;
    let found = file.metadata()?;
    check_etag(&request.if_match, Some(&found))?;
    let size = found.len();
    if request.offset > size {
        return Err(Trouble::out_of_range(size));
    }
    line.part(file_answer::Body::Opened(facts(&path, &found)))?;
    if request.offset > 0 {
        file.seek(SeekFrom::Start(request.offset))?;
    }
    let most = match size {
        0 => MADE_UP,
        size => size - request.offset,
    };
    let bytes = copy(line, &mut file, most.min(request.limit.unwrap_or(u64::MAX)))?;
    if size == 0 && bytes == MADE_UP && file.read(&mut [0; 4096])? > 0 {
        let message =
            "the kernel makes this file up and does not say how long it is; read it with a command";
        return Err(Trouble::refused("MADE_UP_TOO_LARGE", message));
    }
    let etag = etag(&file.metadata()?);
    Ok(answer(file_answer::Body::End(FileEnd { bytes, etag })))
}

/// Opens what can be read to an end, and nothing that waits or acts.
pub(super) fn open(path: &std::path::Path) -> Result<File, Trouble> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    let other = || Trouble::refused("NOT_A_REGULAR_FILE", "this is a device, socket or pipe");
    if !kind.is_file() {
        return Err(other());
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // It may be another by now.
    if !file.metadata()?.is_file() {
        return Err(other());
    }
    Ok(file)
}

fn copy(line: &mut Line, file: &mut File, most: u64) -> Result<u64, Trouble> {
    let mut done = 0;
    while done < most {
        let want = usize::try_from(most - done).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; want];
        let size = file.read(&mut chunk)?;
        if size == 0 {
            break;
        }
        chunk.truncate(size);
        line.part(file_answer::Body::Data(chunk.into()))?;
        done += size as u64;
    }
    Ok(done)
}
