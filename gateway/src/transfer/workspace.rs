//! A directory of a sandbox, unpacked into the session's storage from one stream.

use bytes::Bytes;
use sandgate_proto::{
    Problem, Reason,
    v1::{ArchiveSummary, DownloadArchiveRequest, SkippedPath, WorkspaceResult},
};

use super::{
    Job, Order, Transfers,
    progress::Progress,
    tar::{Kind, Source, Tar},
};
use crate::{
    file::{Open, Writing, join},
    fleet::{Archive, Piece},
    problem::{self, Result},
    sandbox::Road,
};

/// Bytes of content that one call copies at most, where the caller says nothing.
const MOST_BYTES: u64 = 64 << 30;
/// Skipped paths that are named, and bytes of them.
const NAMED: usize = 1000;
const NAMED_BYTES: usize = 1 << 20;

/// Why a file was left out that changed while it was packed.
const CHANGED: &str = "CHANGED";

/// An archive as the bytes that it is, and what comes behind them.
struct Stream {
    archive: Archive,
    summary: Option<ArchiveSummary>,
}

#[async_trait::async_trait]
impl Source for Stream {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.summary.is_some() {
            return Ok(None);
        }
        match self.archive.next().await? {
            Piece::Data(data) => Ok(Some(data)),
            Piece::Summary(summary) => {
                self.summary = Some(summary);
                Ok(None)
            }
        }
    }
}

/// What was copied and what was not.
#[derive(Default)]
struct Tally {
    result: WorkspaceResult,
    named_bytes: usize,
    /// Files that were marked as changed. The sandbox lists them too, at the end.
    marked: u64,
}

impl Tally {
    fn skip(&mut self, path: &str, reason: &str) {
        self.result.skipped_count += 1;
        self.name(path, reason);
    }

    fn name(&mut self, path: &str, reason: &str) {
        let size = self.named_bytes + path.len();
        if self.result.skipped.len() < NAMED && size <= NAMED_BYTES {
            self.named_bytes = size;
            self.result.skipped.push(SkippedPath {
                path: path.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    /// Adds what the sandbox left out.
    fn finish(mut self, summary: ArchiveSummary) -> WorkspaceResult {
        self.result.skipped_count += summary.skipped_count.saturating_sub(self.marked);
        for skipped in summary.skipped {
            if skipped.reason != CHANGED {
                self.name(&skipped.path, &skipped.reason);
            }
        }
        self.result
    }
}

impl Transfers {
    /// Copies what is in a directory. What cannot be copied is skipped with a reason; where the way
    /// breaks, or the session can keep nothing, all of it ends.
    pub(super) async fn workspace(
        &self,
        job: &Job,
        road: &Road,
        progress: &Progress,
    ) -> Result<WorkspaceResult> {
        let Order::Workspace {
            sandbox_path,
            session_path,
            excludes,
            max_bytes,
        } = &job.order
        else {
            return Err(problem::internal("transfer", &"is no workspace"));
        };
        let max_bytes = max_bytes.unwrap_or(MOST_BYTES).min(MOST_BYTES);
        let paths = Some(sandbox_path.clone()).filter(|path| !path.is_empty());
        let request = DownloadArchiveRequest {
            paths: paths.into_iter().collect(),
            excludes: excludes.clone(),
            max_bytes: Some(max_bytes),
            ..Default::default()
        };
        let archive = self.archive(road, request).await?;
        let mut tar = Tar::new(Stream {
            archive,
            summary: None,
        });
        let mut tally = Tally::default();
        while let Some(entry) = tar.next().await? {
            let left = max_bytes.saturating_sub(tally.result.bytes);
            let unpacked = match entry.kind {
                Kind::Folder => continue,
                Kind::Other => Err(Miss::for_good("NOT_REGULAR")),
                Kind::File if entry.size > left => Err(Miss::for_good("LIMIT")),
                Kind::File => self.unpack(road, session_path, &entry.name, &mut tar).await,
            };
            let name = String::from_utf8_lossy(&entry.name);
            match settled(unpacked, &mut tar, &mut tally).await {
                Ok(bytes) => {
                    tally.result.files += 1;
                    tally.result.bytes += bytes;
                    progress.copied(bytes);
                }
                Err(Miss::Skip { reason, open }) => {
                    tally.skip(&name, reason);
                    progress.skipped(open);
                }
                Err(Miss::End(problem)) => return Err(problem),
            }
        }
        let summary = tar.end().await?.summary.unwrap_or_default();
        Ok(tally.finish(summary))
    }

    /// The stream of the archive; a sandbox that was found stopped is started for it once.
    async fn archive(&self, road: &Road, request: DownloadArchiveRequest) -> Result<Archive> {
        let (target, lane) = self.sandboxes.travel(road).await?;
        let opened = lane
            .download_archive(target.context(), request.clone())
            .await;
        match opened {
            Err(problem) if self.sandboxes.woke(&problem, &target).await? => {
                let (target, lane) = self.sandboxes.travel(road).await?;
                lane.download_archive(target.context(), request).await
            }
            opened => opened,
        }
    }

    /// Takes in the file that comes next, up to its end.
    async fn unpack(
        &self,
        road: &Road,
        session_path: &str,
        name: &[u8],
        tar: &mut Tar<Stream>,
    ) -> std::result::Result<Writing, Miss> {
        let name = std::str::from_utf8(name).map_err(|_| Miss::for_good("NOT_UTF8"))?;
        let name = name.trim_start_matches("./");
        let path = join(session_path, name).ok_or(Miss::for_good("PATH_INVALID"))?;
        let session = road.session.clone();
        let open = Open {
            expected_size: Some(tar.left()),
            ..Open::replace(path)
        };
        let mut writing = self.files.write(session, open).await.map_err(miss)?;
        while let Some(data) = tar.data().await.map_err(Miss::End)? {
            road.moved.add(data.len());
            writing.push(data).await.map_err(miss)?;
        }
        Ok(writing)
    }
}

/// Makes a file known once it is sure that it was whole: its size is kept in the archive whatever
/// becomes of it, and only what comes behind it tells. Until then the old one stays.
async fn settled(
    unpacked: std::result::Result<Writing, Miss>,
    tar: &mut Tar<Stream>,
    tally: &mut Tally,
) -> std::result::Result<u64, Miss> {
    if let Err(Miss::End(_)) = unpacked {
        return unpacked.map(|_| 0);
    }
    let has_changed = tar.has_changed().await.map_err(Miss::End)?;
    tally.marked += u64::from(has_changed);
    let writing = unpacked?;
    if has_changed {
        return Err(Miss::for_now(CHANGED));
    }
    let file = writing.finish().await.map_err(miss)?;
    Ok(u64::try_from(file.size).unwrap_or_default())
}

/// Why a file was not copied.
enum Miss {
    /// It alone was not; `open`: a repeat may have it.
    Skip { reason: &'static str, open: bool },
    /// Nothing more can be.
    End(Problem),
}

impl Miss {
    fn for_good(reason: &'static str) -> Self {
        Self::Skip {
            reason,
            open: false,
        }
    }

    fn for_now(reason: &'static str) -> Self {
        Self::Skip { reason, open: true }
    }
}

fn miss(problem: Problem) -> Miss {
    match problem.reason() {
        Reason::FileTooLarge => Miss::for_good("TOO_LARGE"),
        Reason::QuotaExceeded => Miss::for_now("LIMIT"),
        Reason::IsADirectory | Reason::NotADirectory | Reason::InvalidField => {
            Miss::for_good("WRITE_FAILED")
        }
        _ => Miss::End(problem),
    }
}
