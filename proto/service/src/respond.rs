//! Answers that are made before, or in place of, a handler's: one problem as a whole response, and
//! typed details on the statuses that the gRPC library makes by itself.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, header::CONTENT_TYPE};
use sandgate_proto::{Problem, Reason};
use tonic::{Code, Status, body::Body};
use tower::Service;

/// A response that is nothing but an error.
pub fn problem_response(problem: Problem) -> Response<Body> {
    let mut response = Status::from(problem).into_http();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    response
}

/// Gives every error of the inner service its `ErrorInfo`: a request that the library could not
/// decode, or a path that it does not know, is answered by the library without one.
#[derive(Clone, Debug)]
pub struct Typed<S>(pub S);

impl<S, B> Service<Request<B>> for Typed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let response = self.0.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(match untyped_problem(&path, &response) {
                Some(problem) => problem_response(problem),
                None => response,
            })
        })
    }
}

/// The problem behind an error response that says no reason of its own.
fn untyped_problem(path: &str, response: &Response<Body>) -> Option<Problem> {
    if response.headers().contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = Status::from_header_map(response.headers())?;
    match status.code() {
        // The standard's own answer about the health of a service that is not there.
        Code::Ok | Code::NotFound => None,
        // With this header the library refuses a compressed message, not the rpc.
        Code::Unimplemented if response.headers().contains_key("grpc-accept-encoding") => {
            let message = "send the request uncompressed";
            let problem = Problem::new(Reason::CapabilityUnsupported, message);
            Some(problem.with("capability", "compression"))
        }
        Code::Unimplemented => Some(method_unknown(path)),
        Code::Cancelled => Some(Problem::new(Reason::Cancelled, "the call was cancelled")),
        // What is left is said before any handler ran: the request could not be read.
        _ => Some(Problem::invalid_field(
            "message",
            format!(
                "cannot be read as the request of {path}: {}",
                status.message()
            ),
        )),
    }
}

/// A path at which this server has no rpc.
fn method_unknown(path: &str) -> Problem {
    Problem::new(
        Reason::MethodUnknown,
        format!("there is no rpc at {path}; list the services with server reflection, as in `grpcurl HOST list`"),
    )
    .with("path", path)
}
