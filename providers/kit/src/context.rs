//! The context that the gateway sends with a call, read from its metadata.

use std::fmt;

use prost::Message as _;
use sandgate_proto::{CONTEXT_METADATA, Problem, limits, provider::v1::ProviderContext};
use secrecy::{SecretSlice, SecretString};
use tonic::metadata::MetadataMap;

/// For whom a sandbox is. Goes into the ownership labels upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The gateway, or group of gateways on one store.
    pub gateway_id: String,
    /// Organisation.
    pub org_id: String,
    /// User.
    pub user_id: String,
    /// Agent; may be empty.
    pub agent_id: String,
    /// Harness; may be empty.
    pub harness_id: String,
    /// Session; empty on calls about the whole provider.
    pub session_id: String,
}

/// Which sandbox a call is about, and with what it may be reached.
#[derive(Clone)]
pub struct CallContext {
    /// For whom.
    pub owner: Owner,
    /// Which; empty on calls about the whole provider.
    pub sandbox_id: String,
    /// The sandbox's name in its session; may be empty.
    pub alias: String,
    /// Counts the lives of the sandbox.
    pub generation: u64,
    /// Its id upstream, once there is one.
    pub provider_sandbox_id: String,
    /// Kind and value of the caller's key for the upstream.
    pub credential: Option<(String, SecretString)>,
    /// What the provider answered its last life-cycle call with.
    pub state: SecretSlice<u8>,
    /// Version of that state.
    pub state_version: u64,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("owner", &self.owner)
            .field("sandbox_id", &self.sandbox_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl CallContext {
    /// Reads the context of a call about one sandbox, and refuses ids in the request that differ
    /// from it.
    pub(crate) fn of_sandbox(
        metadata: &MetadataMap,
        session_id: &str,
        sandbox_id: &str,
    ) -> Result<Self, Problem> {
        let context = Self::read(metadata)?;
        if uuid::Uuid::parse_str(&context.sandbox_id).is_err() {
            return Err(malformed("names no sandbox by its UUID"));
        }
        same("session_id", session_id, &context.owner.session_id)?;
        if !sandbox_id.starts_with('@') {
            same("sandbox_id", sandbox_id, &context.sandbox_id)?;
        }
        Ok(context)
    }

    /// Reads the context of a call about the provider as a whole.
    pub(crate) fn read(metadata: &MetadataMap) -> Result<Self, Problem> {
        let entry = metadata
            .get_bin(CONTEXT_METADATA)
            .ok_or_else(|| malformed("is missing; call a gateway, which adds it"))?;
        let encoded = entry
            .to_bytes()
            .map_err(|_| malformed("is not valid base64"))?;
        if encoded.len() > limits::CONTEXT_BYTES {
            return Err(malformed("is larger than 6 KiB"));
        }
        let context = ProviderContext::decode(encoded)
            .map_err(|_| malformed("is not a sandbox.provider.v1.ProviderContext"))?;
        Ok(Self::from(context))
    }
}

impl From<ProviderContext> for CallContext {
    fn from(context: ProviderContext) -> Self {
        let credential = context.credential.map(|credential| {
            let value = String::from_utf8_lossy(&credential.value).into_owned();
            (credential.kind, SecretString::from(value))
        });
        Self {
            owner: Owner {
                gateway_id: context.gateway_id,
                org_id: context.org_id,
                user_id: context.user_id,
                agent_id: context.agent_id,
                harness_id: context.harness_id,
                session_id: context.session_id,
            },
            sandbox_id: context.sandbox_id,
            alias: context.alias,
            generation: context.generation,
            provider_sandbox_id: context.provider_sandbox_id,
            credential,
            state: SecretSlice::from(context.state.to_vec()),
            state_version: context.state_version,
        }
    }
}

fn malformed(what: &str) -> Problem {
    Problem::invalid_field(CONTEXT_METADATA, format!("the provider context {what}"))
}

fn same(field: &'static str, asked: &str, context: &str) -> Result<(), Problem> {
    if asked.is_empty() || asked == context {
        return Ok(());
    }
    Err(Problem::invalid_field(
        field,
        "is not the one that this call was authorised for",
    ))
}
