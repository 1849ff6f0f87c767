//! What was measured, round by round, and what it comes to.

use super::caller::Calls;
use crate::spread::Spread;

/// Calls of one kind.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Which.
    pub(super) calls: Calls,
    /// Median time of each round, in microseconds.
    pub(super) rounds: Vec<f64>,
}

impl Measured {
    /// Of all rounds.
    pub(super) fn time(&self) -> Spread {
        Spread::of(self.rounds.iter().copied())
    }

    /// How much longer than the other in the same round.
    pub(super) fn added_to(&self, other: &Self) -> Spread {
        let rounds = self.rounds.iter().zip(&other.rounds);
        Spread::of(rounds.map(|(own, other)| own - other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_of_one_round_and_then_the_middle_is_taken() {
        let of = |calls, rounds: [f64; 3]| Measured {
            calls,
            rounds: rounds.to_vec(),
        };
        let few = of(Calls::Few, [100.0, 300.0, 200.0]);
        let many = of(Calls::Direct, [110.0, 290.0, 250.0]);
        let added = many.added_to(&few);
        assert_eq!((added.median, added.least, added.most), (10.0, -10.0, 50.0));
        assert_eq!(many.time().median, 250.0);
    }
}
