//! What happened in sessions, as the store keeps it.

use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::StoreError;

/// An event that is about to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) session_id: Uuid,
    /// The sandbox that it is about; none where it is about the session.
    pub(crate) sandbox_id: Option<Uuid>,
    pub(crate) time: i64,
    /// A name under which it is told once in the session.
    pub(crate) once: Option<String>,
    /// The event on the wire, without its cursor.
    pub(crate) payload: Vec<u8>,
}

/// An event that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRecord {
    /// Its place among the events of all sessions.
    pub(crate) seq: i64,
    pub(crate) sandbox_id: Option<Uuid>,
    pub(crate) payload: Vec<u8>,
}

/// Events of sessions, in the order in which they happened.
#[async_trait]
pub(crate) trait EventStore: Send + Sync + 'static {
    /// Adds events, but for those with a `once` that is there already; how many were added.
    async fn append_events(&self, events: &[NewEvent]) -> Result<usize, StoreError>;

    /// Events of a session after a place, oldest first.
    async fn events_after(
        &self,
        session_id: Uuid,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<EventRecord>, StoreError>;

    /// Which sessions the events after a place belong to, oldest first.
    async fn sessions_after(&self, seq: i64, limit: u32) -> Result<Vec<(i64, Uuid)>, StoreError>;

    /// The place of the last event ever; 0 before the first.
    async fn last_event_seq(&self) -> Result<i64, StoreError>;

    /// The place of the first event that is kept; that of the next one where none is.
    async fn first_event_seq(&self) -> Result<i64, StoreError>;

    /// Removes those of the oldest events that are from before a time: at most `limit`; how many.
    async fn drop_events_before(&self, time: i64, limit: u32) -> Result<u64, StoreError>;

    /// Hears of sessions that got an event by this process, after the fact. Who is slow misses some.
    fn hear(&self) -> broadcast::Receiver<Uuid>;
}
