//! How many calls work on the files of one sandbox at once: each has a process there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Kind, ProviderError};

/// Most for one sandbox.
const MOST: usize = 64;

/// Calls that are open, by sandbox. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, usize>>>);

/// A call that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    rooms: Rooms,
    sandbox_id: String,
}

impl Rooms {
    /// Counts one more call.
    ///
    /// # Errors
    /// [`Kind::TooManyObservers`] where there are as many as there may be.
    pub(crate) fn take(&self, sandbox_id: &str) -> Result<Place, ProviderError> {
        let mut open = self.lock();
        let count = open.entry(sandbox_id.to_owned()).or_default();
        if *count >= MOST {
            return Err(ProviderError::new(
                Kind::TooManyObservers,
                "64 calls work on files of this sandbox; wait for one to end, or end one that nobody reads, then repeat this one",
            )
            .with("limit", MOST));
        }
        *count += 1;
        Ok(Place {
            rooms: self.clone(),
            sandbox_id: sandbox_id.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.rooms.lock();
        if let Some(count) = open.get_mut(&self.sandbox_id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.sandbox_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sandbox_has_places_of_its_own_and_they_come_back() {
        let rooms = Rooms::default();
        let mut places: Vec<_> = (0..MOST).map(|_| rooms.take("one").unwrap()).collect();
        let refused = rooms.take("one").unwrap_err();
        assert!(matches!(refused.kind(), Kind::TooManyObservers));
        let other = rooms.take("other").unwrap();
        places.pop();
        places.push(rooms.take("one").unwrap());
        drop((places, other));
        assert!(rooms.lock().is_empty());
    }
}
