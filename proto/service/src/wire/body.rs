//! The two bodies of a call: the request's on its way out as the other side takes it, the answer's
//! as this side reads it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body as HttpBody, Frame};
use tonic::body::Body;

use super::{Connection, WireError};

/// A request's body on its way out. Sends no more than the other side has room for.
pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// Nothing was given yet. What comes first is in memory already: it does not wait for room, so
    /// that head and message go out in one write.
    first: bool,
}

impl Upload {
    pub(super) fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self {
            body,
            stream,
            first: true,
        }
    }

    /// Resolves when all is handed over, or nobody wants the rest.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sent = ready!(self.try_poll(cx));
        if sent.is_err() {
            // The call ends with its answer, which says more than this error does.
            self.stream.send_reset(Reason::CANCEL);
        }
        Poll::Ready(())
    }

    fn try_poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            // One frame of the body goes whole into the connection's buffer, and the next is asked
            // for when there is room again.
            if !self.first {
                self.stream.reserve_capacity(1);
            }
            if !self.first && self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    _ => return Poll::Ready(Err(Gone)),
                }
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(self.give(Bytes::new(), true));
            };
            let Ok(Ok(data)) = frame.map(Frame::into_data) else {
                return Poll::Ready(Err(Gone));
            };
            self.first = false;
            let last = self.body.is_end_stream();
            if last || !data.is_empty() {
                self.give(data, last)?;
            }
            if last {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn give(&mut self, data: Bytes, last: bool) -> Result<(), Gone> {
        self.stream.send_data(data, last).map_err(|_| Gone)
    }
}

/// Nobody sends, or nobody takes, the rest of a request.
struct Gone;

/// The body of an answer. What is not read is not asked for.
pub struct WireBody {
    recv: RecvStream,
    upload: Option<Upload>,
    data_ended: bool,
    /// Kept until the call is over.
    _connection: Arc<Connection>,
}

impl WireBody {
    pub(super) fn new(
        recv: RecvStream,
        upload: Option<Upload>,
        connection: Arc<Connection>,
    ) -> Self {
        Self {
            recv,
            upload,
            data_ended: false,
            _connection: connection,
        }
    }
}

impl HttpBody for WireBody {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let this = &mut *self;
        if let Some(upload) = &mut this.upload
            && upload.poll(cx).is_ready()
        {
            this.upload = None;
        }
        if !this.data_ended {
            match ready!(this.recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Cannot fail: it is what has just come.
                    let _ = this.recv.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(WireError::broken(error)))),
                None => this.data_ended = true,
            }
        }
        let trailers = ready!(this.recv.poll_trailers(cx)).map_err(WireError::broken);
        Poll::Ready(
            trailers
                .transpose()
                .map(|trailers| trailers.map(Frame::trailers)),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }
}
