//! Reads a channel from any byte on: bytes, or the gap that begins there.

use bytes::Bytes;

use super::{Reason, Spool, Store};

/// What begins at a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// A gap up to this byte.
    Gap(u64, Reason),
    /// Nothing: it is the end, or no byte was asked for.
    Nothing,
}

impl<S: Store> Spool<S> {
    /// Reads from a byte on, at most `most` bytes and none past `until`.
    pub(crate) fn read(&self, offset: u64, until: u64, most: u64) -> Piece {
        let until = until.min(self.total);
        if offset >= until {
            return Piece::Nothing;
        }
        if let Some((end, reason)) = self.gap_at(offset) {
            return Piece::Gap(end.min(until), reason);
        }
        let end = self
            .edge_after(offset)
            .min(until)
            .min(offset.saturating_add(most));
        if end == offset {
            return Piece::Nothing;
        }
        self.bytes(offset, end)
    }

    fn gap_at(&self, offset: u64) -> Option<(u64, Reason)> {
        if self.dropped {
            return Some((self.total, Reason::SandboxLimit));
        }
        let overwritten = self
            .overwritten()
            .filter(|gone| (gone.start..gone.end).contains(&offset));
        let gone = overwritten.or_else(|| self.missing.at(offset))?;
        Some((gone.end, gone.reason))
    }

    /// Up to where bytes lie side by side with this one.
    fn edge_after(&self, offset: u64) -> u64 {
        let memory = self.memory.len() as u64;
        let edge = if offset < memory {
            memory
        } else if offset < self.head {
            self.head
        } else {
            offset + self.ring - (offset - self.head) % self.ring
        };
        self.missing
            .next_start(offset)
            .map_or(edge, |start| start.min(edge))
    }

    /// Bytes that lie side by side.
    fn bytes(&self, offset: u64, end: u64) -> Piece {
        if let Some(bytes) = self.memory.get(offset as usize..end as usize) {
            return Piece::Bytes(Bytes::copy_from_slice(bytes));
        }
        let place = if offset < self.head {
            offset
        } else {
            self.head + (offset - self.head) % self.ring
        };
        let mut bytes = vec![0; (end - offset) as usize];
        match self.store.read_at(&mut bytes, place) {
            Ok(()) => Piece::Bytes(bytes.into()),
            Err(_) => Piece::Gap(end, Reason::DiskFull),
        }
    }
}
