//! The way of a call to the gateway's own services: what it names is looked up, whether it is a
//! repeated one, whether it is allowed; then the service answers.

use std::{convert::Infallible, future::ready, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt as _, Full};
use sandgate_proto::methods::Method;
use sandgate_service::{GRPC_TIMEOUT, timeout_of};
use tokio::time::timeout;
use tonic::body::Body;
use tower::Service;

use super::{
    gate::{Gate, Named},
    unfailing,
};
use crate::{
    facts::{Facts, Made},
    principal::Principal,
    problem::{self, Result},
    relay,
    replay::{Repeatable, Replays},
};

/// Says how a message is compressed, if it is.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The gateway's own services, and what stands before them.
pub(super) struct Own<S> {
    pub(super) services: S,
    pub(super) gate: Gate,
    pub(super) replays: Arc<Replays>,
}

impl<S> Own<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// Serves without a look at what is asked.
    pub(super) async fn serve(&self, request: Request<Body>) -> Response<Body> {
        unfailing(Box::pin(self.services.clone().call(request)).await)
    }

    /// Serves one call of the contract.
    pub(super) async fn call(
        &self,
        principal: &Principal,
        method: &'static Method,
        mut request: Request<Body>,
        facts: &mut Facts,
    ) -> Result<Response<Body>> {
        let asked = timeout_of(request.headers())?;
        request.headers_mut().remove(GRPC_TIMEOUT);
        let answer = self.answer(principal, method, request, facts);
        match asked.or(method.default_deadline()) {
            None => answer.await,
            Some(patience) => timeout(patience, answer)
                .await
                .unwrap_or_else(|_| Err(problem::deadline_exceeded())),
        }
    }

    async fn answer(
        &self,
        principal: &Principal,
        method: &'static Method,
        request: Request<Body>,
        facts: &mut Facts,
    ) -> Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let first = relay::first(body, !method.client_streaming);
        let first = timeout(relay::FIRST_MESSAGE, first).await;
        let first = first.unwrap_or_else(|_| Err(problem::deadline_exceeded()))?;
        // Only of messages that are flagged as compressed, which are refused by now.
        parts.headers.remove(GRPC_ENCODING);
        parts.extensions.insert(principal.clone());
        let message = first.message_bytes();
        let named = Named::read(method, &message)?;
        *facts = named.facts();

        let request_id = named.request_id();
        let repeatable = match request_id {
            // A stream is told of more than once: its service joins and repeats it.
            Ok(Some(request_id)) if !method.replays_itself && !method.server_streaming => {
                Some(Repeatable {
                    owner: &principal.owner,
                    request_id,
                    method: method.path,
                    message: &message,
                })
            }
            _ => None,
        };
        if let Some(asked) = &repeatable
            && let Some(answer) = self.replays.find(asked).await?
        {
            principal.allowed(method.scope)?;
            return Ok(relay::answered(answer.into()));
        }
        self.gate.pass(principal, method, &named, facts).await?;
        if !method.replays_itself {
            request_id?;
        }

        let request = Request::from_parts(parts, first.body());
        let response = self.serve(request).await;
        if let Some(made) = response.extensions().get::<Made>() {
            facts.add(made);
        }
        match repeatable {
            None => Ok(response),
            Some(asked) => self.keep(&asked, response).await,
        }
    }

    /// Keeps an answer that says that all went well.
    async fn keep(
        &self,
        asked: &Repeatable<'_>,
        response: Response<Body>,
    ) -> Result<Response<Body>> {
        if response.headers().contains_key(GRPC_STATUS) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let read = body.collect().await;
        let read = read.map_err(|error| problem::internal("own answer", &error))?;
        let trailers = read.trailers().cloned();
        let answer = read.to_bytes();
        if trailers.as_ref().is_none_or(is_ok) {
            self.replays.keep(asked, &answer).await;
        }
        Ok(Response::from_parts(parts, whole(answer, trailers)))
    }
}

fn is_ok(trailers: &HeaderMap) -> bool {
    trailers.get(GRPC_STATUS).is_none_or(|code| code == "0")
}

fn whole(data: Bytes, trailers: Option<HeaderMap>) -> Body {
    Body::new(Full::new(data).with_trailers(ready(trailers.map(Ok))))
}
