//! What a program is given to start with: its arguments, its environment, and where to look for it.

use std::ffi::CString;

use super::{Command, failure::StartFailure, users::Identity};

/// Where programs are when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most folders of PATH that are looked into, so that a start stays cheap.
const PATH_FOLDERS: usize = 1_000;
/// Longest path that the kernel takes, its end included, in bytes.
const PATH_BYTES: usize = 4_096;

/// The arguments as the kernel wants them.
pub(super) fn arguments(command: &Command) -> Result<Vec<CString>, StartFailure> {
    if command.argv.is_empty() {
        return Err(StartFailure::new(
            "PROGRAM_NOT_FOUND",
            "No program was named: give at least one argument.",
        ));
    }
    command.argv.iter().map(|word| text(word)).collect()
}

/// The environment with what it lacks of HOME, USER, LOGNAME and SHELL, and the mark at its front.
pub(super) fn environment(
    command: &Command,
    identity: &Identity,
    mark: &[u8],
) -> Result<Vec<CString>, StartFailure> {
    let entry = identity.entry.as_ref();
    let or = |value: Option<&Vec<u8>>, other: &[u8]| match value {
        Some(value) if !value.is_empty() => Some(value.clone()),
        _ => Some(other.to_vec()),
    };
    let name = entry.map(|entry| entry.name.clone());
    let defaults = [
        ("HOME", or(entry.map(|entry| &entry.home), b"/")),
        ("USER", name.clone()),
        ("LOGNAME", name),
        ("SHELL", or(entry.map(|entry| &entry.shell), b"/bin/sh")),
    ];
    let mut all = Vec::with_capacity(command.env.len() + defaults.len() + 1);
    all.push(text(mark)?);
    for variable in &command.env {
        all.push(text(variable)?);
    }
    for (name, value) in defaults {
        if let Some(value) = value.filter(|_| variable(command, name).is_none()) {
            all.push(text(&[name.as_bytes(), b"=", &value].concat())?);
        }
    }
    Ok(all)
}

/// The paths to try for the program, in this order. The one who tries is the child, as the user who
/// will run it, so that what counts is what that user sees.
pub(super) fn candidates(command: &Command) -> Result<Vec<CString>, StartFailure> {
    let name = command.argv.first().map_or(&[][..], Vec::as_slice);
    if name.contains(&b'/') {
        return Ok(vec![text(name)?]);
    }
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let path = variable(command, "PATH").unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .take(PATH_FOLDERS)
        .filter(|folder| folder.len() + name.len() + 2 <= PATH_BYTES)
        .map(|folder| match folder {
            [] => text(&[b"./", name].concat()),
            folder => text(&[folder, b"/", name].concat()),
        })
        .collect()
}

/// The value of a variable; of one name the last wins.
fn variable<'a>(command: &'a Command, name: &str) -> Option<&'a [u8]> {
    command.env.iter().rev().find_map(|variable| {
        variable
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
    })
}

/// Bytes as a string of C.
pub(super) fn text(bytes: &[u8]) -> Result<CString, StartFailure> {
    CString::new(bytes).map_err(|_| {
        StartFailure::new(
            "START_FAILED",
            "An argument, a variable or the folder holds a NUL byte: remove it, or pass the data by standard input.",
        )
    })
}
