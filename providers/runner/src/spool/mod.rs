//! Keeps the output of one channel: its first bytes for good, the rest in a ring, all of it bounded.
//!
//! Byte `o` lies in memory if it is one of the first; else in the file, at `o` if it belongs to the
//! head, else at `head + (o - head) % ring`.

mod budget;
mod missing;
mod read;
mod store;

pub(crate) use budget::Budget;
pub(crate) use missing::{Range, Reason};
pub(crate) use read::Piece;
pub(crate) use store::{FileStore, Store};

use missing::Missing;

/// Most bytes at the beginning of a channel that are kept for good.
const HEAD: u64 = 1 << 20;
/// Most bytes of a channel in memory.
pub(crate) const MEMORY: u64 = 64 * 1024;
/// A ring that is smaller is not worth having.
const SMALLEST_RING: u64 = 64 * 1024;

/// The output of one channel.
#[derive(Debug)]
pub(crate) struct Spool<S = FileStore> {
    store: S,
    memory: Vec<u8>,
    /// Most bytes in memory; what memory holds once the first byte went elsewhere.
    memory_limit: u64,
    total: u64,
    head: u64,
    ring: u64,
    /// The ring could not grow to its size, for want of budget.
    stunted: bool,
    /// Places of the file below this one are paid for.
    reach: u64,
    paid: u64,
    missing: Missing,
    dropped: bool,
}

impl<S: Store> Spool<S> {
    /// Keeps up to `limit` bytes, the first `memory` of them in memory.
    pub(crate) fn new(store: S, limit: u64, memory: u64) -> Self {
        let head = HEAD.min(limit / 2);
        Self {
            store,
            memory: Vec::new(),
            memory_limit: memory.min(head),
            total: 0,
            head,
            ring: (limit - head).max(1),
            stunted: false,
            reach: 0,
            paid: 0,
            missing: Missing::default(),
            dropped: false,
        }
    }

    /// Bytes so far, kept or not.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Sizes of head and ring.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.head, self.ring)
    }

    /// Whether any byte can no longer be had.
    pub(crate) fn is_truncated(&self) -> bool {
        self.total > 0
            && (self.dropped || self.overwritten().is_some() || !self.missing.ranges().is_empty())
    }

    /// All that is missing, in no order.
    pub(crate) fn gaps(&self) -> Vec<Range> {
        if self.dropped {
            return vec![Range {
                start: 0,
                end: self.total,
                reason: Reason::SandboxLimit,
            }];
        }
        self.missing
            .ranges()
            .iter()
            .copied()
            .chain(self.overwritten())
            .collect()
    }

    /// Budget that the next `bytes` bytes could take at most.
    pub(crate) fn growth(&self, bytes: u64) -> u64 {
        if self.total < self.memory_limit {
            return bytes;
        }
        let (place, room) = self.place();
        let end = if bytes > room && self.total >= self.head {
            self.head + self.ring
        } else {
            place + bytes
        };
        end.saturating_sub(self.reach)
    }

    /// Takes the next bytes of the channel. Never fails: what cannot be kept becomes a gap.
    pub(crate) fn append(&mut self, bytes: &[u8], budget: &mut Budget) {
        let mut rest = &bytes[self.append_to_memory(bytes, budget)..];
        while !rest.is_empty() {
            let taken = self.append_piece(rest, budget);
            rest = &rest[taken..];
        }
        if let Some(gone) = self.overwritten() {
            self.missing.forget(gone.start, gone.end);
        }
    }

    /// Lets go of all bytes; the totals stay.
    pub(crate) fn drop_bytes(&mut self, budget: &mut Budget) {
        budget.give(self.paid, self.memory.len() as u64);
        self.paid = 0;
        self.memory = Vec::new();
        self.missing = Missing::default();
        self.store.clear();
        self.dropped = true;
    }

    /// Nothing will be added any more: gives back spare memory, and all of it where there is a file,
    /// in which its place was left free.
    pub(crate) fn finish(&mut self, budget: &mut Budget) {
        let held = self.memory.len() as u64;
        let memory = std::mem::take(&mut self.memory);
        if self.total > held && self.write(&memory, 0) == held {
            budget.give(0, held);
        } else {
            self.memory = memory;
            self.memory.shrink_to_fit();
        }
    }

    fn append_to_memory(&mut self, bytes: &[u8], budget: &mut Budget) -> usize {
        if self.total >= self.memory_limit {
            return 0;
        }
        let wanted = (bytes.len() as u64).min(self.memory_limit - self.total);
        let granted = budget.take_memory(wanted);
        self.memory.extend_from_slice(&bytes[..granted as usize]);
        self.total += granted;
        self.paid += granted;
        if granted < bytes.len() as u64 {
            self.memory_limit = self.total;
            self.reach = self.total;
        }
        granted as usize
    }

    /// Where the next byte lies in the file, and how many lie beside it from there.
    fn place(&self) -> (u64, u64) {
        if self.total < self.head {
            return (self.total, self.head - self.total);
        }
        let turn = (self.total - self.head) % self.ring;
        (self.head + turn, self.ring - turn)
    }

    /// Takes some of the bytes; says how many, which may be none after the ring became smaller.
    fn append_piece(&mut self, bytes: &[u8], budget: &mut Budget) -> usize {
        let (place, room) = self.place();
        let mut size = room.min(bytes.len() as u64);
        let needed = (place + size).saturating_sub(self.reach);
        let granted = budget.take(needed);
        if granted < needed {
            let usable = size.saturating_sub(needed - granted);
            if usable == 0 {
                budget.give(granted, 0);
                return self.go_without(place, size);
            }
            size = usable;
        }
        self.paid += granted;
        self.reach += granted;
        let written = self.write(&bytes[..size as usize], place);
        if written < size {
            self.missing
                .add(self.total + written, self.total + size, Reason::DiskFull);
        }
        self.total += size;
        size as usize
    }

    /// There is no budget for the place: a ring that has not yet come round stays as small as it is,
    /// which moves no byte that it holds; elsewhere the bytes are lost.
    fn go_without(&mut self, place: u64, size: u64) -> usize {
        let grown = place.saturating_sub(self.head);
        if self.reach == place && self.total == place && grown >= SMALLEST_RING.min(self.ring) {
            self.ring = grown;
            self.stunted = true;
            return 0;
        }
        self.missing
            .add(self.total, self.total + size, Reason::SandboxLimit);
        self.total += size;
        size as usize
    }

    fn write(&mut self, bytes: &[u8], place: u64) -> u64 {
        let mut written = 0;
        while written < bytes.len() {
            match self
                .store
                .write_at(&bytes[written..], place + written as u64)
            {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        written as u64
    }

    /// The range between the head and what the ring still holds.
    fn overwritten(&self) -> Option<Range> {
        let held = self.total.saturating_sub(self.ring);
        let reason = if self.stunted {
            Reason::SandboxLimit
        } else {
            Reason::OutputLimit
        };
        (held > self.head).then_some(Range {
            start: self.head,
            end: held,
            reason,
        })
    }
}

#[cfg(test)]
mod tests;
