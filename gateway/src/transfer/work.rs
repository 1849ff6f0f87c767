//! The work of a copy: file by file, each with a result of its own.

use sandgate_proto::{
    Code, Problem, Reason,
    v1::{FileTransfer, TransferResult},
};

use super::{Done, Job, Order, Transfers, progress::Progress};
use crate::{
    problem::Result,
    sandbox::{Road, absolute, failed, result},
};

/// Where paths in a sandbox begin that could not be asked.
pub(super) const WORKSPACE: &str = "/workspace";

impl Transfers {
    /// Does all that was not done yet.
    pub(super) async fn work(&self, job: &Job, road: &Road, progress: &Progress) -> Result<Done> {
        match &job.order {
            Order::In(files) => Ok(self.each(road, files, true, progress).await),
            Order::Out(files) => Ok(self.each(road, files, false, progress).await),
            Order::Workspace { .. } => {
                let result = self.workspace(job, road, progress).await?;
                Ok(Done::Workspace(result))
            }
        }
    }

    async fn each(
        &self,
        road: &Road,
        files: &[FileTransfer],
        inwards: bool,
        progress: &Progress,
    ) -> Done {
        let mut lost: Option<Problem> = None;
        for file in &files[progress.count().min(files.len())..] {
            let copied = match &lost {
                // What cannot be reached is not asked a thousand times.
                Some(problem) => Err(problem.clone()),
                None if inwards => self.sandboxes.copy_in(road, file).await,
                None => self.sandboxes.copy_out(road, file).await,
            };
            match copied {
                Ok(bytes) => progress.result(result(file, bytes, None), false),
                Err(problem) => {
                    progress.result(failed(file, &problem), may_pass(&problem));
                    lost = lost.or_else(|| is_lost(&problem).then_some(problem));
                }
            }
        }
        let workspace = self.workspace_of(road).await;
        let mut files = progress.all();
        for file in &mut files {
            file.sandbox_path = absolute(&workspace, &file.sandbox_path);
        }
        Done::Files(TransferResult { files })
    }

    /// Where relative paths in the sandbox begin.
    async fn workspace_of(&self, road: &Road) -> String {
        let session_id = road.session.session_id;
        let found = self
            .sandboxes
            .find(&road.principal, session_id, &road.sandbox)
            .await;
        let path = found.map(|(_, sandbox)| sandbox.workspace_path);
        path.ok()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| WORKSPACE.to_owned())
    }
}

/// Whether a problem is the sandbox's or its provider's as a whole, so that every other file would
/// have it too.
fn is_lost(problem: &Problem) -> bool {
    let reason = problem.reason();
    reason.code() == Code::Unavailable
        || matches!(
            reason,
            Reason::SandboxNotFound
                | Reason::SessionNotFound
                | Reason::SandboxNotRunning
                | Reason::ConnectionRequired
                | Reason::CredentialRejected
                | Reason::CapabilityNotEnabled
                | Reason::CapabilityUnsupported
                | Reason::ScopeRequired
        )
}

/// Whether the same copy may go well later, though nobody changes what it names.
fn may_pass(problem: &Problem) -> bool {
    let reason = problem.reason();
    let passing = matches!(
        reason.code(),
        Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::DataLoss
            | Code::Internal
    );
    is_lost(problem) || passing && reason != Reason::FileTooLarge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_full_is_worth_another_try_and_what_is_wrong_is_not() {
        let problem = |reason| Problem::new(reason, "why");
        for (reason, lost, passes) in [
            (Reason::ProviderUnavailable, true, true),
            (Reason::StoreUnavailable, true, true),
            (Reason::SandboxNotRunning, true, true),
            (Reason::DiskFull, false, true),
            (Reason::QuotaExceeded, false, true),
            (Reason::EtagMismatch, false, true),
            (Reason::FileTooLarge, false, false),
            (Reason::FileNotFound, false, false),
            (Reason::IsADirectory, false, false),
        ] {
            let problem = problem(reason);
            assert_eq!(is_lost(&problem), lost, "{reason:?}");
            assert_eq!(may_pass(&problem), passes, "{reason:?}");
        }
    }
}
