//! The commands of fault `life`: what each prints and how it has to end.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use sandgate_proto::v1::{ExecutionEnded, execution_ended::Outcome};

use crate::{
    dice::Dice,
    failure::{Result, broken, ensure, some},
    plan::NOTES,
};

/// `by` of a command that a stop ended.
const STOPPED: &str = "SANDBOX_STOPPED";
/// `by` of a command that a delete ended.
const DELETED: &str = "SANDBOX_DELETED";

/// By which call an execution is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// StartExecution.
    Start,
    /// Exec.
    Exec,
    /// RunCommand.
    Run,
}

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// Its execution_id.
    pub(crate) id: String,
    /// Shell line.
    pub(crate) command: String,
    /// Bytes due on stdout; one that is ended early has printed the beginning of them.
    pub(crate) output: Arc<[u8]>,
    /// Its exit code, if nothing ends it before.
    pub(crate) code: i32,
    /// How it is started.
    pub(crate) how: How,
    /// When, after its siblings.
    pub(crate) after: Duration,
}

/// What was done to a sandbox while a command may have run in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deeds {
    /// A stop was asked for.
    pub(crate) stop: bool,
    /// A delete was asked for.
    pub(crate) delete: bool,
}

impl Errand {
    /// A command, by chance.
    pub(crate) fn any(id: String, dice: &mut Dice) -> Self {
        // Each begins at another number, so that bytes of one are never right in another.
        let first = 10_000_000 + dice.below(80_000_000);
        // More than the 64 KiB that outlive a sandbox, one time in five.
        let most = if dice.one_in(5) { 20_000 } else { 300 };
        let (head, tail) = (dice.between(1, most), dice.between(1, 50));
        let pause = dice.pick(["0", "0", "0.1", "0.5", "1", "4"]);
        let code = dice.pick([0, 0, 1, 7, 124, 137, 143, 255]);
        let last = first + head + tail - 1;
        let command = format!(
            "echo {id} >> {NOTES}; seq {first} {}; sleep {pause}; seq {} {last}; exit {code}",
            first + head - 1,
            first + head,
        );
        let mut output = String::new();
        for number in first..=last {
            let _ = writeln!(output, "{number}");
        }
        Self {
            id,
            command,
            output: output.into_bytes().into(),
            code,
            how: dice.pick([How::Start, How::Exec, How::Run]),
            after: dice.pause(700),
        }
    }

    /// Fails unless it may have ended like this after such deeds.
    pub(crate) fn check(&self, ended: &ExecutionEnded, deeds: Deeds) -> Result<()> {
        let outcome = some("outcome", ended.outcome.as_ref())?;
        let is_due = match outcome {
            Outcome::ExitCode(code) => *code == self.code,
            Outcome::Cancelled(cancelled) => {
                (deeds.stop && cancelled.by == STOPPED) || (deeds.delete && cancelled.by == DELETED)
            }
            _ => false,
        };
        if !is_due {
            return broken(format!(
                "{}: ended {outcome:?} after {deeds:?}, due was exit_code {}",
                self.id, self.code
            ));
        }
        let (seen, due) = (ended.stdout.unwrap_or_default().bytes, self.output.len());
        let is_whole = seen == due as u64;
        let may_be_less = matches!(outcome, Outcome::Cancelled(_)) && seen < due as u64;
        ensure(is_whole || may_be_less, || {
            format!("{}: stdout has {seen} bytes, due was {due}", self.id)
        })
    }

    /// How often it may have run, known how it ended.
    pub(crate) fn due_runs(ended: Option<&ExecutionEnded>) -> std::ops::RangeInclusive<usize> {
        match ended.and_then(|ended| ended.outcome.as_ref()) {
            Some(Outcome::ExitCode(_)) => 1..=1,
            _ => 0..=1,
        }
    }
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::{Cancelled, ChannelTotals, Lost};

    use super::*;

    fn ended(outcome: Outcome, bytes: usize) -> ExecutionEnded {
        ExecutionEnded {
            outcome: Some(outcome),
            stdout: Some(ChannelTotals {
                bytes: bytes as u64,
                truncated: false,
            }),
            ..Default::default()
        }
    }

    #[test]
    fn commands_print_what_is_due() {
        for seed in 0..8 {
            let errand = Errand::any("e1".to_owned(), &mut Dice::of(seed, 0));
            let folder = tempfile::tempdir().unwrap();
            let done = std::process::Command::new("sh")
                .args(["-c", &errand.command.replace("sleep ", ": ")])
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(done.stdout == *errand.output, "{}", errand.command);
            assert_eq!(done.status.code(), Some(errand.code));
            let notes = std::fs::read_to_string(folder.path().join(NOTES)).unwrap();
            assert_eq!(notes, "e1\n");
        }
    }

    #[test]
    fn only_what_was_done_explains_an_end() {
        let errand = Errand::any("e1".to_owned(), &mut Dice::of(1, 1));
        let whole = errand.output.len();
        let stopped = Deeds {
            stop: true,
            delete: false,
        };
        let cancelled = |by: &str| Outcome::Cancelled(Cancelled { by: by.to_owned() });
        let good = [
            (Outcome::ExitCode(errand.code), whole, Deeds::default()),
            (cancelled(STOPPED), 0, stopped),
        ];
        for (outcome, bytes, deeds) in good {
            errand.check(&ended(outcome, bytes), deeds).unwrap();
        }
        let bad = [
            (Outcome::ExitCode(errand.code), whole - 1, stopped),
            (Outcome::ExitCode(errand.code + 1), whole, stopped),
            (cancelled(STOPPED), 0, Deeds::default()),
            (cancelled(DELETED), 0, stopped),
            (Outcome::Lost(Lost::default()), 0, stopped),
        ];
        for (outcome, bytes, deeds) in bad {
            assert!(errand.check(&ended(outcome, bytes), deeds).is_err());
        }
    }
}
