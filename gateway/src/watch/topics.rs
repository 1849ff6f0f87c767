//! Who waits for news of which session in this process. A topic lives as long as somebody listens.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// The topics. Clones are the same ones.
#[derive(Clone, Default)]
pub(super) struct Topics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    topics: Mutex<HashMap<Uuid, Topic>>,
    begun: Notify,
}

struct Topic {
    bell: watch::Sender<()>,
}

/// One who listens.
pub(super) struct Listener {
    topics: Topics,
    session_id: Uuid,
    bell: watch::Receiver<()>,
}

impl Topics {
    /// Listens to a session from now on.
    pub(super) fn listen(&self, session_id: Uuid) -> Listener {
        let mut topics = self.lock();
        let topic = topics.entry(session_id).or_insert_with(|| Topic {
            bell: watch::Sender::new(()),
        });
        let bell = topic.bell.subscribe();
        drop(topics);
        self.0.begun.notify_one();
        Listener {
            topics: self.clone(),
            session_id,
            bell,
        }
    }

    /// Wakes those who listen to a session.
    pub(super) fn ring(&self, session_id: Uuid) {
        if let Some(topic) = self.lock().get(&session_id) {
            topic.bell.send_replace(());
        }
    }

    /// Wakes everybody.
    pub(super) fn ring_all(&self) {
        for topic in self.lock().values() {
            topic.bell.send_replace(());
        }
    }

    /// The sessions that somebody listens to.
    pub(super) fn watched(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Resolves when somebody has begun to listen.
    pub(super) async fn begun(&self) {
        self.0.begun.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Topic>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Resolves when the session may have news since the last time.
    pub(super) async fn rung(&mut self) {
        if self.bell.changed().await.is_err() {
            // The topic outlives its listeners, so this does not happen.
            pending().await
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.topics.lock();
        let last = |topic: &Topic| topic.bell.receiver_count() <= 1;
        if topics.get(&self.session_id).is_some_and(last) {
            topics.remove(&self.session_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_topic_lives_as_long_as_somebody_listens() {
        let topics = Topics::default();
        let session_id = Uuid::new_v4();
        let (mut first, second) = (topics.listen(session_id), topics.listen(session_id));
        assert_eq!(topics.watched().len(), 1);
        assert!(first.rung().now_or_never().is_none());
        topics.ring(Uuid::new_v4());
        assert!(first.rung().now_or_never().is_none());
        topics.ring(session_id);
        topics.ring(session_id);
        assert!(first.rung().now_or_never().is_some());
        assert!(first.rung().now_or_never().is_none());
        drop(second);
        topics.ring_all();
        assert!(first.rung().now_or_never().is_some());
        drop(first);
        assert!(topics.is_empty());
    }
}
