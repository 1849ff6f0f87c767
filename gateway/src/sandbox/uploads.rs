//! Session files that a new sandbox begins with: there before anything is made, and kept with its row
//! until they are copied.

use prost::Message as _;
use sandgate_proto::{
    Problem,
    v1::{self, CreateSandboxRequest, FileTransfer, FileTransferResult},
};
use uuid::{Builder, Uuid};

use super::Sandboxes;
use crate::{
    clock,
    file::{normal, well_formed},
    principal::Owner,
    problem::{self, Result},
    replay::Repeatable,
    store::{SessionRecord, UploadRecord},
};

/// What stands for a method where a copy of such files is noted.
pub(crate) const UPLOAD_FILES: &str = "upload_files";

/// Refuses a list that is malformed, before anything is made.
pub(super) fn check(files: &[FileTransfer]) -> Result<()> {
    let rest = "copy the others with SessionFileService.UploadToSandbox";
    well_formed("upload_files", rest, files)
}

/// The result of a copy that failed.
pub(crate) fn failed(file: &FileTransfer, problem: &Problem) -> FileTransferResult {
    result(file, 0, Some(problem))
}

/// The result of a copy.
pub(crate) fn result(
    file: &FileTransfer,
    bytes: u64,
    problem: Option<&Problem>,
) -> FileTransferResult {
    FileTransferResult {
        session_path: file.session_path.clone(),
        sandbox_path: file.sandbox_path.clone(),
        bytes,
        error: problem.map(|problem| v1::Reason {
            code: problem.reason().name().to_owned(),
            message: problem.message().to_owned(),
        }),
    }
}

/// A path in the sandbox, made absolute.
pub(crate) fn absolute(workspace: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{path}", workspace.trim_end_matches('/'))
}

/// The files that a record of the store asks for.
pub(crate) fn asked(record: &UploadRecord) -> Result<Vec<FileTransfer>> {
    let asked = CreateSandboxRequest::decode(record.asked.as_slice());
    let asked = asked.map_err(|error| problem::damaged("transfer row", &error))?;
    Ok(asked.upload_files)
}

impl Sandboxes {
    /// Refuses a create whose files are not there, before money is spent.
    pub(super) async fn check_files(&self, session_id: Uuid, files: &[FileTransfer]) -> Result<()> {
        for file in files {
            let path = normal("session_path", &file.session_path)?;
            if self.files.stat(session_id, &path).await?.is_folder {
                return Err(problem::is_a_folder(&path));
            }
        }
        Ok(())
    }

    /// The copy that a create asks for, as it is noted with the new sandbox. Its id follows from the
    /// sandbox's, and is nobody's to guess or to use for anything else.
    pub(crate) fn upload_of(
        &self,
        session: &SessionRecord,
        sandbox_id: Uuid,
        files: Vec<FileTransfer>,
    ) -> UploadRecord {
        let owner = Owner {
            org_id: session.org_id.clone(),
            user_id: session.user_id.clone(),
        };
        let of = |request_id, message: &[u8]| {
            let repeatable = Repeatable {
                owner: &owner,
                request_id,
                method: UPLOAD_FILES,
                message,
            };
            self.replays.fingerprint_with_method(&repeatable)
        };
        let mut id = [0; 16];
        let digest = of(sandbox_id, sandbox_id.as_bytes());
        id.copy_from_slice(&digest[..16]);
        let request_id = Builder::from_random_bytes(id).into_uuid();
        let asked = CreateSandboxRequest {
            upload_files: files,
            ..Default::default()
        };
        let asked = asked.encode_to_vec();
        UploadRecord {
            fingerprint: of(request_id, &asked),
            owner,
            request_id,
            sandbox_id,
            session_id: session.session_id,
            asked,
            since: clock::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute() {
        assert_eq!(absolute("/workspace", "a/b"), "/workspace/a/b");
        assert_eq!(absolute("/workspace/", "a"), "/workspace/a");
        assert_eq!(absolute("/workspace", "/tmp/a"), "/tmp/a");
    }
}
