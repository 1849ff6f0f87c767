//! The provider's answer on its way to the caller: bytes as they are, metadata by an allowlist,
//! and an end that always tells the truth.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use sandgate_proto::{Outcome, Problem, Reason, has_error_info};
use sandgate_service::WireBody;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

use crate::{fleet, problem, sandbox::Target};

/// Metadata of an answer that a caller gets to see.
const FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    CONTENT_TYPE,
];

/// The response for the caller. `deadline` ends it wherever it is then; `used` is in use while it
/// flows. What is no gRPC is an error.
pub(super) fn downstream(
    provider: Arc<str>,
    response: Response<WireBody>,
    deadline: Option<Instant>,
    used: Option<Arc<Target>>,
) -> Result<Response<Relayed>, Problem> {
    if !is_grpc(&response) {
        tracing::warn!(provider = &*provider, status = %response.status(), "a provider's answer is no gRPC");
        return Err(problem::provider_unavailable(&provider, Outcome::Ambiguous));
    }
    let (mut parts, inner) = response.into_parts();
    parts.headers = allowed(&provider, parts.headers);
    parts.extensions.clear();
    let ended = parts.headers.contains_key(Status::GRPC_STATUS);
    let body = Relayed {
        inner,
        deadline,
        timer: None,
        provider,
        used,
        ended,
    };
    Ok(Response::from_parts(parts, body))
}

/// Why the provider refused a call as a whole, where it says a reason of ours.
pub(super) fn refusal(response: &Response<WireBody>) -> Option<Reason> {
    if !response.headers().contains_key(Status::GRPC_STATUS) || !is_grpc(response) {
        return None;
    }
    let status = Status::from_header_map(response.headers())?;
    Problem::from_status(&status).map(|problem| problem.reason())
}

/// Whatever else is in the provider's place, a proxy or another server, its text stays here.
fn is_grpc(response: &Response<WireBody>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    response.status() == StatusCode::OK
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Keeps what callers may see, and gives an error without a reason one.
fn allowed(provider: &str, mut headers: HeaderMap) -> HeaderMap {
    // Most answers hold one or two entries, all allowed: nothing is copied then.
    let (mut foreign, mut failed) = (false, false);
    for (name, value) in &headers {
        match name.as_str() {
            "grpc-status" => failed = value != "0",
            "content-type" | "grpc-message" | "grpc-status-details-bin" => {}
            _ => foreign = true,
        }
    }
    let mut kept = if foreign {
        let entries = FORWARDED.map(|name| (headers.remove(&name), name));
        let entries = entries.into_iter();
        entries
            .filter_map(|(value, name)| Some((name, value?)))
            .collect()
    } else {
        headers
    };
    if !failed {
        return kept;
    }
    let Some(status) = Status::from_header_map(&kept) else {
        return kept;
    };
    let foreign = !has_error_info(&status) || status.code() == Code::Unauthenticated;
    if status.code() != Code::Ok && foreign {
        let content_type = kept.remove(CONTENT_TYPE);
        kept = trailers(untyped(provider, &status));
        content_type.and_then(|value| kept.insert(CONTENT_TYPE, value));
    }
    kept
}

/// A status without a reason was not made by a Sandgate provider, but by something in its place;
/// and UNAUTHENTICATED is about this gateway, never about its caller.
fn untyped(provider: &str, status: &Status) -> Problem {
    tracing::warn!(provider, code = ?status.code(), "a provider answered without a reason");
    match status.code() {
        Code::Unimplemented => problem::unsupported(
            "rpc",
            "the provider does not serve this rpc; GetCapabilities lists what it can do",
        ),
        Code::DeadlineExceeded => problem::deadline_exceeded(),
        Code::Unauthenticated => problem::not_let_in(provider),
        Code::Cancelled => Problem::new(Reason::Cancelled, "the call was cancelled"),
        _ => problem::provider_unavailable(provider, Outcome::Ambiguous),
    }
}

/// The trailers that end a stream with a problem.
pub(crate) fn trailers(problem: Problem) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Cannot fail: message and details are encoded for headers.
    let _ = Status::from(problem).add_header(&mut headers);
    headers
}

pin_project! {
    /// The provider's answer as it comes.
    pub(crate) struct Relayed {
        #[pin]
        inner: WireBody,
        deadline: Option<Instant>,
        // Made when the body first has to wait, which that of a short answer never does.
        #[pin]
        timer: Option<Sleep>,
        provider: Arc<str>,
        used: Option<Arc<Target>>,
        ended: bool,
    }
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let problem = loop {
            match this.inner.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        if let Some(used) = this.used {
                            used.still_used();
                        }
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(frame) => {
                        *this.ended = true;
                        let trailers = frame.into_trailers().unwrap_or_default();
                        let kept = allowed(this.provider, trailers);
                        return Poll::Ready(Some(Ok(Frame::trailers(kept))));
                    }
                },
                Poll::Ready(Some(Err(error))) => break fleet::failure(this.provider, &error),
                // A stream that just stops was cut, whoever did it.
                Poll::Ready(None) => {
                    break problem::provider_unavailable(this.provider, Outcome::Ambiguous);
                }
                Poll::Pending => {
                    if let Some(deadline) = this.deadline.take() {
                        this.timer.set(Some(sleep_until(deadline)));
                    }
                    match this.timer.as_mut().as_pin_mut().map(|at| at.poll(cx)) {
                        Some(Poll::Ready(())) => break problem::deadline_exceeded(),
                        _ => return Poll::Pending,
                    }
                }
            }
        };
        *this.ended = true;
        Poll::Ready(Some(Ok(Frame::trailers(trailers(problem)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
