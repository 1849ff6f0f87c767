//! What one caller is told of a copy: how far it is, that it is still alive, and its result.

use std::time::Duration;

use futures::{Stream, stream};
use sandgate_proto::v1::TransferProgress;
use tokio::{sync::watch, time::sleep};

use super::{Done, progress::Seen};
use crate::problem::{self, Result};

/// Time without another event before a sign of life.
const SILENCE: Duration = Duration::from_secs(15);

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Progress(TransferProgress),
    KeepAlive,
    /// The last.
    Result(Done),
}

/// The events of a copy, from now on: exactly one result or error, last.
pub(crate) fn events(
    seen: watch::Receiver<Seen>,
) -> impl Stream<Item = Result<Event>> + Send + 'static {
    stream::unfold(Some((seen, TransferProgress::default())), |state| async {
        let (mut seen, told) = state?;
        loop {
            let now = seen.borrow_and_update().clone();
            if let Some(end) = now.end {
                return Some((end.map(Event::Result), None));
            }
            if now.progress != told {
                // Others come meanwhile; only the latest counts.
                let rest = Some((seen, now.progress));
                return Some((Ok(Event::Progress(now.progress)), rest));
            }
            tokio::select! {
                changed = seen.changed() => {
                    if changed.is_err() && seen.borrow().end.is_none() {
                        let broken = problem::internal("transfer", &"ended without a word");
                        return Some((Err(broken), None));
                    }
                }
                () = sleep(SILENCE) => return Some((Ok(Event::KeepAlive), Some((seen, told)))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};
    use sandgate_proto::v1::WorkspaceResult;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_word_a_sign_of_life_and_one_result() {
        let (sender, seen) = watch::channel(Seen::default());
        let mut events = Box::pin(events(seen));
        assert!(events.next().now_or_never().is_none());
        let progress = |files| TransferProgress { files, bytes: 0 };
        for files in 1..4 {
            sender.send_modify(|seen| seen.progress = progress(files));
        }
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event, Event::Progress(progress(3)));
        assert_eq!(events.next().await.unwrap().unwrap(), Event::KeepAlive);
        let done = Done::Workspace(WorkspaceResult::default());
        sender.send_modify(|seen| {
            seen.progress = progress(9);
            seen.end = Some(Ok(done.clone()));
        });
        assert_eq!(events.next().await.unwrap().unwrap(), Event::Result(done));
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn work_that_vanishes_is_an_error() {
        let (sender, seen) = watch::channel(Seen::default());
        drop(sender);
        let mut events = Box::pin(events(seen));
        assert!(events.next().await.unwrap().is_err());
        assert!(events.next().await.is_none());
    }
}
