//! File descriptors of this process: as many as its work may need, and what of them ports may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as are of use: the runner, which inherits this, wants no more.
const WANTED: u64 = 8192;

/// Raises the soft limit, as far as the hard one allows.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |most| most.min(WANTED));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// How many things there may be that take so many each, where they may take this share of all.
pub(crate) fn room(each: usize, (part, of): (usize, usize)) -> usize {
    let all = getrlimit(Resource::Nofile).current;
    let all = all.and_then(|all| usize::try_from(all).ok());
    all.unwrap_or(usize::MAX) / of * part / each
}
