//! What SQLite's error codes mean for those who use the store.

use sqlx::Error;

use crate::store::Fault;

// Result codes of SQLite; the low byte of an extended code is the plain one.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;
const IOERR_READ: i32 = 266;
const IOERR_SHORT_READ: i32 = 522;
const IOERR_CORRUPTFS: i32 = 8458;

/// What is wrong.
pub(in crate::store) fn fault(error: &Error) -> Fault {
    match error {
        Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse().ok());
            code.map_or(Fault::Own, of_code)
        }
        Error::PoolTimedOut => Fault::Locked,
        Error::PoolClosed => Fault::Unreachable,
        // Its thread or its file went away under a statement.
        Error::Io(_) | Error::WorkerCrashed => Fault::Disk,
        // The queries are checked against the schema: a row of another shape was not written by us.
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::RowNotFound => Fault::Damaged,
        _ => Fault::Own,
    }
}

fn of_code(code: i32) -> Fault {
    match (code, code & 0xff) {
        (IOERR_CORRUPTFS, _) | (_, CORRUPT) => Fault::Damaged,
        // Nothing was being written.
        (IOERR_READ | IOERR_SHORT_READ, _) | (_, CANTOPEN) => Fault::Unreachable,
        // Also one after the commit was written: it may be there after a restart.
        (_, IOERR) => Fault::Disk,
        (_, BUSY | LOCKED) => Fault::Locked,
        (_, FULL) => Fault::Full,
        (_, READONLY) => Fault::ReadOnly,
        (_, NOTADB) => Fault::Foreign,
        _ => Fault::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_somebody_can_act_on() {
        for (code, fault) in [
            (5, Fault::Locked),
            (517, Fault::Locked),
            (6, Fault::Locked),
            (13, Fault::Full),
            (8, Fault::ReadOnly),
            (1032, Fault::ReadOnly),
            (10, Fault::Disk),
            (778, Fault::Disk),
            (1034, Fault::Disk),
            (4874, Fault::Disk),
            (266, Fault::Unreachable),
            (522, Fault::Unreachable),
            (14, Fault::Unreachable),
            (11, Fault::Damaged),
            (267, Fault::Damaged),
            (8458, Fault::Damaged),
            (26, Fault::Foreign),
            (1, Fault::Own),
            (19, Fault::Own),
        ] {
            assert_eq!(of_code(code), fault, "{code}");
        }
        assert_eq!(fault(&Error::PoolTimedOut), Fault::Locked);
        assert_eq!(fault(&Error::WorkerCrashed), Fault::Disk);
        assert_eq!(fault(&Error::RowNotFound), Fault::Damaged);
        assert_eq!(fault(&Error::InvalidSavePointStatement), Fault::Own);
    }
}
