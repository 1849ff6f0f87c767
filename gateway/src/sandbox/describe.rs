//! A sandbox as callers see it.

use prost::Message as _;
use sandgate_proto::v1::{Reason, Sandbox, SandboxSpec, SandboxState};

use super::{
    clocks::{Clocks, Which},
    state,
};
use crate::{
    clock,
    problem::{self, Result},
    store::SandboxRecord,
};

/// The row on the wire.
pub(crate) fn describe(record: &SandboxRecord) -> Result<Sandbox> {
    let spec = SandboxSpec::decode(record.spec.as_slice())
        .map_err(|error| problem::damaged("sandbox row", &error))?;
    let reason = (!record.reason_code.is_empty()).then(|| Reason {
        code: record.reason_code.clone(),
        message: record.reason_message.clone(),
    });
    let clocks = Clocks::of(record);
    let running = match state(record) {
        SandboxState::Running | SandboxState::Pausing | SandboxState::Paused => record.running,
        _ => 0,
    };
    let deadline = |which| clocks.deadline(which).map(clock::timestamp);
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
        last_activity_time: Some(clock::timestamp(record.activity_time)),
        idle_deadline: deadline(Which::Idle),
        lease_expire_time: deadline(Which::Lease).or(deadline(Which::Retention)),
        max_expire_time: deadline(Which::MaxLifetime),
        provider_expire_time: deadline(Which::Provider),
        running_executions: u32::try_from(running).unwrap_or_default(),
    })
}
