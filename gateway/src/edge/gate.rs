//! What a call to the gateway's own services names: read from the message, looked up, and only then
//! is asked whether the caller may make the call. So a caller learns nothing of what is not its own.

use std::sync::Arc;

use sandgate_proto::{Code, methods::Method};
use uuid::Uuid;

use crate::{
    agent::Agents,
    facts::Facts,
    ids::{self, SandboxRef},
    principal::{ADMIN, Owner, Principal},
    problem::Result,
    sandbox::Sandboxes,
    session::Sessions,
    wire::{self, Reader, Value, once},
};

/// Where things are looked up.
pub(super) struct Gate {
    sessions: Arc<Sessions>,
    agents: Arc<Agents>,
    sandboxes: Sandboxes,
}

/// What the fields of a request name, as they were sent.
#[derive(Default)]
pub(super) struct Named<'a> {
    session_id: Option<&'a str>,
    sandbox_id: Option<&'a str>,
    execution_id: Option<&'a str>,
    agent_id: Option<&'a str>,
    harness_id: Option<&'a str>,
    org_id: Option<&'a str>,
    user_id: Option<&'a str>,
    request_id: Option<&'a str>,
    target: Option<&'a str>,
    allow_missing: bool,
}

impl Gate {
    pub(super) fn new(sessions: Arc<Sessions>, agents: Arc<Agents>, sandboxes: Sandboxes) -> Self {
        Self {
            sessions,
            agents,
            sandboxes,
        }
    }

    /// Whether all that the request names is there and the caller's, and the caller may make this
    /// call. `facts` learn whose things they are, and which sandbox an alias means.
    pub(super) async fn pass(
        &self,
        principal: &Principal,
        method: &Method,
        named: &Named<'_>,
        facts: &mut Facts,
    ) -> Result<()> {
        match self.own(principal, method, named).await {
            Err(missing) if named.allow_missing && missing.reason().code() == Code::NotFound => {}
            found => {
                let (owner, sandbox_id) = found?;
                facts.owner = Some(owner);
                if let Some(sandbox_id) = sandbox_id {
                    facts.sandbox_id = sandbox_id.to_string();
                }
            }
        }
        principal.allowed(method.scope)
    }

    async fn own(
        &self,
        principal: &Principal,
        method: &Method,
        named: &Named<'_>,
    ) -> Result<(Owner, Option<Uuid>)> {
        let org_id = named.org_id.unwrap_or_default();
        let user_id = named.user_id.unwrap_or_default();
        let owner = match method.scope {
            // Operators act for nobody when they name a user: it is whom the call is about.
            ADMIN => {
                principal.allowed(ADMIN)?;
                principal.or_named(org_id, user_id)
            }
            _ => principal.acting_for(org_id, user_id)?,
        };
        // A create that is repeated is answered also when its agent is gone by then, which only its
        // service can tell. Whoever may not call it learns of a missing agent first, as of all else.
        let agents = !method.replays_itself || principal.allowed(method.scope).is_err();
        let ids = [named.agent_id, named.harness_id].into_iter();
        for agent_id in ids.filter_map(given).filter(|_| agents) {
            self.agents.get(principal, org_id, agent_id).await?;
        }
        let Some(session_id) = given(named.session_id) else {
            return Ok((owner, None));
        };
        let session_id = ids::session_id(session_id)?;
        let (session, sandbox_id) = match given(named.sandbox_id) {
            None => (self.sessions.get(principal, session_id).await?, None),
            Some(sandbox_id) => {
                let wanted = SandboxRef::parse(sandbox_id)?;
                let (session, sandbox) =
                    self.sandboxes.find(principal, session_id, &wanted).await?;
                (session, Some(sandbox.sandbox_id))
            }
        };
        let owner = Owner {
            org_id: session.org_id,
            user_id: session.user_id,
        };
        Ok((owner, sandbox_id))
    }
}

fn given(id: Option<&str>) -> Option<&str> {
    id.filter(|id| !id.is_empty())
}

impl<'a> Named<'a> {
    /// Reads the fields that the contract says matter in a request of this rpc.
    ///
    /// # Errors
    /// `INVALID_FIELD` where the message is malformed or says one of them twice.
    pub(super) fn read(method: &Method, message: &'a [u8]) -> Result<Self> {
        let mut named = Self::default();
        let numbers = &method.names;
        let mut fields = Reader(message);
        while let Some(field) = fields.field()? {
            let number = Some(field.number);
            let value = field.value;
            let texts = [
                (numbers.session_id, &mut named.session_id, "session_id"),
                (numbers.sandbox_id, &mut named.sandbox_id, "sandbox_id"),
                (
                    numbers.execution_id,
                    &mut named.execution_id,
                    "execution_id",
                ),
                (numbers.agent_id, &mut named.agent_id, "agent_id"),
                (numbers.harness_id, &mut named.harness_id, "harness_id"),
                (numbers.org_id, &mut named.org_id, "org_id"),
                (numbers.user_id, &mut named.user_id, "user_id"),
                (numbers.request_id, &mut named.request_id, "request_id"),
            ];
            for (wanted, place, name) in texts {
                if wanted == number {
                    once(place, value, name)?;
                }
            }
            if numbers.target == number {
                named.target = wire::text(value, "name").ok();
            }
            if numbers.allow_missing == number {
                named.allow_missing = matches!(value, Value::Varint(1..));
            }
        }
        Ok(named)
    }

    /// The call's id for being repeated, a UUID.
    ///
    /// # Errors
    /// `INVALID_FIELD` where it is none.
    pub(super) fn request_id(&self) -> Result<Option<Uuid>> {
        ids::optional_uuid("request_id", self.request_id.unwrap_or_default())
    }

    /// For the audit log.
    pub(super) fn facts(&self) -> Facts {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Facts {
            owner: None,
            session_id: text(self.session_id),
            sandbox_id: text(self.sandbox_id),
            execution_id: text(self.execution_id),
            request_id: text(self.request_id),
            target: text(self.target),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sandgate_proto::{
        methods,
        v1::{CreateSessionRequest, DeleteSecretRequest},
    };

    use super::*;

    fn method(path: &str) -> &'static Method {
        methods::find(path).unwrap()
    }

    #[test]
    fn what_a_request_names_is_read_by_the_contract() {
        let request = DeleteSecretRequest {
            session_id: "s".into(),
            request_id: "r".into(),
            name: "n".into(),
            allow_missing: true,
        };
        let bytes = request.encode_to_vec();
        let method = method("/sandbox.v1.SecretService/DeleteSecret");
        let named = Named::read(method, &bytes).unwrap();
        assert!(named.allow_missing && named.request_id().is_err());
        let facts = named.facts();
        assert_eq!(
            (&facts.session_id[..], &facts.target[..]),
            ("s", "n"),
            "{facts:?}"
        );
        let twice = [&bytes[..], &bytes[..]].concat();
        assert!(Named::read(method, &twice).is_err());
        assert!(Named::read(method, b"\xff").is_err());
    }

    #[test]
    fn an_id_that_the_call_gives_names_nothing_yet() {
        let request = CreateSessionRequest {
            session_id: "new".into(),
            agent_id: "a".into(),
            ..Default::default()
        };
        let bytes = request.encode_to_vec();
        let named = Named::read(method("/sandbox.v1.SessionService/CreateSession"), &bytes);
        let named = named.unwrap();
        assert_eq!((named.session_id, named.agent_id), (None, Some("a")));
    }
}
