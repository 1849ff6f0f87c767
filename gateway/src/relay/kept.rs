//! Answers from what is kept of executions, where their sandbox cannot be asked any more.

use std::future::ready;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Either, Full};
use sandgate_proto::{Problem, Reason, methods::Method};
use tonic::body::Body;
use uuid::Uuid;

use super::{Asked, Relay, Relayed, looks::looks};
use crate::{
    facts::Facts, ids::SandboxRef, principal::Principal, problem::Result, sandbox::Target,
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The body of the answer to a relayed call: its provider's as it comes, or the gateway's own from
/// what it keeps. Not boxed, so that a relayed call allocates nothing for it.
pub(crate) type Reply = Either<Relayed, Body>;

impl Relay {
    /// What a look is answered with that found no way to its sandbox, if what it wants is kept;
    /// else the problem that it met.
    pub(super) async fn instead(
        &self,
        principal: &Principal,
        method: &Method,
        asked: &Asked,
        message: &[u8],
        facts: &mut Facts,
        problem: Problem,
    ) -> Result<Response<Reply>> {
        if !looks(method) || !is_gone(problem.reason()) {
            return Err(problem);
        }
        // Nothing is said to who may not look, nor of what is another's.
        let session = self.sessions.get(principal, asked.session_id).await;
        let (Ok(session), Ok(())) = (session, principal.allowed(method.scope)) else {
            return Err(problem);
        };
        let sandbox_id = match &asked.wanted {
            SandboxRef::Id(id) => *id,
            named => match self
                .sandboxes
                .find(principal, asked.session_id, named)
                .await
            {
                Ok((_, sandbox)) => sandbox.sandbox_id,
                Err(_) => return Err(problem),
            },
        };
        let session_id = session.session_id;
        let kept = self.kept_answer(method, session_id, sandbox_id, message);
        let mut answer = kept.await?;
        // What ran is saved on the way to rest.
        let waits = method.has_execution_id && answer.is_none();
        if waits && self.sandboxes.comes_to_rest(session_id, sandbox_id).await? {
            let kept = self.kept_answer(method, session_id, sandbox_id, message);
            answer = kept.await?;
        }
        let answer = answer.ok_or(problem)?;
        facts.sandbox_id = sandbox_id.to_string();
        Ok(answer)
    }

    /// The same where the provider knows neither sandbox nor execution, which it has just said.
    pub(super) async fn kept_answer(
        &self,
        method: &Method,
        session_id: Uuid,
        sandbox_id: Uuid,
        message: &[u8],
    ) -> Result<Option<Response<Reply>>> {
        let kept = self
            .kept
            .answer(session_id, sandbox_id, method.name, message);
        Ok(kept.await?.map(reply))
    }

    /// The answer of a start that was made before its sandbox was started anew.
    pub(super) async fn repeated(
        &self,
        method: &Method,
        asked: &Asked,
        target: &Target,
        message: &[u8],
    ) -> Result<Option<Response<Reply>>> {
        let (session_id, sandbox_id) = (asked.session_id, target.sandbox_id());
        let kept = self
            .kept
            .repeat(session_id, sandbox_id, target.boots(), method.name, message);
        Ok(kept.await?.map(reply))
    }
}

/// Whether a look may have been answered so only because its sandbox, or an execution in it, is gone.
pub(super) fn is_gone(reason: Reason) -> bool {
    use Reason::{ExecutionNotFound, SandboxNotFound, SandboxNotRunning};
    matches!(
        reason,
        SandboxNotFound | SandboxNotRunning | ExecutionNotFound
    )
}

/// A whole answer that went well; `body`: its messages, framed.
pub(crate) fn answered(body: Bytes) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(body).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn reply(messages: Vec<Bytes>) -> Response<Reply> {
    let mut framed = BytesMut::new();
    for message in messages {
        framed.put_u8(0);
        // A few MiB at most.
        framed.put_u32(message.len() as u32);
        framed.extend_from_slice(&message);
    }
    answered(framed.freeze()).map(Reply::Right)
}
