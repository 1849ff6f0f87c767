//! Ending a server without lying: first calls may finish, then what still streams ends with
//! UNAVAILABLE · DRAINING, never as if it were complete.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use sandgate_proto::{Problem, Reason};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

/// The two signals of a shutdown, shared by everything that serves.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    started: CancellationToken,
    cut: CancellationToken,
}

impl Drain {
    /// A drain that has not started.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins: no new connection, no new call. Idempotent.
    pub fn start(&self) {
        self.started.cancel();
    }

    /// Ends what is still running with DRAINING. Idempotent.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Begins, gives running calls `grace`, then cuts.
    pub async fn run(&self, grace: Duration) {
        self.start();
        tokio::time::sleep(grace).await;
        self.cut();
    }

    /// Resolves when the drain begins.
    pub async fn started(&self) {
        self.started.cancelled().await;
    }

    /// Whether the drain has begun.
    pub fn is_started(&self) -> bool {
        self.started.is_cancelled()
    }

    /// Whether what is left has to end.
    pub fn is_cut_off(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Resolves when what is left has to end.
    pub async fn cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// Wraps a response body so that it ends when the drain cuts.
    pub fn body<B>(&self, inner: B) -> DrainBody<B> {
        DrainBody {
            inner,
            drain: self.clone(),
            cut: None,
            ended: false,
        }
    }
}

/// What a call that meets the end of the server is told.
pub fn draining() -> Problem {
    Problem::new(
        Reason::Draining,
        "this server is shutting down; repeat the call, or resume the stream at the last offset that you have",
    )
    .retry_after(Duration::from_secs(1))
}

pin_project! {
    /// A response body that ends with DRAINING trailers when its server has to end.
    pub struct DrainBody<B> {
        #[pin]
        inner: B,
        drain: Drain,
        // Made when the body first has to wait, which that of a short answer never does.
        #[pin]
        cut: Option<WaitForCancellationFutureOwned>,
        ended: bool,
    }
}

impl<B: Body<Data = Bytes>> Body for DrainBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if this.cut.is_none() {
            this.cut.set(Some(this.drain.cut.clone().cancelled_owned()));
        }
        match this.cut.as_pin_mut().map(|cut| cut.poll(cx)) {
            Some(Poll::Ready(())) => {
                *this.ended = true;
                let mut trailers = HeaderMap::new();
                // Cannot fail: code and message are ours and printable.
                let _ = Status::from(draining()).add_header(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            _ => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
