//! A sandbox as the kit wants to see it.

use std::time::SystemTime;

use bytes::Bytes;
use sandgate_kit::Instance;
use sandgate_proto::v1::SandboxState;

use crate::{
    api::body::{Detail, State},
    kept::Kept,
    marks,
};

/// A pause that kept files alone, in E2B's words.
const FILES_ALONE: &str = "filesystem";

/// What E2B says of one sandbox, and what it does not.
pub(crate) fn described(detail: &Detail, kept: &Kept) -> Instance {
    Instance {
        state: state(detail, kept),
        workspace_path: kept.workdir.clone(),
        home_path: kept.home.clone(),
        state_data: kept.write(),
        ..listed(detail)
    }
}

/// A sandbox of a listing.
pub(crate) fn listed(detail: &Detail) -> Instance {
    let none = Default::default();
    let metadata = detail.metadata.as_ref().unwrap_or(&none);
    let started = time(&detail.started_at);
    Instance {
        sandbox_id: marks::sandbox_id(metadata),
        session_id: marks::session_id(metadata),
        provider_sandbox_id: detail.access.sandbox_id.clone(),
        // Any replica reaches it.
        instance_id: String::new(),
        state: state(detail, &Kept::default()),
        reason: None,
        generation: marks::generation(metadata),
        workspace_path: String::new(),
        home_path: String::new(),
        create_time: started,
        start_time: started,
        expire_time: (detail.state == State::Running)
            .then(|| time(&detail.end_at))
            .flatten(),
        state_data: Bytes::new(),
    }
}

fn state(detail: &Detail, kept: &Kept) -> SandboxState {
    match (detail.state, detail.pause_mode.as_deref()) {
        (State::Running, _) => SandboxState::Running,
        (State::Paused, Some(FILES_ALONE)) => SandboxState::Stopped,
        (State::Paused, Some(_)) => SandboxState::Paused,
        (State::Paused, None) if kept.stopped => SandboxState::Stopped,
        (State::Paused, None) => SandboxState::Paused,
        (State::Other, _) => SandboxState::Unknown,
    }
}

pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let time: prost_types::Timestamp = text.parse().ok()?;
    SystemTime::try_from(time).ok()
}
