//! What changes of an execution while it is played.

use std::collections::HashSet;

use sandgate_runner_proto::v1::{Ended, TerminalSize, Totals, ended::Outcome};

use super::text::Text;

/// What observers see, and what the script is told.
#[derive(Default)]
pub(super) struct State {
    /// Standard output, standard error, terminal.
    pub(super) channels: [Text; 3],
    pub(super) ended: Option<Ended>,
    pub(super) terminal: Option<TerminalSize>,
    /// All input that was accepted.
    pub(super) input: Vec<u8>,
    pub(super) input_open: bool,
    pub(super) signal_ids: HashSet<String>,
    /// How it shall end.
    pub(super) last_word: Option<Outcome>,
}

impl State {
    /// The channels that there are, by their places.
    pub(super) const fn places(&self) -> &'static [usize] {
        match self.terminal {
            Some(_) => &[2],
            None => &[0, 1],
        }
    }

    /// Output so far.
    pub(super) fn totals(&self) -> Totals {
        let total = |place| {
            let there = self.places().contains(&place);
            there.then(|| self.channels[place].total())
        };
        Totals {
            stdout: total(0),
            stderr: total(1),
            terminal: total(2),
        }
    }

    /// Where it writes.
    pub(super) fn output(&mut self) -> &mut Text {
        &mut self.channels[self.places()[0]]
    }

    /// Where it complains.
    pub(super) fn errors(&mut self) -> &mut Text {
        &mut self.channels[self.places().last().copied().unwrap_or_default()]
    }
}
