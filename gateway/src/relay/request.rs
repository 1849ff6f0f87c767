//! The request that goes on to the provider.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, TE},
};
use http_body::{Body as HttpBody, Frame};
use http_body_util::Full;
use pin_project_lite::pin_project;
use sandgate_proto::{CONTEXT_METADATA, Problem, limits};
use sandgate_service::{GRPC_TIMEOUT, format_timeout};
use tonic::{Status, body::Body};

use super::first::First;
use crate::{fleet::Lane, problem::Result, sandbox::Target};

/// Client metadata that a provider gets to see. Everything else stays here.
const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// Puts the request together: the caller's bytes, our headers.
pub(super) fn upstream(
    path: &Uri,
    headers: &HeaderMap,
    body: Body,
    target: &Target,
    lane: &Lane,
    left: Option<Duration>,
) -> Result<Request<Body>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = path.clone();
    let out = request.headers_mut();
    out.reserve(8);
    out.insert(TE, HeaderValue::from_static("trailers"));
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    out.insert(CONTEXT_METADATA, target.context().header());
    if let Some(authorization) = &lane.authorization {
        out.insert(AUTHORIZATION, authorization.clone());
    }
    if let Some(left) = left {
        out.insert(GRPC_TIMEOUT, format_timeout(left));
    }
    forward(headers, out)?;
    Ok(request)
}

fn forward(headers: &HeaderMap, out: &mut HeaderMap) -> Result<()> {
    let mut size = 0;
    for name in FORWARDED {
        if let Some(value) = headers.get(&name) {
            size += name.as_str().len() + value.len();
            out.insert(name, value.clone());
        }
    }
    if size > limits::FORWARDED_METADATA_BYTES {
        return Err(Problem::invalid_field(
            "metadata",
            "traceparent, tracestate and x-request-id must have at most 4 KiB together",
        )
        .with("limit_bytes", limits::FORWARDED_METADATA_BYTES));
    }
    Ok(())
}

/// One frame where that is all; else the first message and then the rest. The frames of a body made
/// by chaining end with an empty one, of which HTTP/2 peers tolerate a hundred on a connection.
/// `used`: what is in use while it flows.
pub(super) fn body(first: First, used: Option<Arc<Target>>) -> Body {
    match first.rest {
        None => Body::new(Full::new(first.read)),
        Some(rest) => Body::new(FirstAndRest {
            first: Some(first.read),
            rest,
            used,
        }),
    }
}

pin_project! {
    struct FirstAndRest {
        first: Option<Bytes>,
        #[pin]
        rest: Body,
        used: Option<Arc<Target>>,
    }
}

impl HttpBody for FirstAndRest {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            match this.rest.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                other => {
                    if let (Poll::Ready(Some(Ok(_))), Some(used)) = (&other, this.used) {
                        used.still_used();
                    }
                    return other;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
