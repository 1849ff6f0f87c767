//! Copies of the files that new sandboxes begin with: begun by the call that makes one, and by whoever
//! finds that nobody is at it.

use std::time::Duration;

use sandgate_proto::{
    Problem, Reason,
    v1::{CreateSandboxRequest, FileTransfer, FileTransferResult},
};
use sandgate_service::Drain;
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use super::{Done, Job, Order, Place, Repeat, Seen, Transfers, work::WORKSPACE};
use crate::{
    clock::{self, span},
    ids::{self, SandboxRef},
    principal::Principal,
    problem::{self, Result},
    sandbox::{UPLOAD_FILES, absolute, failed, uploads_asked},
    store::{SandboxRecord, SessionRecord, UploadRecord},
};

/// What whoever makes a sandbox has to be allowed.
const SCOPE: &str = "sandboxes.write";
/// Time between two looks for copies that nobody is at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long nobody has to have been at one, so that the call that makes a sandbox is first.
const LEFT: Duration = Duration::from_secs(3);
/// How many are taken up in one look.
const BATCH: u32 = 16;

impl Transfers {
    /// Room for the copy that a create asks for, taken before anything is made. A repeat needs none:
    /// it joins the copy that has it.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`, `QUOTA_EXCEEDED`.
    pub(crate) async fn place_of(
        &self,
        principal: &Principal,
        asked: &CreateSandboxRequest,
    ) -> Result<Option<Place>> {
        let session_id = ids::session_id(&asked.session_id)?;
        let session = self.files.session(principal, session_id).await?;
        match self.place(&session.org_id) {
            Ok(place) => Ok(Some(place)),
            Err(_) if self.was_asked_for(&session, asked).await? => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Whether the same create was asked for before.
    async fn was_asked_for(
        &self,
        session: &SessionRecord,
        asked: &CreateSandboxRequest,
    ) -> Result<bool> {
        let sandbox_id = match SandboxRef::parse(&asked.sandbox_id)? {
            SandboxRef::Id(id) => id,
            SandboxRef::Alias(_) | SandboxRef::Default => Uuid::nil(),
        };
        let wanted = SandboxRecord {
            request_id: ids::optional_uuid("request_id", &asked.request_id)?,
            ..SandboxRecord::new(sandbox_id, session, String::new(), Vec::new(), 0)
        };
        Ok(self.store.was_asked_for(&wanted).await?)
    }

    /// Copies the files of a create once its sandbox runs: joined if that is under way, begun if it was
    /// not yet, and what became of it if it is over. None where that was too long ago.
    pub(crate) async fn upload(
        &self,
        session: &SessionRecord,
        sandbox_id: Uuid,
        files: Vec<FileTransfer>,
        place: Option<Place>,
    ) -> Result<Option<watch::Receiver<Seen>>> {
        let record = self.sandboxes.upload_of(session, sandbox_id, files.clone());
        let (owner, id) = (&record.owner, record.request_id);
        let is_left = self.store.transfer(owner, id).await?.is_some();
        let job = job(session, record, files);
        if is_left {
            return self.join_or_start(job, place).map(Some);
        }
        let Some(repeat) = &job.repeat else {
            return Ok(None);
        };
        let done = self.answer(&job, repeat).await?;
        Ok(done.map(|done| watch::channel(Seen::ended(Ok(done))).1))
    }

    /// Goes on with copies into new sandboxes whose gateway is gone, until the drain begins.
    pub(crate) async fn finish_uploads(self, drain: Drain) {
        while !drain.is_started() {
            if let Err(problem) = self.take_up().await {
                tracing::warn!(%problem, "cannot look for files that new sandboxes wait for");
            }
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = drain.started() => {}
            }
        }
    }

    async fn take_up(&self) -> Result<()> {
        let since = clock::now() - span(LEFT);
        for record in self.store.uploads_left(since, BATCH).await? {
            let Some(session) = self.store.session(record.session_id).await? else {
                continue;
            };
            // One that finds no room is found again.
            let Ok(place) = self.place(&session.org_id) else {
                continue;
            };
            let files = uploads_asked(&record)?;
            drop(self.join_or_start(job(&session, record, files), Some(place)));
        }
        Ok(())
    }
}

/// What became of each file, once it is over.
///
/// # Errors
/// Where this server has to end; another goes on.
pub(crate) async fn uploaded(mut seen: watch::Receiver<Seen>) -> Result<Vec<FileTransferResult>> {
    let ended = seen.wait_for(|seen| seen.end.is_some()).await;
    let end = ended.ok().and_then(|seen| seen.end.clone());
    match end {
        Some(Ok(Done::Files(result))) => Ok(result.files),
        Some(Err(problem)) => Err(problem),
        _ => Err(problem::internal("upload", &"ended without a word")),
    }
}

/// What is told of files where their copy as a whole came to nothing: their sandbox is made, so that
/// its create does not fail.
///
/// # Errors
/// Where another goes on with the copy, who tells it to those who ask again.
pub(crate) fn not_uploaded(
    sandbox: &SandboxRecord,
    files: &[FileTransfer],
    problem: Problem,
) -> Result<Vec<FileTransferResult>> {
    let has_no_room = problem.fact("limit") == Some("transfers");
    if has_no_room || problem.reason() == Reason::Draining {
        return Err(problem);
    }
    let workspace = match sandbox.workspace_path.as_str() {
        "" => WORKSPACE,
        path => path,
    };
    let results = files.iter().map(|file| {
        let mut result = failed(file, &problem);
        result.sandbox_path = absolute(workspace, &file.sandbox_path);
        result
    });
    Ok(results.collect())
}

fn job(session: &SessionRecord, record: UploadRecord, files: Vec<FileTransfer>) -> Job {
    Job {
        principal: Principal::of_owner(record.owner, SCOPE),
        session: session.clone(),
        sandbox: SandboxRef::Id(record.sandbox_id),
        order: Order::In(files),
        scope: SCOPE,
        repeat: Some(Repeat {
            request_id: record.request_id,
            method: UPLOAD_FILES,
            message: record.asked.into(),
            once: true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_came_to_nothing_is_told_file_by_file_unless_another_goes_on() {
        let session = SessionRecord::new(Uuid::nil(), "acme".into(), "ann".into(), 0);
        let sandbox = SandboxRecord::new(Uuid::nil(), &session, "local".into(), Vec::new(), 0);
        let files = [("a", "b"), ("a", "/tmp/c")].map(|(from, to)| FileTransfer {
            session_path: from.to_owned(),
            sandbox_path: to.to_owned(),
        });
        let told = |problem| not_uploaded(&sandbox, &files, problem);
        let results = told(Problem::new(Reason::ProviderNotConfigured, "why")).unwrap();
        let paths: Vec<_> = results.iter().map(|file| &file.sandbox_path).collect();
        assert_eq!(paths, ["/workspace/b", "/tmp/c"]);
        for file in results {
            assert_eq!(file.error.unwrap().code, "PROVIDER_NOT_CONFIGURED");
        }
        told(sandgate_service::draining()).unwrap_err();
        told(problem::too_many_transfers("acme")).unwrap_err();
    }
}
