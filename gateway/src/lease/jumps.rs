//! Tells when the wall clock was set, or the machine slept: it and a steady clock part then.

use std::time::Duration;

use crate::clock::{Clock, span};

/// What two clocks may differ by between two looks.
const TOLERANCE: i64 = 5_000;

/// What the clocks showed at the last look.
pub(super) struct Jumps {
    wall: i64,
    steady: Duration,
}

impl Jumps {
    pub(super) fn new(clock: &Clock) -> Self {
        let (wall, steady) = clock.read();
        Self { wall, steady }
    }

    /// By how many milliseconds the wall clock has jumped since the last look; none: it has not.
    pub(super) fn look(&mut self, clock: &Clock) -> Option<i64> {
        let (wall, steady) = clock.read();
        let jump = (wall - self.wall) - span(steady - self.steady);
        *self = Self { wall, steady };
        (jump.abs() > TOLERANCE).then_some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_was_set_has_jumped() {
        let clock = Clock::manual();
        let mut jumps = Jumps::new(&clock);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(jumps.look(&clock), None);
        for jump in [60_000, -60_000] {
            clock.jump(jump);
            clock.advance(Duration::from_secs(1));
            assert_eq!(jumps.look(&clock), Some(jump));
            assert_eq!(jumps.look(&clock), None, "told once");
        }
        clock.jump(TOLERANCE);
        assert_eq!(jumps.look(&clock), None);
    }
}
