//! Random numbers that follow from a seed.

use std::time::Duration;

/// SplitMix64, so that a seed means the same run on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one round of a run.
    pub(crate) fn of(seed: u64, round: u64) -> Self {
        let mut dice = Self(seed);
        Self(dice.next() ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Dice of their own, for a task beside this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below the limit; 0 below 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or_default()
    }

    /// A number from the first to the last.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        let place = self.below(N as u64);
        from[usize::try_from(place).unwrap_or_default()]
    }

    /// A time shorter than so many milliseconds.
    pub(crate) fn pause(&mut self, milliseconds: u64) -> Duration {
        Duration::from_micros(self.below(milliseconds * 1000))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_round_say_everything() {
        let roll = |seed, round| {
            let mut dice = Dice::of(seed, round);
            (0..8).map(|_| dice.below(1 << 40)).collect::<Vec<_>>()
        };
        assert_eq!(roll(7, 3), roll(7, 3));
        assert_ne!(roll(7, 3), roll(7, 4));
        assert_ne!(roll(7, 3), roll(8, 3));
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut dice = Dice::of(1, 1);
        assert!((0..1000).all(|_| (3..=5).contains(&dice.between(3, 5))));
        assert_eq!(dice.below(0), 0);
    }
}
