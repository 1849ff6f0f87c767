//! Session files that a new sandbox begins with.

use sandgate_proto::{
    Problem, Reason,
    v1::{self, FileTransfer, FileTransferResult},
};

use crate::{problem::Result, store::SandboxRecord};

/// Most files that one create copies.
const MOST: usize = 1000;

/// Refuses a list that is malformed, before anything is made.
pub(super) fn check(files: &[FileTransfer]) -> Result<()> {
    if files.len() > MOST {
        let message =
            "has more than 1,000 files; copy the others with SessionFileService.UploadToSandbox";
        return Err(Problem::invalid_field("upload_files", message));
    }
    for (place, file) in files.iter().enumerate() {
        let paths = [
            ("session_path", &file.session_path),
            ("sandbox_path", &file.sandbox_path),
        ];
        if let Some((name, _)) = paths.iter().find(|(_, path)| path.is_empty()) {
            let field = format!("upload_files[{place}].{name}");
            return Err(Problem::invalid_field(field, "is required"));
        }
    }
    Ok(())
}

/// What became of each file. A session has no files before it can be given any, so none is copied.
pub(super) fn results(sandbox: &SandboxRecord, files: &[FileTransfer]) -> Vec<FileTransferResult> {
    let missing = v1::Reason {
        code: Reason::FileNotFound.name().to_owned(),
        message: "the session has no file at this path; write it first, then copy it".to_owned(),
    };
    files
        .iter()
        .map(|file| FileTransferResult {
            session_path: file.session_path.clone(),
            sandbox_path: absolute(&sandbox.workspace_path, &file.sandbox_path),
            bytes: 0,
            error: Some(missing.clone()),
        })
        .collect()
}

fn absolute(workspace: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{path}", workspace.trim_end_matches('/'))
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

    #[test]
    fn malformed_lists_are_refused() {
        let file = |session: &str, sandbox: &str| FileTransfer {
            session_path: session.to_owned(),
            sandbox_path: sandbox.to_owned(),
        };
        assert!(check(&[file("a", "b")]).is_ok());
        for wrong in [
            vec![file("", "b")],
            vec![file("a", "")],
            vec![file("a", "b"); 1001],
        ] {
            let refused = check(&wrong).unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidField);
        }
    }
}
