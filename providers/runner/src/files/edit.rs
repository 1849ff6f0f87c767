//! Makes, removes and renames.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind::AlreadyExists},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{fs::CWD, io::Errno};
use sandgate_runner_proto::v1::{FileEnd, MakeFolder, MoveFile, RemoveFile, file_answer};

use super::{
    Answer, Trouble,
    facts::{answer, check_etag, etag, info, path},
    remove::remove_all,
    sparse::Sparse,
    temporary::{Place, Temporary, rename_new},
};

/// Of a new directory.
const MODE: u32 = 0o755;

/// Answers MakeFolder.
pub(super) fn make_folder(request: &MakeFolder) -> Answer {
    let path = path(&request.path)?;
    let mode = request.mode.unwrap_or(MODE) & 0o7777;
    if request.parents && path.is_dir() {
        return info(&path);
    }
    if request.parents
        && let Some(above) = path.parent()
    {
        match fs::create_dir_all(above) {
            Err(error) if error.kind() == AlreadyExists => return Err(Errno::NOTDIR.into()),
            made => made?,
        }
    }
    match DirBuilder::new().mode(mode & 0o777).create(&path) {
        // Made by somebody else meanwhile.
        Err(error) if request.parents && error.kind() == AlreadyExists && path.is_dir() => {
            return info(&path);
        }
        made => made?,
    }
    if mode != MODE {
        // What the mask of new files took, and bits that a new directory never has.
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    info(&path)
}

/// Answers RemoveFile.
pub(super) fn remove(request: &RemoveFile) -> Answer {
    let path = path(&request.path)?;
    match gone(&path, request.recursive) {
        Err(Trouble::Refused(refusal))
            if request.allow_missing && refusal.reason == "FILE_NOT_FOUND" => {}
        done => done?,
    }
    Ok(answer(file_answer::Body::End(FileEnd::default())))
}

fn gone(path: &Path, recursive: bool) -> Result<(), Trouble> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(fs::remove_file(path)?);
    }
    if is_kept(path)? {
        return Err(Trouble::refused(
            "BAD_PATH",
            "the root and the workspace stay; remove what is in them",
        ));
    }
    if recursive {
        Ok(remove_all(path)?)
    } else {
        Ok(fs::remove_dir(path)?)
    }
}

/// Whether a directory is the workspace, or above it.
fn is_kept(path: &Path) -> io::Result<bool> {
    let workspace = fs::canonicalize(".")?;
    Ok(workspace.starts_with(fs::canonicalize(path)?))
}

/// Answers MoveFile.
pub(super) fn rename(request: &MoveFile) -> Answer {
    let (from, to) = (path(&request.path)?, path(&request.new_path)?);
    let renamed = match request.replace {
        true => rustix::fs::rename(&from, &to),
        false => rename_new((CWD, &from), (CWD, &to)),
    };
    match renamed {
        // Also between two mounts of the same one.
        Err(Errno::XDEV) if fs::symlink_metadata(&from)?.is_file() => {
            carry(&from, &to, request.replace)?;
        }
        renamed => renamed?,
    }
    info(&to)
}

/// Copies a file to another file system, and removes it here.
fn carry(from: &Path, to: &Path, replace: bool) -> Result<(), Trouble> {
    let temporary = Temporary::new(Place::path(to))?;
    let mut source = super::read::open(from)?;
    let found = source.metadata()?;
    let mut content = Sparse::new(&temporary.file);
    content.put_all(&mut source)?;
    content.finish()?;
    temporary.become_like(Some(&found), None)?;
    // What was written to it meanwhile would be lost.
    check_etag(&etag(&found), fs::symlink_metadata(from).ok().as_ref())?;
    match replace {
        true => temporary.take_name()?,
        false => temporary.take_new_name()?,
    }
    Ok(fs::remove_file(from)?)
}
