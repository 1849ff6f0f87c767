//! The body of an answer: a provider's as it comes, or one of the gateway's own.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};

use crate::relay::Relayed;

pin_project! {
    /// Not boxed, so that a relayed call allocates nothing for it.
    #[project = AnswerProjection]
    pub(crate) enum Answer {
        Relayed { #[pin] body: Relayed },
        Own { #[pin] body: Body },
    }
}

impl From<Relayed> for Answer {
    fn from(body: Relayed) -> Self {
        Self::Relayed { body }
    }
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        Self::Own { body }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.project() {
            AnswerProjection::Relayed { body } => body.poll_frame(cx),
            AnswerProjection::Own { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relayed { body } => body.is_end_stream(),
            Self::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Relayed { body } => body.size_hint(),
            Self::Own { body } => body.size_hint(),
        }
    }
}
