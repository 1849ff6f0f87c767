//! What is wrong with a store that does not do what it was asked, as far as somebody can act on it.

use std::io;

use sqlx::migrate::MigrateError;

use super::{StoreError, sqlite};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Others hold its lock, or all its connections, for too long. Nothing was changed.
    Locked,
    /// Its disk has no room. Nothing was changed.
    Full,
    /// It can be read and not written. Nothing was changed.
    ReadOnly,
    /// It cannot be reached or read. Nothing was changed.
    Unreachable,
    /// The disk failed on the way: whether the last change is there, only a restart tells.
    Disk,
    /// What it holds cannot be read.
    Damaged,
    /// It is something else than a store.
    Foreign,
    /// Another version made it.
    OtherVersion,
    /// None of these: a fault of ours.
    Own,
}

impl StoreError {
    /// What is wrong.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Database(error) => sqlite::fault(error),
            Self::Migration(error) => match error {
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                    sqlite::fault(error)
                }
                MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
                    Fault::OtherVersion
                }
                _ => Fault::Own,
            },
            Self::Corrupt(_) | Self::Check(_) => Fault::Damaged,
            Self::Folder(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
                io::ErrorKind::ReadOnlyFilesystem => Fault::ReadOnly,
                _ => Fault::Unreachable,
            },
        }
    }
}

impl Fault {
    /// What to do about it, for who starts a gateway on such a store.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Locked => "end what holds its lock (a backup, an sqlite3 shell), and start again",
            Self::Full => "its disk is full: make room there, and start again",
            Self::ReadOnly => {
                "it cannot be written: give this user the right to write the file and its folder, or mount the disk for writing, and start again"
            }
            Self::Unreachable => {
                "check that its folder is there and that this user may read and write in it, and start again"
            }
            Self::Disk => {
                "its disk is full or fails: make room there, look at the system's log, and start again"
            }
            Self::Damaged => {
                "the file is damaged: see with `sqlite3 FILE 'PRAGMA integrity_check'` how much of it, put the last backup in its place, and start again"
            }
            Self::Foreign => {
                "the file is no SQLite database, or its beginning is damaged: name the right one with SANDGATE_DATABASE_URL, or put the last backup in its place, and start again"
            }
            Self::OtherVersion => {
                "a newer version of Sandgate, or another build, has changed its schema: start that version, or put a backup from before it in its place"
            }
            Self::Own => "start again, and report this if it stays",
        }
    }
}
