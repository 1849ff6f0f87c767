//! Figures that share what they need, taken round by round.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use super::figure::{Figure, Pair};
use crate::{error::Result, spread::Spread};

/// No round begins after this; what was measured until then counts.
const BUDGET: Duration = Duration::from_secs(120);

/// Something that can take figures.
pub(super) trait Phase: Send + Sync {
    /// Takes a figure once; a shorter one to warm up.
    fn take(&self, figure: Figure, warm_up: bool) -> impl Future<Output = Result<Pair>> + Send;
}

/// One figure of all rounds.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Which.
    pub(super) figure: Figure,
    /// One for each round.
    pub(super) rounds: Vec<Pair>,
}

impl Measured {
    /// Sandgate's numbers.
    pub(super) fn ours(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|pair| pair.ours))
    }

    /// The other's.
    pub(super) fn other(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|pair| pair.other))
    }

    /// Ratios, each of one round.
    pub(super) fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|pair| self.figure.ratio(*pair)))
    }

    /// Whether it is as good as is due.
    pub(super) fn reached(&self) -> bool {
        let (ours, ratio) = (self.ours().median, self.ratio().median);
        self.figure.reached(ours, ratio)
    }
}

/// Warms up, and takes every figure once a round.
pub(super) async fn measure(
    phase: &impl Phase,
    figures: &[Figure],
    rounds: u32,
) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = figures
        .iter()
        .map(|&figure| Measured {
            figure,
            rounds: Vec::new(),
        })
        .collect();
    for figure in figures {
        Box::pin(phase.take(*figure, true)).await?;
    }
    let begun = Instant::now();
    for round in 1..=rounds {
        if begun.elapsed() > BUDGET {
            eprintln!("out of time after {} rounds", round - 1);
            break;
        }
        for one in &mut measured {
            let taken = Box::pin(phase.take(one.figure, false)).await?;
            one.rounds.push(taken);
        }
        eprintln!("{figures:?}: round {round} of {rounds}");
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(figure: Figure, pairs: &[(f64, f64)]) -> Measured {
        let pair = |&(ours, other): &(f64, f64)| Pair { ours, other };
        Measured {
            figure,
            rounds: pairs.iter().map(pair).collect(),
        }
    }

    #[test]
    fn ratios_are_of_one_round_and_then_the_middle_is_taken() {
        let measured = of(Figure::True, &[(1.0, 50.0), (2.0, 60.0), (1.0, 20.0)]);
        let ratio = measured.ratio();
        assert_eq!((ratio.median, ratio.least, ratio.most), (30.0, 20.0, 50.0));
        assert!(measured.reached());
    }

    #[test]
    fn what_is_due_may_be_a_number_of_its_own() {
        assert!(of(Figure::InFlight, &[(800.0, 900.0)]).reached());
        assert!(!of(Figure::InFlight, &[(799.0, 9.0)]).reached());
        assert!(!of(Figure::Warm, &[(16.0, 800.0)]).reached());
        assert!(of(Figure::Cold, &[(1.1, 1.0)]).reached());
        assert!(!of(Figure::Stdout, &[(99.0, 100.0)]).reached());
    }

    struct Counting;

    impl Phase for Counting {
        async fn take(&self, _figure: Figure, warm_up: bool) -> Result<Pair> {
            let ours = if warm_up { f64::NAN } else { 2.0 };
            Ok(Pair { ours, other: 1.0 })
        }
    }

    #[tokio::test]
    async fn warming_up_does_not_count() {
        let figures = [Figure::Cold, Figure::Local];
        let measured = measure(&Counting, &figures, 3).await.unwrap();
        for one in measured {
            assert_eq!((one.rounds.len(), one.ours().median), (3, 2.0));
        }
    }
}
