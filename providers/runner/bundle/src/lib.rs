//! The runner as bytes, so that a provider is one file. It is a static program for Linux on the
//! architecture that the provider was built for.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The program.
pub static RUNNER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sandgate-runner"));

/// The name that [`install`] gives it: another one for every build, since sandboxes go on running
/// the one that they began with.
pub const FILE_NAME: &str = concat!("sandgate-runner-", env!("RUNNER_DIGEST"));

/// Puts the program into a folder, which only its owner may write to, and says where. Does nothing
/// where it is there already.
///
/// # Errors
/// Where the folder cannot be written to.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    let file = folder.join(FILE_NAME);
    if fs::read(&file).is_ok_and(|there| there == RUNNER) {
        return Ok(file);
    }
    let temporary = folder.join(format!(".{FILE_NAME}.{}", std::process::id()));
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o700)
        .open(&temporary)?;
    out.write_all(RUNNER)?;
    out.set_permissions(fs::Permissions::from_mode(0o555))?;
    out.sync_all()?;
    drop(out);
    fs::rename(&temporary, &file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn it_runs_where_it_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let file = install(folder.path()).unwrap();
        assert_eq!(install(folder.path()).unwrap(), file);
        let said = Command::new(&file).arg("version").output().unwrap();
        assert!(said.status.success());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Runs in any image, whatever its C library.
    #[test]
    fn it_needs_no_interpreter() {
        let has = |needle: &[u8]| RUNNER.windows(needle.len()).any(|part| part == needle);
        assert!(RUNNER.starts_with(b"\x7fELF"));
        assert!(!has(b"/lib64/ld-linux"));
    }
}
