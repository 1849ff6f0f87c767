//! A sandbox as callers see it.

use prost::Message as _;
use sandgate_proto::v1::{Reason, Sandbox, SandboxSpec};

use crate::{
    clock,
    problem::{self, Result},
    store::SandboxRecord,
};

/// The row on the wire.
pub(crate) fn describe(record: &SandboxRecord) -> Result<Sandbox> {
    let spec = SandboxSpec::decode(record.spec.as_slice())
        .map_err(|error| problem::internal("sandbox row", &error))?;
    let reason = (!record.reason_code.is_empty()).then(|| Reason {
        code: record.reason_code.clone(),
        message: record.reason_message.clone(),
    });
    Ok(Sandbox {
        session_id: record.session_id.to_string(),
        sandbox_id: record.sandbox_id.to_string(),
        alias: record.alias.clone().unwrap_or_default(),
        provider: record.provider.clone(),
        provider_sandbox_id: record.provider_sandbox_id.clone(),
        instance_id: record.instance_id.clone(),
        spec: Some(spec),
        state: record.state,
        reason,
        generation: u64::try_from(record.generation).unwrap_or_default(),
        etag: record.version.to_string(),
        workspace_path: record.workspace_path.clone(),
        home_path: record.home_path.clone(),
        create_time: Some(clock::timestamp(record.create_time)),
        start_time: record.start_time.map(clock::timestamp),
        ..Default::default()
    })
}
