//! What a provider answers, on the wire.

use std::time::SystemTime;

use prost::Message as _;
use sandgate_proto::{
    STATE_METADATA,
    provider::v1::ProviderState,
    v1::{Reason, Sandbox, SandboxState},
};
use tonic::{Response, metadata::MetadataValue};

use crate::Instance;

/// The sandbox as its provider sees it; what only the gateway knows stays empty.
pub(super) fn sandbox(provider: &str, instance: &Instance) -> Sandbox {
    let reason = instance.reason.as_ref().map(|(code, message)| Reason {
        code: (*code).to_owned(),
        message: message.clone(),
    });
    Sandbox {
        session_id: instance.session_id.clone(),
        sandbox_id: instance.sandbox_id.clone(),
        provider: provider.to_owned(),
        provider_sandbox_id: instance.provider_sandbox_id.clone(),
        instance_id: instance.instance_id.clone(),
        state: instance.state.into(),
        reason,
        generation: instance.generation,
        workspace_path: instance.workspace_path.clone(),
        home_path: instance.home_path.clone(),
        create_time: instance.create_time.map(SystemTime::into),
        start_time: instance.start_time.map(SystemTime::into),
        provider_expire_time: instance.expire_time.map(SystemTime::into),
        ..Default::default()
    }
}

/// A sandbox that is gone.
pub(super) fn tombstone(provider: &str, session_id: String, sandbox_id: String) -> Sandbox {
    Sandbox {
        session_id,
        sandbox_id,
        provider: provider.to_owned(),
        state: SandboxState::Deleted.into(),
        ..Default::default()
    }
}

/// Adds the state that the gateway keeps for the provider. `version` is that of the state which
/// the call came with, and which this one replaces.
pub(super) fn with_state<T>(reply: T, instance: &Instance, version: u64) -> Response<T> {
    let state = ProviderState {
        state: instance.state_data.clone(),
        provider_sandbox_id: instance.provider_sandbox_id.clone(),
        instance_id: instance.instance_id.clone(),
        state_version: version,
    };
    let mut value = MetadataValue::from_bytes(&state.encode_to_vec());
    value.set_sensitive(true);
    let mut response = Response::new(reply);
    response.metadata_mut().insert_bin(STATE_METADATA, value);
    response
}
