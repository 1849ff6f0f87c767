//! What was measured, round by round, and what it comes to.

use crate::{config::Figure, spread::Spread};

/// One figure of one round, for each way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// With no hop between.
    pub(crate) direct: f64,
    /// Over nginx.
    pub(crate) nginx: f64,
    /// Over the gateway.
    pub(crate) gateway: f64,
    /// Processor time of nginx for one call or megabyte, in microseconds.
    pub(crate) nginx_cpu: f64,
    /// The same of the gateway.
    pub(crate) gateway_cpu: f64,
}

/// One figure of all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// Which.
    pub(crate) figure: Figure,
    /// One for each round.
    pub(crate) rounds: Vec<Sample>,
}

impl Samples {
    /// Of something that each round says.
    pub(crate) fn spread(&self, of: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(of))
    }

    /// nginx to direct, of the same round.
    pub(crate) fn nginx_ratio(&self) -> Spread {
        self.spread(|sample| sample.nginx / sample.direct)
    }

    /// Gateway to direct, of the same round.
    pub(crate) fn gateway_ratio(&self) -> Spread {
        self.spread(|sample| sample.gateway / sample.direct)
    }

    /// Whether the gateway's hop costs no more than that of nginx.
    pub(crate) fn no_worse(&self) -> bool {
        let (gateway, nginx) = (self.gateway_ratio().median, self.nginx_ratio().median);
        if self.figure.smaller_is_better() {
            gateway <= nginx
        } else {
            gateway >= nginx
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(figure: Figure, rounds: &[(f64, f64, f64)]) -> Samples {
        let sample = |&(direct, nginx, gateway): &(f64, f64, f64)| Sample {
            direct,
            nginx,
            gateway,
            ..Sample::default()
        };
        Samples {
            figure,
            rounds: rounds.iter().map(sample).collect(),
        }
    }

    #[test]
    fn ratios_are_of_one_round_and_then_the_middle_is_taken() {
        let rounds = [(1.0, 2.0, 1.0), (10.0, 15.0, 12.0), (4.0, 12.0, 8.0)];
        let samples = samples(Figure::Latency, &rounds);
        assert_eq!(
            samples.nginx_ratio(),
            Spread {
                median: 2.0,
                least: 1.5,
                most: 3.0
            }
        );
        assert_eq!(samples.gateway_ratio().median, 1.2);
        assert_eq!(samples.spread(|sample| sample.direct).median, 4.0);
    }

    #[test]
    fn an_even_number_of_rounds_has_its_middle_between_two() {
        let samples = samples(Figure::Rate, &[(1.0, 1.0, 1.0), (1.0, 2.0, 1.0)]);
        assert_eq!(samples.nginx_ratio().median, 1.5);
    }

    #[test]
    fn better_is_less_time_and_more_calls() {
        let rounds = [(1.0, 2.0, 3.0)];
        assert!(!samples(Figure::Latency, &rounds).no_worse());
        assert!(samples(Figure::Rate, &rounds).no_worse());
        assert!(samples(Figure::Stream, &[(1.0, 2.0, 2.0)]).no_worse());
    }
}
