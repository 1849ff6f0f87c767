//! Ranges of output that could not be kept: a short, sorted, merged list.

/// Most ranges; past it the two nearest become one.
const RANGES: usize = 64;

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The channel is over its limit.
    OutputLimit,
    /// All executions together are over theirs.
    SandboxLimit,
    /// They could not be written.
    DiskFull,
}

impl Reason {
    /// As a Gap says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OutputLimit => "OUTPUT_LIMIT",
            Self::SandboxLimit => "SANDBOX_LIMIT",
            Self::DiskFull => "DISK_FULL",
        }
    }
}

/// From `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) reason: Reason,
}

/// The ranges of one channel.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<Range>);

impl Missing {
    /// Adds a range behind all others.
    pub(super) fn add(&mut self, start: u64, end: u64, reason: Reason) {
        match self.0.last_mut() {
            Some(last) if last.end == start && last.reason == reason => last.end = end,
            _ => self.0.push(Range { start, end, reason }),
        }
        if self.0.len() > RANGES {
            self.merge_nearest();
        }
    }

    /// The range that a byte lies in.
    pub(super) fn at(&self, offset: u64) -> Option<Range> {
        let next = self.0.partition_point(|range| range.end <= offset);
        self.0
            .get(next)
            .copied()
            .filter(|range| range.start <= offset)
    }

    /// Where the next range after a byte begins.
    pub(super) fn next_start(&self, offset: u64) -> Option<u64> {
        let next = self.0.partition_point(|range| range.start <= offset);
        self.0.get(next).map(|range| range.start)
    }

    /// Forgets what lies wholly between two bytes, since all there is gone.
    pub(super) fn forget(&mut self, from: u64, to: u64) {
        let covered = |range: &Range| range.start >= from && range.end <= to;
        if self.0.iter().any(covered) {
            self.0.retain(|range| !covered(range));
        }
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.0
    }

    fn merge_nearest(&mut self) {
        let distances = self.0.windows(2).map(|pair| pair[1].start - pair[0].end);
        let nearest = distances.enumerate().min_by_key(|(_, distance)| *distance);
        if let Some((at, _)) = nearest {
            self.0[at].end = self.0.remove(at + 1).end;
        }
    }
}
