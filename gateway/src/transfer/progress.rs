//! How far a copy is, told to all who watch it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use prost::Message as _;
use sandgate_proto::v1::{FileTransferResult, TransferProgress, TransferResult};

use super::Done;
use crate::{fleet::Moved, problem::Result};

/// What those who watch a copy see of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) progress: TransferProgress,
    /// Set once, at the end.
    pub(crate) end: Option<Result<Done>>,
}

impl Seen {
    /// A copy that is over.
    pub(super) fn ended(end: Result<Done>) -> Self {
        Self {
            end: Some(end),
            ..Self::default()
        }
    }

    /// How far it is now; whether that is news. What is told never goes back, also where a file is
    /// begun once more.
    pub(super) fn tell(&mut self, now: TransferProgress) -> bool {
        let told = self.progress;
        self.progress = TransferProgress {
            files: told.files.max(now.files),
            bytes: told.bytes.max(now.bytes),
        };
        self.progress != told
    }
}

/// How far the work is. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    files: Arc<AtomicU64>,
    /// Bytes of the files that are copied.
    bytes: Arc<AtomicU64>,
    /// Those of the one that is being copied.
    pub(super) moved: Moved,
    results: Arc<Mutex<Results>>,
}

/// What became of the files so far.
#[derive(Debug, Default)]
struct Results {
    files: Vec<FileTransferResult>,
    /// The first of them that a repeat tries once more.
    open: Option<usize>,
    /// The work was cut off before its end.
    cut: bool,
}

impl Progress {
    /// From where another was.
    pub(super) fn from(done: &[u8]) -> Self {
        let files = TransferResult::decode(done).unwrap_or_default().files;
        let copied = files.iter().filter(|file| file.error.is_none());
        let (count, bytes) = copied.fold((0, 0), |(count, bytes), file| {
            (count + 1, bytes + file.bytes)
        });
        Self {
            files: Arc::new(AtomicU64::new(count)),
            bytes: Arc::new(AtomicU64::new(bytes)),
            moved: Moved::default(),
            results: Arc::new(Mutex::new(Results {
                files,
                ..Results::default()
            })),
        }
    }

    pub(super) fn now(&self) -> TransferProgress {
        TransferProgress {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed) + self.moved.bytes(),
        }
    }

    /// One more file is copied.
    pub(super) fn copied(&self, bytes: u64) {
        self.moved.begin();
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One file was not copied.
    fn missed(&self) {
        self.moved.begin();
    }

    /// One file of a directory was left out; `open`: a repeat may have it, and begins anew.
    pub(super) fn skipped(&self, open: bool) {
        self.missed();
        if open {
            self.results().open = Some(0);
        }
    }

    /// One more of the files that were asked for is done, well or not; `open`: a repeat tries it, and
    /// all behind it, once more.
    pub(super) fn result(&self, result: FileTransferResult, open: bool) {
        match result.error {
            None => self.copied(result.bytes),
            Some(_) => self.missed(),
        }
        let mut results = self.results();
        if open && results.open.is_none() {
            results.open = Some(results.files.len());
        }
        results.files.push(result);
    }

    /// Of how many files it is known what became of them.
    pub(super) fn count(&self) -> usize {
        self.results().files.len()
    }

    /// Whether a repeat goes on.
    pub(super) fn is_open(&self) -> bool {
        self.results().open.is_some()
    }

    /// The work ends before its end: another goes on.
    pub(super) fn cut(&self) {
        self.results().cut = true;
    }

    /// Whether it did.
    pub(super) fn is_cut(&self) -> bool {
        self.results().cut
    }

    /// What became of the files.
    pub(super) fn all(&self) -> Vec<FileTransferResult> {
        self.results().files.clone()
    }

    /// Of how many files it is final.
    pub(super) fn count_final(&self) -> usize {
        let results = self.results();
        results.open.unwrap_or(results.files.len())
    }

    /// What became of those, encoded.
    pub(super) fn done(&self) -> Vec<u8> {
        let mut files = self.all();
        files.truncate(self.count_final());
        TransferResult { files }.encode_to_vec()
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::Reason;

    use super::*;

    fn file(bytes: u64, failed: bool) -> FileTransferResult {
        FileTransferResult {
            bytes,
            error: failed.then(Reason::default),
            ..Default::default()
        }
    }

    #[test]
    fn a_copy_goes_on_where_something_is_worth_another_try() {
        let progress = Progress::default();
        progress.result(file(3, false), false);
        progress.result(file(0, true), false);
        progress.result(file(4, false), false);
        assert!(!progress.is_open());
        progress.result(file(0, true), true);
        progress.result(file(5, false), false);
        progress.result(file(0, true), true);
        assert!(progress.is_open());
        assert_eq!((progress.count_final(), progress.all().len()), (3, 6));
        let again = Progress::from(&progress.done());
        assert_eq!((again.count(), again.is_open()), (3, false));
        assert_eq!((again.now().files, again.now().bytes), (2, 7));
        assert_eq!(Progress::from(b"").now(), TransferProgress::default());
    }

    #[test]
    fn a_directory_begins_anew_where_a_repeat_may_have_more_of_it() {
        let progress = Progress::default();
        progress.copied(3);
        progress.skipped(false);
        assert!(!progress.is_open());
        progress.skipped(true);
        progress.skipped(false);
        assert!(progress.is_open());
        assert_eq!((progress.count_final(), progress.done()), (0, Vec::new()));
    }

    #[test]
    fn only_bytes_that_came_to_something_count() {
        let progress = Progress::default();
        let bytes = || progress.now().bytes;
        progress.moved.add(10);
        assert_eq!(bytes(), 10);
        // Once more, and in vain.
        progress.moved.begin();
        progress.moved.add(4);
        assert_eq!(bytes(), 4);
        progress.result(file(0, true), false);
        assert_eq!(bytes(), 0);
        progress.moved.add(6);
        progress.result(file(6, false), false);
        progress.moved.add(1);
        assert_eq!((bytes(), progress.now().files), (7, 1));
    }

    #[test]
    fn what_is_told_never_goes_back() {
        let mut seen = Seen::default();
        let at = |files, bytes| TransferProgress { files, bytes };
        assert!(seen.tell(at(1, 10)) && !seen.tell(at(1, 4)) && seen.tell(at(2, 7)));
        assert_eq!(seen.progress, at(2, 10));
    }
}
