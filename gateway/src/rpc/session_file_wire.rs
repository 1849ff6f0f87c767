//! Session files and copies of them on the wire.

use sandgate_proto::{
    Problem,
    v1::{
        self, FileKind, FileTransfer, KeepAlive, SessionFileInfo, TransferResult, WorkspaceResult,
        download_from_sandbox_response as download, download_workspace_response as workspace,
        upload_to_sandbox_response as upload,
    },
};

use crate::{
    clock,
    file::well_formed,
    problem::Result,
    store::FileRecord,
    transfer::{Done, Event},
};

/// The ids of a copy.
pub(super) fn ids<'a>(
    session_id: &'a str,
    sandbox_id: &'a str,
    request_id: &'a str,
) -> (&'a str, &'a str, &'a str) {
    (session_id, sandbox_id, request_id)
}

/// The files of a copy, where they are well-formed.
pub(super) fn checked(files: &[FileTransfer]) -> Result<Vec<FileTransfer>> {
    if files.is_empty() {
        return Err(Problem::invalid_field(
            "files",
            "names none; give 1 to 1,000",
        ));
    }
    well_formed("files", "copy others with another call", files)?;
    Ok(files.to_vec())
}

/// A file or folder.
pub(super) fn describe(file: FileRecord) -> SessionFileInfo {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let name = match name {
        "" => "/".to_owned(),
        name => name.to_owned(),
    };
    let time = |time| (!file.is_folder).then(|| clock::timestamp(time));
    let kind = match file.is_folder {
        true => FileKind::Directory,
        false => FileKind::File,
    };
    SessionFileInfo {
        name,
        kind: kind.into(),
        size: u64::try_from(file.size).unwrap_or_default(),
        content_type: file.content_type,
        create_time: time(file.create_time),
        modify_time: time(file.modify_time),
        etag: file.etag,
        sha256: file.sha256.into(),
        path: file.path,
    }
}

fn files(done: Done) -> TransferResult {
    match done {
        Done::Files(result) => result,
        Done::Workspace(_) => TransferResult::default(),
    }
}

fn directory(done: Done) -> WorkspaceResult {
    match done {
        Done::Workspace(result) => result,
        Done::Files(_) => WorkspaceResult::default(),
    }
}

/// An event of UploadToSandbox.
pub(super) fn upload_event(event: Event) -> v1::UploadToSandboxResponse {
    v1::UploadToSandboxResponse {
        event: Some(match event {
            Event::Progress(progress) => upload::Event::Progress(progress),
            Event::KeepAlive => upload::Event::KeepAlive(KeepAlive {}),
            Event::Result(done) => upload::Event::Result(files(done)),
        }),
    }
}

/// An event of DownloadFromSandbox.
pub(super) fn download_event(event: Event) -> v1::DownloadFromSandboxResponse {
    v1::DownloadFromSandboxResponse {
        event: Some(match event {
            Event::Progress(progress) => download::Event::Progress(progress),
            Event::KeepAlive => download::Event::KeepAlive(KeepAlive {}),
            Event::Result(done) => download::Event::Result(files(done)),
        }),
    }
}

/// An event of DownloadWorkspace.
pub(super) fn workspace_event(event: Event) -> v1::DownloadWorkspaceResponse {
    v1::DownloadWorkspaceResponse {
        event: Some(match event {
            Event::Progress(progress) => workspace::Event::Progress(progress),
            Event::KeepAlive => workspace::Event::KeepAlive(KeepAlive {}),
            Event::Result(done) => workspace::Event::Result(directory(done)),
        }),
    }
}
