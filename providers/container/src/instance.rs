//! A container as the kit wants to see it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bollard::models::{
    ContainerState, ContainerStateStatusEnum as Status, ContainerSummary,
    ContainerSummaryStateEnum as Listed,
};
use bytes::Bytes;
use sandgate_kit::Instance;
use sandgate_proto::v1::SandboxState;
use serde::{Deserialize, Serialize};

use crate::{
    find::Found,
    names::{Labels, Marks, label},
};

/// Longest home that is remembered, bytes; a state has room for 4 KiB.
const MAX_HOME: usize = 1024;

/// What the gateway keeps for this provider: what inspecting a container does not tell.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Home of the sandbox's user; empty if not known.
    #[serde(default)]
    pub(crate) home: String,
    /// What callers through a bridge show the runner; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) secret: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Reads a state; one that cannot be read holds nothing that is needed.
    pub(crate) fn read(state: &[u8]) -> Self {
        serde_json::from_slice(state).unwrap_or_default()
    }

    fn write(&self) -> Bytes {
        let mut kept = self.clone();
        if kept.home.len() > MAX_HOME {
            kept.home.clear();
        }
        serde_json::to_vec(&kept)
            .map(Bytes::from)
            .unwrap_or_default()
    }
}

/// One inspected container.
pub(crate) fn inspected(
    marks: &Marks<'_>,
    engine_id: &str,
    found: &Found,
    kept: &Kept,
) -> Instance {
    let Found { container, labels } = found;
    let config = container.config.as_ref();
    let state = container.state.clone().unwrap_or_default();
    let workdir = config.and_then(|config| config.working_dir.clone());
    Instance {
        create_time: container.created.as_deref().and_then(time),
        start_time: state.started_at.as_deref().and_then(time),
        state: lives(state.status),
        reason: reason(&state),
        workspace_path: workdir.unwrap_or_default(),
        home_path: kept.home.clone(),
        state_data: kept.write(),
        ..labelled(marks, engine_id, container.id.clone(), labels)
    }
}

/// One container of a listing, which tells less; `labels` say whose it is.
pub(crate) fn listed(
    marks: &Marks<'_>,
    engine_id: &str,
    container: &ContainerSummary,
    labels: &Labels,
) -> Instance {
    let created = container
        .created
        .and_then(|seconds| u64::try_from(seconds).ok());
    Instance {
        create_time: created.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        state: seems(container.state),
        ..labelled(marks, engine_id, container.id.clone(), labels)
    }
}

/// A sandbox of which only parts are left: it cannot be used, only deleted.
pub(crate) fn remains(
    marks: &Marks<'_>,
    engine_id: &str,
    labels: &Labels,
    made: Option<SystemTime>,
) -> Instance {
    let message =
        "only parts of the sandbox are left, without its container; delete it, which removes them";
    Instance {
        create_time: made,
        state: SandboxState::Failed,
        reason: Some(("REMAINS", message.to_owned())),
        ..labelled(marks, engine_id, None, labels)
    }
}

fn labelled(marks: &Marks<'_>, engine_id: &str, id: Option<String>, labels: &Labels) -> Instance {
    Instance {
        sandbox_id: marks.value(labels, label::SANDBOX),
        session_id: marks.value(labels, label::SESSION),
        provider_sandbox_id: id.unwrap_or_default(),
        instance_id: engine_id.to_owned(),
        state: SandboxState::Unknown,
        reason: None,
        generation: marks
            .value(labels, label::GENERATION)
            .parse()
            .unwrap_or_default(),
        workspace_path: String::new(),
        home_path: String::new(),
        create_time: None,
        start_time: None,
        expire_time: None,
        state_data: Bytes::new(),
    }
}

/// What the engine's word for a state means here.
pub(crate) fn lives(status: Option<Status>) -> SandboxState {
    match status {
        Some(Status::RUNNING) => SandboxState::Running,
        Some(Status::CREATED) => SandboxState::Creating,
        Some(Status::PAUSED) => SandboxState::Paused,
        Some(Status::RESTARTING) => SandboxState::Starting,
        Some(Status::REMOVING) => SandboxState::Deleting,
        Some(Status::STOPPING) => SandboxState::Stopping,
        Some(Status::EXITED) => SandboxState::Stopped,
        Some(Status::DEAD) => SandboxState::Failed,
        Some(Status::EMPTY) | None => SandboxState::Unknown,
    }
}

fn seems(state: Option<Listed>) -> SandboxState {
    match state {
        Some(Listed::RUNNING) => SandboxState::Running,
        Some(Listed::CREATED) => SandboxState::Creating,
        Some(Listed::PAUSED) => SandboxState::Paused,
        Some(Listed::RESTARTING) => SandboxState::Starting,
        Some(Listed::REMOVING) => SandboxState::Deleting,
        Some(Listed::STOPPING) => SandboxState::Stopping,
        Some(Listed::EXITED) => SandboxState::Stopped,
        Some(Listed::DEAD) => SandboxState::Failed,
        Some(Listed::EMPTY) | None => SandboxState::Unknown,
    }
}

fn reason(state: &ContainerState) -> Option<(&'static str, String)> {
    match state.status {
        Some(Status::DEAD) => Some((
            "CONTAINER_DEAD",
            "the engine could not remove the container; delete the sandbox again".to_owned(),
        )),
        Some(Status::EXITED) if state.oom_killed == Some(true) => Some((
            "OUT_OF_MEMORY",
            "the sandbox used up its memory; start it again, or make one with more".to_owned(),
        )),
        _ => None,
    }
}

/// Reads the engine's RFC 3339; its year 1 means never.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let time: prost_types::Timestamp = text.parse().ok()?;
    (time.seconds > 0)
        .then(|| SystemTime::try_from(time).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_never_is_none() {
        let at = time("2024-05-06T07:08:09.123456789Z").unwrap();
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            (since.as_secs(), since.subsec_nanos()),
            (1_714_979_289, 123_456_789)
        );
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        assert_eq!(time("soon"), None);
    }

    #[test]
    fn a_state_is_small_and_read_again() {
        let mut kept = Kept {
            home: "/root".into(),
            secret: "hush".into(),
        };
        assert_eq!(Kept::read(&kept.write()), kept);
        assert_eq!(Kept::read(b"\0"), Kept::default());
        assert!(!format!("{kept:?}").contains("hush"));
        kept.home = "x".repeat(9999);
        let read = Kept::read(&kept.write());
        assert_eq!((read.home.as_str(), read.secret.as_str()), ("", "hush"));
    }

    #[test]
    fn a_container_without_memory_left_says_so() {
        let state = ContainerState {
            status: Some(Status::EXITED),
            oom_killed: Some(true),
            ..Default::default()
        };
        assert_eq!(lives(state.status), SandboxState::Stopped);
        assert_eq!(reason(&state).unwrap().0, "OUT_OF_MEMORY");
    }
}
