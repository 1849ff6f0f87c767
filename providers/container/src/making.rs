//! Sandboxes that are being made just now: parts of them are no remains.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Making(Arc<Mutex<Vec<String>>>);

/// One of them, as long as it is held.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    making: &'a Making,
    sandbox_id: &'a str,
}

impl Making {
    /// Notes that a sandbox is being made.
    pub(crate) fn begin<'a>(&'a self, sandbox_id: &'a str) -> Made<'a> {
        self.ids().push(sandbox_id.to_owned());
        Made {
            making: self,
            sandbox_id,
        }
    }

    /// Those that are being made.
    pub(crate) fn all(&self) -> Vec<String> {
        self.ids().clone()
    }

    fn ids(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let mut ids = self.making.ids();
        if let Some(at) = ids.iter().position(|id| id == self.sandbox_id) {
            ids.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_for_one_sandbox_are_two() {
        let making = Making::default();
        let first = making.begin("a");
        let second = making.begin("a");
        drop(first);
        assert_eq!(making.all(), ["a"]);
        drop(second);
        assert!(making.all().is_empty());
    }
}
