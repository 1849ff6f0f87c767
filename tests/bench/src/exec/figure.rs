//! What is measured of executions and sandboxes, and what is due.

use clap::ValueEnum;

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Median time of `true` in a container, beside the Docker exec API
    True,
    /// `true` a second with 8 in flight in one container, beside the Docker exec API
    InFlight,
    /// `true` a second with 8 in flight over 4 containers, beside 1 container
    Containers,
    /// Bytes a second of a long output, beside the Docker exec API
    Stdout,
    /// Time of a create from the warm pool, beside a cold one
    Warm,
    /// Time of a cold create, beside the same calls of the Docker API
    Cold,
    /// Median time of `true` in a local sandbox, beside bubblewrap's own
    Local,
    /// Memory that 10,000 idle streams cost
    Idle,
    /// Memory that an output nobody reads costs
    Memory,
    /// Bytes a second of a file into a container, beside the Docker archive API
    FileIn,
    /// Bytes a second of a file out of a container, beside the Docker archive API
    FileOut,
    /// Memory that a file of 1 GiB costs
    FileMemory,
}

/// The same thing done by Sandgate and by what it is compared with, in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// By Sandgate, in the figure's unit.
    pub(crate) ours: f64,
    /// By the other.
    pub(crate) other: f64,
}

impl Figure {
    /// Whether it is of the group of files.
    pub(crate) fn is_of_files(self) -> bool {
        matches!(self, Self::FileIn | Self::FileOut | Self::FileMemory)
    }

    /// Whether it takes a Docker Engine.
    pub(crate) fn needs_docker(self) -> bool {
        self != Self::Local
    }

    /// What a round says: how many times faster Sandgate is, where it should be that by much; else
    /// its number as a part of the other's.
    pub(crate) fn ratio(self, pair: Pair) -> f64 {
        match self {
            Self::True | Self::Warm => pair.other / pair.ours,
            _ => pair.ours / pair.other,
        }
    }

    /// What the ratio says, in words.
    pub(crate) fn ratio_means(self) -> &'static str {
        match self {
            Self::True | Self::Warm => "times faster",
            Self::Cold | Self::Local => "of its time",
            _ => "of its rate",
        }
    }

    /// What is due, in words.
    pub(crate) fn due(self) -> &'static str {
        match self {
            Self::True => "≥ 30 times faster (goal: 40, 1.5 ms)",
            Self::InFlight => "≥ 800 /s",
            Self::Containers | Self::Stdout | Self::FileIn | Self::FileOut => "≥ 1.0",
            Self::Warm => "≤ 15 ms, ≥ 20 times faster",
            Self::Cold => "≤ 1.1",
            Self::Local => "≤ 2.0",
            Self::Idle => "under 200 MB together",
            Self::Memory | Self::FileMemory => "flat",
        }
    }

    /// Whether medians of Sandgate's number and of the ratio are what is due.
    pub(crate) fn reached(self, ours: f64, ratio: f64) -> bool {
        match self {
            Self::True => ratio >= 30.0,
            Self::InFlight => ours >= 800.0,
            Self::Warm => ours <= 15.0 && ratio >= 20.0,
            Self::Cold => ratio <= 1.1,
            Self::Local => ratio <= 2.0,
            _ => ratio >= 1.0,
        }
    }
}
