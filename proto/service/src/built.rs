//! The one place that answers an rpc of the contract which a server does not serve.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use sandgate_proto::{
    Problem, Reason,
    methods::{self, Method},
};
use tonic::body::Body;
use tower::Service;

use crate::problem_response;

/// Lets the rpcs in `built` through to the inner service, and answers the rest of the contract
/// with UNIMPLEMENTED · CAPABILITY_UNSUPPORTED. Paths outside the contract pass.
#[derive(Clone, Debug)]
pub struct Built<S> {
    inner: S,
    built: &'static [&'static str],
}

impl<S> Built<S> {
    /// `built`: the paths that the inner service serves.
    pub fn new(inner: S, built: &'static [&'static str]) -> Self {
        Self { inner, built }
    }
}

impl<S, B> Service<Request<B>> for Built<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match methods::find(request.uri().path()) {
            Some(method) if !self.built.contains(&method.path) => {
                Either::Right(ready(Ok(problem_response(not_built(method)))))
            }
            _ => Either::Left(self.inner.call(request)),
        }
    }
}

fn not_built(method: &Method) -> Problem {
    Problem::new(
        Reason::CapabilityUnsupported,
        format!(
            "{} is not available here; SandboxService.GetCapabilities lists what this provider can do",
            method.name
        ),
    )
    .with("method", method.path)
}
