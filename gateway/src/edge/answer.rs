//! The body of an answer: a provider's as it comes, or one of the gateway's own; cut off when its
//! caller is no longer let in.

use std::{
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use crate::{
    identity::Caller,
    problem,
    relay::{self, Relayed, Reply},
};

pin_project! {
    /// Not boxed, so that a relayed call allocates nothing for it.
    pub(crate) struct Answer {
        #[pin]
        inner: Inner,
        // Held, so that the end of the caller's key is noticed for as long as it reads.
        caller: Option<Arc<Caller>>,
        // Made when the body first has to wait, which that of a short answer never does.
        #[pin]
        waiting: Option<WaitForCancellationFutureOwned>,
        cut: bool,
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner {
        Relayed { #[pin] body: Relayed },
        Own { #[pin] body: Body },
    }
}

impl Answer {
    /// The same, for as long as this caller is let in.
    pub(super) fn read_by(mut self, caller: Arc<Caller>) -> Self {
        self.caller = Some(caller);
        self
    }

    fn new(inner: Inner) -> Self {
        Self {
            inner,
            caller: None,
            waiting: None,
            cut: false,
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Left(body) => Self::new(Inner::Relayed { body }),
            Reply::Right(body) => body.into(),
        }
    }
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        Self::new(Inner::Own { body })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.cut {
            return Poll::Ready(None);
        }
        let ended = this.caller.as_ref().map(|caller| &caller.ended);
        if !ended.is_some_and(CancellationToken::is_cancelled) {
            let polled = match this.inner.project() {
                InnerProjection::Relayed { body } => body.poll_frame(cx),
                InnerProjection::Own { body } => body.poll_frame(cx),
            };
            let Some(ended) = ended.filter(|_| polled.is_pending()) else {
                return polled;
            };
            if this.waiting.is_none() {
                this.waiting.set(Some(ended.clone().cancelled_owned()));
            }
            match this.waiting.as_pin_mut().map(|waiting| waiting.poll(cx)) {
                Some(Poll::Ready(())) => {}
                _ => return Poll::Pending,
            }
        }
        *this.cut = true;
        let trailers = relay::trailers(problem::authentication_required());
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        let inner = match &self.inner {
            Inner::Relayed { body } => body.is_end_stream(),
            Inner::Own { body } => body.is_end_stream(),
        };
        inner || self.cut
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Relayed { body } => body.size_hint(),
            Inner::Own { body } => body.size_hint(),
        }
    }
}
