//! Writes a file: under no name first, or another, and under its own when all has come.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use sandgate_runner_proto::v1::{Disposition, FileAnswer, WriteFile, file_answer};
use sha2::{Digest as _, Sha256};

use super::{
    Answer, Trouble,
    facts::{changed, check_etag, etag, info, path},
    line::Line,
    read::open,
    source::Source,
    sparse::Sparse,
    temporary::{Place, Temporary},
};

/// Links that are followed.
const LINKS: usize = 40;
/// How long somebody may hold a file that is to be replaced, and between two looks at that.
const HELD: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Answers WriteFile.
pub(super) fn write(line: &mut Line, request: &WriteFile) -> Answer {
    let mut source = Source::of(line, &request.source)?;
    let path = followed(path(&request.path)?)?;
    let old = old(&path, request)?;
    if request.create_parents
        && let Some(folder) = path.parent()
    {
        fs::create_dir_all(folder)?;
    }
    let temporary = Temporary::new(Place::path(&path))?;
    let mut content = Sparse::new(&temporary.file);
    let appended = match &old {
        Some(_) if request.disposition() == Disposition::Append => {
            Some(copied(&path, &mut content)?)
        }
        _ => None,
    };
    let (begun, mut digest) = (content.bytes, Sha256::new());
    while let Some(chunk) = source.next()? {
        content.put(&chunk)?;
        digest.update(&chunk);
    }
    let bytes = content.finish()? - begun;
    let sha256 = digest.finalize().to_vec();
    let is_right = request.expected_size.is_none_or(|size| size == bytes)
        && (request.sha256.is_empty() || request.sha256 == sha256);
    if !is_right {
        return Err(Trouble::refused(
            "CONTENT_MISMATCH",
            "what came is not what was announced, and the old file is as it was; send it again",
        ));
    }
    let mode = request.mode.map(|mode| mode & 0o7777);
    temporary.become_like(old.as_ref(), mode)?;
    put(temporary, &path, request, appended.as_deref())?;
    with_digest(info(&path)?, sha256)
}

/// Copies a file that is appended to; its etag then.
fn copied(path: &Path, content: &mut Sparse<'_>) -> Result<String, Trouble> {
    let mut old = open(path)?;
    // Before it is read: what comes while it is read makes it another.
    let was = etag(&old.metadata()?);
    content.put_all(&mut old)?;
    Ok(was)
}

/// Gives a file its name, if what is there is still what the request is about.
fn put(
    temporary: Temporary<'_>,
    path: &Path,
    request: &WriteFile,
    appended: Option<&str>,
) -> Result<(), Trouble> {
    // Of two of us that come to the same file at once, one is to see what the other made of it.
    let is_bound = appended.is_some() || !request.if_match.is_empty();
    let _held = is_bound.then(|| hold(path));
    let now = old(path, request)?;
    match appended {
        Some(was) if now.as_ref().is_none_or(|now| etag(now) != was) => {
            return Err(changed());
        }
        Some(_) => return Ok(temporary.take_name()?),
        None => {}
    }
    match request.disposition() {
        Disposition::Create => Ok(temporary.take_new_name()?),
        // There was nothing to copy.
        Disposition::Append => temporary.take_new_name().map_err(|errno| match errno {
            Errno::EXIST => changed(),
            errno => errno.into(),
        }),
        _ => Ok(temporary.take_name()?),
    }
}

/// The file of this name, which others of us do not replace meanwhile. None: it is not ours to hold,
/// or somebody else holds it for long.
fn hold(path: &Path) -> Option<File> {
    let file = open(path).ok()?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) if begun.elapsed() < HELD => sleep(LOOK),
            Err(_) => return None,
        }
    }
}

fn with_digest(mut answer: FileAnswer, sha256: Vec<u8>) -> Answer {
    if let Some(file_answer::Body::Info(info)) = &mut answer.body {
        info.sha256 = sha256.into();
    }
    Ok(answer)
}

/// Where the links of a name lead, be there a file or not.
fn followed(mut path: PathBuf) -> Result<PathBuf, Trouble> {
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else {
            return Ok(path);
        };
        path.pop();
        path.push(target);
    }
    Err(Errno::LOOP.into())
}

/// The file that is there now, which has to be one that the request may replace.
fn old(path: &Path, request: &WriteFile) -> Result<Option<Metadata>, Trouble> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(found) = &found {
        if found.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        if request.disposition() == Disposition::Create {
            return Err(Errno::EXIST.into());
        }
        if !found.is_file() {
            let message = "this is a device, socket or pipe; write to it with a command";
            return Err(Trouble::refused("NOT_A_REGULAR_FILE", message));
        }
    }
    check_etag(&request.if_match, found.as_ref())?;
    Ok(found)
}
