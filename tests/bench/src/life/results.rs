//! What was measured, round by round.

use std::time::Duration;

use super::figure::Figure;
use crate::spread::Spread;

/// Calls in a row, and what the gateway did beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// Microseconds that half of the calls took at most.
    pub(super) p50: f64,
    /// Microseconds that 99 of 100 took at most.
    pub(super) p99: f64,
    /// Looks of the lease task, each second.
    pub(super) looks: f64,
}

impl Turn {
    pub(super) fn of(mut times: Vec<Duration>, looks: f64) -> Self {
        times.sort_unstable();
        let at = |part: f64| {
            let index = (times.len() as f64 * part) as usize;
            let time = times.get(index).or(times.last());
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            looks,
        }
    }
}

/// Calls with few and with many sandboxes in the store.
#[derive(Clone, Debug)]
pub(super) struct Execs {
    pub(super) figure: Figure,
    /// The turn with few, the turn with many.
    pub(super) rounds: Vec<[Turn; 2]>,
}

impl Execs {
    /// Of one thing, with few (0) or many (1).
    pub(super) fn spread(&self, side: usize, of: impl Fn(&Turn) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(|turns| of(&turns[side])))
    }

    /// How often one thing with few fits into that with many, within each round.
    pub(super) fn ratio(&self, of: impl Fn(&Turn) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(|[few, many]| of(many) / of(few)))
    }
}

/// Work of the gateway's own, and what it is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The figure.
    pub(super) value: f64,
    /// The same of what it is compared with.
    pub(super) beside: f64,
    /// Microseconds of processor time for each look, pass or sandbox.
    pub(super) cpu: f64,
    /// Bytes written for each.
    pub(super) written: f64,
}

/// All samples of one figure.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) figure: Figure,
    pub(super) rounds: Vec<Sample>,
}

impl Work {
    pub(super) fn spread(&self, of: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(of))
    }
}

/// Everything of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    pub(super) execs: Vec<Execs>,
    pub(super) work: Vec<Work>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_its_middle_and_its_slowest_hundredth() {
        let times = (1..=200).rev().map(Duration::from_micros).collect();
        let turn = Turn::of(times, 0.0);
        assert_eq!((turn.p50.round(), turn.p99.round()), (101.0, 199.0));
    }

    #[test]
    fn a_ratio_is_of_one_round() {
        let turn = |p50| Turn {
            p50,
            ..Turn::default()
        };
        let execs = Execs {
            figure: Figure::Running,
            rounds: vec![
                [turn(100.0), turn(110.0)],
                [turn(200.0), turn(180.0)],
                [turn(100.0), turn(300.0)],
            ],
        };
        let ratio = execs.ratio(|turn| turn.p50);
        assert_eq!((ratio.least, ratio.median, ratio.most), (0.9, 1.1, 3.0));
    }
}
