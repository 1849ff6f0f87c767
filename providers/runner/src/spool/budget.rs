//! How much output all executions together may keep.

/// What is left of the limits of a sandbox, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    memory: u64,
}

impl Budget {
    /// At most `total` bytes, of which at most `memory` in memory.
    pub(crate) fn new(total: u64, memory: u64) -> Self {
        Self {
            left: total,
            memory,
        }
    }

    /// What may still be kept.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Takes up to so many bytes, in memory; says how many.
    pub(super) fn take_memory(&mut self, wanted: u64) -> u64 {
        let granted = self.take(wanted.min(self.memory));
        self.memory -= granted;
        granted
    }

    /// Takes up to so many bytes; says how many.
    pub(super) fn take(&mut self, wanted: u64) -> u64 {
        let granted = wanted.min(self.left);
        self.left -= granted;
        granted
    }

    /// Gives bytes back, `memory` of them in memory.
    pub(super) fn give(&mut self, bytes: u64, memory: u64) {
        self.left += bytes;
        self.memory += memory;
    }
}
