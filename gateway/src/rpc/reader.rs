//! An answer that its reader has to take: one who takes nothing for long loses it, and what it holds.

use std::{pin::pin, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use tokio::{sync::mpsc, time::timeout};

use crate::problem::{self, Result};

/// How long nothing may be taken.
const PATIENCE: Duration = Duration::from_secs(300);

/// The same stream, and the work that makes it ahead by one item: a task of its own, since nobody
/// polls a stream that is not taken. It ends with an error where that was for too long.
pub(super) fn taken<T, S>(
    items: S,
) -> (
    impl Stream<Item = Result<T>> + Send + 'static,
    impl Future<Output = ()> + Send + 'static,
)
where
    T: Send + 'static,
    S: Stream<Item = Result<T>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let work = async move {
        let mut items = pin!(items.map(Some).chain(stream::iter([None])));
        while let Some(item) = items.next().await {
            if !matches!(timeout(PATIENCE, sender.send(item)).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    let taken = stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(item)) => Some((item, Some(receiver))),
            Some(None) => None,
            None => Some((Err(problem::reader_took_nothing()), None)),
        }
    });
    (taken, work)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sandgate_proto::Reason;
    use tokio::time::sleep;

    use super::*;

    fn spawned<S>(items: S) -> impl Stream<Item = Result<i32>>
    where
        S: Stream<Item = Result<i32>> + Send + 'static,
    {
        let (items, work) = taken(items);
        drop(tokio::spawn(work));
        items
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_it_slowly_has_all_of_it() {
        let mut items = pin!(spawned(stream::iter((0..4).map(Ok))));
        for number in 0..4 {
            sleep(PATIENCE - Duration::from_secs(1)).await;
            assert_eq!(items.next().await.unwrap().unwrap(), number);
        }
        assert!(items.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_loses_it_and_what_it_holds() {
        let held = Arc::new(());
        let holder = held.clone();
        let items = stream::iter(0..100).map(move |number| {
            let _held = &holder;
            Ok(number)
        });
        let mut items = pin!(spawned(items));
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        sleep(PATIENCE * 2).await;
        assert_eq!(Arc::strong_count(&held), 1);
        let mut last = items.next().await.unwrap();
        while last.is_ok() {
            last = items.next().await.unwrap();
        }
        assert_eq!(last.unwrap_err().reason(), Reason::DeadlineExceeded);
        assert!(items.next().await.is_none());
    }
}
