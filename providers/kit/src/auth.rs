//! Lets only gateways in: by a shared token, or by the client certificate that TLS has verified.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use http::{Request, Response, header::AUTHORIZATION};
use sandgate_proto::{Problem, Reason};
use sandgate_service::problem_response;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tonic::body::Body;
use tower::Service;

const HEALTH: &str = "/grpc.health.v1.Health/";

/// Checks the token of every call but health checks.
#[derive(Clone)]
pub(crate) struct RequireToken<S> {
    inner: S,
    token: Option<Arc<SecretString>>,
}

impl<S> RequireToken<S> {
    pub(crate) fn new(inner: S, token: Option<SecretString>) -> Self {
        Self {
            inner,
            token: token.map(Arc::new),
        }
    }

    fn admits<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        if request.uri().path().starts_with(HEALTH) {
            return true;
        }
        let sent = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        sent.is_some_and(|sent| bool::from(sent.ct_eq(token.expose_secret().as_bytes())))
    }
}

impl<S, B> Service<Request<B>> for RequireToken<S>
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
        if self.admits(&request) {
            return Either::Left(self.inner.call(request));
        }
        Either::Right(ready(Ok(problem_response(Problem::new(
            Reason::AuthenticationRequired,
            "this provider serves gateways only: set the same SANDGATE_PROVIDER_TOKEN on both sides",
        )))))
    }
}
