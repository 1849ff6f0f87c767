//! Who may work at a copy now: few of each organisation, some in all, and in turns, so that the many
//! copies of one organisation keep no other waiting.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Copies that this gateway works on at once.
const AT_ONCE: usize = 16;
/// Those of one organisation among them.
const OF_ONE: usize = 4;
/// Further ones of an organisation that may wait.
const WAITING: usize = 32;

/// The copies of this gateway, as far as they take room. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Room(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: usize,
    orgs: HashMap<String, Org>,
    /// Organisations that wait; the first is next.
    turns: VecDeque<String>,
}

#[derive(Default)]
struct Org {
    /// All of its copies.
    places: usize,
    running: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A copy that may wait for its turn. Given back when it is dropped.
pub(crate) struct Place {
    room: Room,
    org_id: String,
}

/// A copy that may be worked at. Given back when it is dropped.
pub(super) struct Turn {
    room: Room,
    org_id: String,
}

impl Room {
    /// A place for another copy of an organisation; none where it has as many as it may.
    pub(super) fn enter(&self, org_id: &str) -> Option<Place> {
        let mut state = self.state();
        let org = state.orgs.entry(org_id.to_owned()).or_default();
        if org.places >= OF_ONE + WAITING {
            return None;
        }
        org.places += 1;
        Some(Place {
            room: self.clone(),
            org_id: org_id.to_owned(),
        })
    }

    /// Lets those work whose turn it is.
    fn call(&self) {
        loop {
            let Some((org_id, waiting)) = self.state().next() else {
                return;
            };
            let room = self.clone();
            // Who does not wait any more drops the turn, and with it gives it back.
            drop(waiting.send(Turn { room, org_id }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whoever is next, counted as running.
    fn next(&mut self) -> Option<(String, oneshot::Sender<Turn>)> {
        if self.running >= AT_ONCE {
            return None;
        }
        for _ in 0..self.turns.len() {
            let org_id = self.turns.pop_front()?;
            let Some(org) = self.orgs.get_mut(&org_id) else {
                continue;
            };
            org.waiting.retain(|waiting| !waiting.is_closed());
            if org.running < OF_ONE
                && let Some(waiting) = org.waiting.pop_front()
            {
                org.running += 1;
                self.running += 1;
                self.turns.push_back(org_id.clone());
                return Some((org_id, waiting));
            }
            if !org.waiting.is_empty() {
                self.turns.push_back(org_id);
            }
        }
        None
    }

    /// Forgets an organisation that has no copy.
    fn tidy(&mut self, org_id: &str) {
        let gone = |org: &Org| org.places == 0 && org.running == 0;
        if self.orgs.get(org_id).is_some_and(gone) {
            self.orgs.remove(org_id);
        }
    }
}

impl Place {
    /// Waits for its turn. One at a time.
    pub(super) async fn turn(&self) -> Turn {
        loop {
            let (sender, turn) = oneshot::channel();
            {
                let mut state = self.room.state();
                let org = state.orgs.entry(self.org_id.clone()).or_default();
                org.waiting.push_back(sender);
                if !state.turns.contains(&self.org_id) {
                    state.turns.push_back(self.org_id.clone());
                }
            }
            self.room.call();
            // A sender that vanished never comes; it costs another round.
            if let Ok(turn) = turn.await {
                return turn;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.room.state();
        if let Some(org) = state.orgs.get_mut(&self.org_id) {
            org.places -= 1;
        }
        state.tidy(&self.org_id);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.room.state();
            state.running -= 1;
            if let Some(org) = state.orgs.get_mut(&self.org_id) {
                org.running -= 1;
            }
            state.tidy(&self.org_id);
        }
        self.room.call();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Places of an organisation, as many as it may have.
    fn all(room: &Room, org_id: &str) -> Vec<Place> {
        std::iter::from_fn(|| room.enter(org_id)).collect()
    }

    #[tokio::test]
    async fn few_of_one_run_and_some_wait() {
        let room = Room::default();
        let places = all(&room, "a");
        assert_eq!(places.len(), 36);
        let mut turns: Vec<_> = places.iter().map(|place| Box::pin(place.turn())).collect();
        let mut running: Vec<_> = turns
            .iter_mut()
            .map(|turn| turn.now_or_never())
            .take_while(Option::is_some)
            .collect();
        assert_eq!(running.len(), 4);
        running.pop();
        // Those that were looked at and were in vain wait on; the first of them is next.
        assert!((&mut turns[4]).now_or_never().is_some());
        drop(turns);
        drop(running);
        drop(places);
        assert!(room.state().orgs.is_empty() && room.state().running == 0);
    }

    #[tokio::test]
    async fn who_comes_last_does_not_wait_for_all_of_another() {
        let room = Room::default();
        let mut others = Vec::new();
        for org_id in ["a", "b", "c", "d"] {
            for place in all(&room, org_id) {
                others.push(Box::pin(async move {
                    let turn = place.turn().await;
                    (place, turn)
                }));
            }
        }
        let mut running: VecDeque<_> = others
            .iter_mut()
            .filter_map(|other| other.now_or_never())
            .collect();
        assert_eq!(running.len(), 16);
        let last = room.enter("e").unwrap();
        let mut turn = Box::pin(last.turn());
        assert!((&mut turn).now_or_never().is_none());
        let mut ended = 0;
        while (&mut turn).now_or_never().is_none() {
            running.pop_front().unwrap();
            ended += 1;
            assert!(ended <= 5, "{ended} others ran first");
        }
    }

    #[tokio::test]
    async fn who_stops_waiting_is_passed_over() {
        let room = Room::default();
        let places = all(&room, "a");
        let running: Vec<_> = places[..4]
            .iter()
            .filter_map(|place| place.turn().now_or_never())
            .collect();
        assert_eq!(running.len(), 4);
        assert!(places[4].turn().now_or_never().is_none());
        let mut next = Box::pin(places[5].turn());
        assert!((&mut next).now_or_never().is_none());
        drop(running);
        assert!(next.now_or_never().is_some());
    }
}
