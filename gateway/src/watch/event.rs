//! Events as the store keeps them: all of the message but its cursor.

use prost::Message as _;
use sandgate_proto::v1::{
    Execution, ExecutionFinished, SessionDeleted, SessionEvent, session_event::Event,
};
use uuid::Uuid;

use crate::{clock, store::NewEvent};

/// An event that happens now.
pub(crate) fn new_event(session_id: Uuid, sandbox_id: Option<Uuid>, event: Event) -> NewEvent {
    let time = clock::now();
    NewEvent {
        session_id,
        sandbox_id,
        time,
        once: None,
        payload: message(time, event).encode_to_vec(),
    }
}

/// The end of a session.
pub(crate) fn session_deleted(session_id: Uuid) -> NewEvent {
    new_event(session_id, None, Event::SessionDeleted(SessionDeleted {}))
}

/// The end of an execution, told once, whoever sees it first.
pub(crate) fn execution_finished(
    session_id: Uuid,
    sandbox_id: Uuid,
    execution: Execution,
) -> NewEvent {
    let once = format!("execution/{sandbox_id}/{}", execution.execution_id);
    // What a command line holds is nobody's to keep; GetExecution tells it for as long as it is there.
    let execution = Execution {
        command: String::new(),
        argv: Vec::new(),
        ..execution
    };
    let event = Event::ExecutionEnded(ExecutionFinished {
        execution: Some(execution),
    });
    NewEvent {
        once: Some(once),
        ..new_event(session_id, Some(sandbox_id), event)
    }
}

/// The message, still without its cursor.
pub(super) fn message(time: i64, event: Event) -> SessionEvent {
    SessionEvent {
        cursor: String::new(),
        time: Some(clock::timestamp(time)),
        event: Some(event),
    }
}
