//! An upload as it is taken: how long nobody has taken any of it, though there was some.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use sandgate_kit::Upload;
use tokio::time::{Instant, sleep};

/// Longest time in which nothing is taken, and in which an answer has to come in the end.
const STALL: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// The bytes of an upload.
pub(super) struct Paced {
    content: Upload,
    taken: Arc<Mutex<Taken>>,
}

/// Sees whether they are taken.
pub(super) struct Watch(Arc<Mutex<Taken>>);

struct Taken {
    last: Instant,
    /// There is nothing to be taken just now.
    is_dry: bool,
}

/// The same bytes, and who watches over them.
pub(super) fn paced(content: Upload) -> (Paced, Watch) {
    let taken = Arc::new(Mutex::new(Taken {
        last: Instant::now(),
        is_dry: false,
    }));
    let watch = Watch(taken.clone());
    (Paced { content, taken }, watch)
}

impl Stream for Paced {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.content.as_mut().poll_next(cx);
        {
            let mut taken = lock(&self.taken);
            taken.last = Instant::now();
            taken.is_dry = polled.is_pending();
        }
        Poll::Ready(ready!(polled))
    }
}

impl Watch {
    /// Comes to its end when nothing was taken for too long.
    pub(super) async fn stalled(&self) {
        loop {
            sleep(LOOK).await;
            let taken = lock(&self.0);
            if !taken.is_dry && taken.last.elapsed() > STALL {
                return;
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
