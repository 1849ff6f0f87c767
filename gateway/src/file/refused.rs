//! Why a part was not put, or a write not made known.

use std::time::Duration;

use sandgate_proto::Problem;

use crate::{
    clock, problem,
    store::{FileWrite, NewPart, Reserved, Written},
};

use super::sweep::INTERVAL;

/// The problem of a part that may not be put.
pub(super) fn unreserved(reserved: Reserved, new: &NewPart) -> Option<Problem> {
    match reserved {
        Reserved::Done => None,
        Reserved::NoSession => Some(problem::session_not_found(new.part.session_id)),
        Reserved::Full(None) => Some(problem::too_many_session_bytes(&new.org_id)),
        Reserved::Full(Some(next)) => {
            let wait = u64::try_from(next - clock::now()).unwrap_or_default();
            let wait = Duration::from_millis(wait) + INTERVAL;
            Some(problem::too_many_stored_bytes(&new.org_id, wait))
        }
    }
}

/// The problem of what was not done.
pub(super) fn refused(written: Written, write: &FileWrite) -> Problem {
    match written {
        Written::Exists => problem::file_exists(&write.path),
        Written::EtagMismatch | Written::TailChanged => problem::etag_mismatch(),
        Written::NotAFolder(path) => problem::not_a_folder(&path),
        Written::IsAFolder => problem::is_a_folder(&write.path),
        Written::OverBytes => problem::too_many_session_bytes(&write.org_id),
        Written::OverFiles => problem::too_many_session_files(&write.org_id, write.most_files),
        Written::TooLarge => problem::file_too_large(&write.path, write.most_file_bytes),
        Written::PartsGone => problem::write_took_too_long(),
        Written::NoSession => problem::session_not_found(write.session_id),
        Written::Done(_) => problem::internal("write", &"was done"),
    }
}
