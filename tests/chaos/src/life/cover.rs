//! What an observer has of one channel: bytes that are right, and gaps that were said.

use std::ops::Range;

use crate::failure::{Result, broken, ensure};

/// The ranges had so far, in order and apart.
#[derive(Debug, Default)]
pub(crate) struct Cover(Vec<Range<u64>>);

impl Cover {
    /// Takes a range more; no byte may come twice.
    pub(crate) fn add(&mut self, range: Range<u64>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let place = self.0.partition_point(|had| had.start < range.start);
        let before = place.checked_sub(1).and_then(|at| self.0.get(at));
        let clashes = before.is_some_and(|had| had.end > range.start)
            || self.0.get(place).is_some_and(|had| had.start < range.end);
        ensure(!clashes, || {
            format!("{range:?} comes again, had were {:?}", self.0)
        })?;
        match place.checked_sub(1).and_then(|at| self.0.get_mut(at)) {
            Some(had) if had.end == range.start => had.end = range.end,
            _ => self.0.insert(place, range),
        }
        Ok(())
    }

    /// Where to go on: the end of what was had without a hole.
    pub(crate) fn next(&self) -> u64 {
        let first = self.0.first().filter(|had| had.start == 0);
        first.map_or(0, |had| had.end)
    }

    /// Fails unless all of so many bytes were had or said to be gone.
    pub(crate) fn check(&self, total: u64) -> Result<()> {
        let mut at = 0;
        for had in &self.0 {
            if had.start != at {
                break;
            }
            at = had.end;
        }
        let last = self.0.last().map_or(0, |had| had.end);
        if (at, last) == (total, total) {
            return Ok(());
        }
        broken(format!("{total} bytes were due, had were {:?}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(ranges: &[Range<u64>]) -> Result<Cover> {
        let mut cover = Cover::default();
        for range in ranges {
            cover.add(range.clone())?;
        }
        Ok(cover)
    }

    #[test]
    fn every_byte_once_in_any_order() {
        assert!(cover(&[]).unwrap().check(0).is_ok());
        assert!(cover(&[0..4, 4..9]).unwrap().check(9).is_ok());
        assert!(cover(&[6..9, 0..6]).unwrap().check(9).is_ok());
        assert_eq!(cover(&[0..4, 6..9]).unwrap().next(), 4);
    }

    #[test]
    fn holes_and_repeats_are_found() {
        assert!(cover(&[0..4, 6..9]).unwrap().check(9).is_err());
        assert!(cover(&[0..4, 4..9]).unwrap().check(8).is_err());
        assert!(cover(&[1..4, 4..9]).unwrap().check(9).is_err());
        assert!(cover(&[0..4, 3..5]).is_err());
        assert!(cover(&[3..5, 0..4]).is_err());
        assert!(cover(&[0..4, 0..4]).is_err());
    }
}
