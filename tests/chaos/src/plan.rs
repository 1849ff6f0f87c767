//! What the commands of a round are, and what is due of each.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use crate::dice::Dice;

/// The file in which each command notes that it ran.
pub(crate) const NOTES: &str = "ran";

/// How an execution has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By its timeout.
    TimedOut,
    /// It never runs.
    StartFailed,
}

/// What is done with an execution while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing.
    Plain,
    /// These bytes are its input, and come back.
    Input(Arc<[u8]>),
    /// It counts a signal that is sent again and again under one id.
    Signals,
}

/// One execution.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Its execution_id.
    pub(crate) id: String,
    /// Shell line; empty: a program that is not there.
    pub(crate) command: String,
    /// Its timeout.
    pub(crate) timeout: Option<Duration>,
    /// Bytes due on stdout and stderr; with a timeout it may print fewer.
    pub(crate) output: [Arc<[u8]>; 2],
    /// How it ends.
    pub(crate) due: Due,
    /// What is done with it.
    pub(crate) role: Role,
}

/// What `seq` prints, so many lines of nine bytes; each execution begins at another number, so that
/// bytes of one are never right in another.
#[derive(Clone, Copy)]
struct Lines {
    first: u64,
    count: u64,
}

impl Lines {
    fn print(self) -> String {
        format!("seq {} {}", self.first, self.first + self.count - 1)
    }

    /// Printed with a pause after each of so many pieces; `count` is a multiple of that.
    fn print_slowly(self, other: Self, pieces: u64, pause: &str) -> String {
        let piece = |lines: Self| {
            let size = lines.count / pieces;
            let (first, last) = (lines.first, lines.first + size - 1);
            format!("seq $(({first} + i * {size})) $(({last} + i * {size}))")
        };
        format!(
            "i=0; while [ $i -lt {pieces} ]; do {}; {} >&2; i=$((i + 1)); sleep {pause}; done",
            piece(self),
            piece(other)
        )
    }

    fn bytes(self) -> Arc<[u8]> {
        let mut text = String::new();
        for number in self.first..self.first + self.count {
            let _ = writeln!(text, "{number}");
        }
        text.into_bytes().into()
    }
}

/// The commands of one round.
pub(crate) fn plan(round: u64, dice: &mut Dice) -> Vec<Work> {
    let count = dice.between(6, 10);
    let works = (0..count).map(|place| {
        // Input and signals in every round, the rest by chance.
        let kind = if place < 2 { place } else { dice.between(2, 9) };
        work(format!("r{round}-{place}"), kind, place, dice)
    });
    works.collect()
}

fn work(id: String, kind: u64, place: u64, dice: &mut Dice) -> Work {
    let kib = |dice: &mut Dice, first, last| dice.between(first, last) * 1024 / 9;
    let first = 10_000_000 + 1_000_003 * place;
    let out = |count| Lines { first, count };
    let err = |count| Lines {
        first: first + 40_000_000,
        count,
    };
    match kind {
        0 => {
            let input = out(kib(dice, 128, 768)).bytes();
            let work = Work::new(id, "exec cat", [input.clone(), Arc::default()]);
            work.role(Role::Input(input))
        }
        1 => {
            let command = "n=0; trap 'n=$((n + 1))' USR1; trap 'echo $n; exit 3' TERM; echo up; while :; do sleep 0.1; done";
            let output = [b"up\n1\n".as_slice().into(), Arc::default()];
            Work::new(id, command, output)
                .due(Due::Exit(3))
                .role(Role::Signals)
        }
        2 | 3 => burst(id, out(kib(dice, 100, 4096)), err(kib(dice, 1, 512)), dice),
        4..=6 => {
            let pieces = dice.between(5, 30);
            let size = dice.pick([1, 3, 100, 5000]);
            let (out, err) = (out(pieces * size), err(pieces * 2));
            let pause = dice.pick(["0.02", "0.05", "0.1"]);
            let line = out.print_slowly(err, pieces, pause);
            ending(Work::new(id, &line, [out.bytes(), err.bytes()]), dice)
        }
        7 => {
            let seconds = dice.between(1, 4);
            let pieces = 2000;
            let (out, err) = (out(pieces * 20), err(pieces));
            let line = out.print_slowly(err, pieces, "0.03");
            let work = Work::new(id, &line, [out.bytes(), err.bytes()]);
            work.timeout(Duration::from_secs(seconds))
        }
        8 => {
            let line = format!("sleep {}; exit 5", dice.between(0, 3));
            Work::new(id, &line, Default::default()).due(Due::Exit(5))
        }
        _ => Work::new(id, "", Default::default()).due(Due::StartFailed),
    }
}

fn burst(id: String, out: Lines, err: Lines, dice: &mut Dice) -> Work {
    let line = format!("{}; {} >&2", out.print(), err.print());
    ending(Work::new(id, &line, [out.bytes(), err.bytes()]), dice)
}

/// Lets it end with a code or by a signal.
fn ending(mut work: Work, dice: &mut Dice) -> Work {
    let (last, due) = if dice.one_in(3) {
        let signal = dice.pick([1, 9, 10, 15]);
        (format!("kill -{signal} $$; sleep 600"), Due::Signal(signal))
    } else {
        let code = dice.pick([0, 0, 1, 7, 124, 137, 255]);
        (format!("exit {code}"), Due::Exit(code))
    };
    let _ = write!(work.command, "; {last}");
    work.due(due)
}

impl Work {
    fn new(id: String, line: &str, output: [Arc<[u8]>; 2]) -> Self {
        let command = if line.is_empty() {
            String::new()
        } else {
            format!("echo {id} >> {NOTES}; {line}")
        };
        Self {
            id,
            command,
            timeout: None,
            output,
            due: Due::Exit(0),
            role: Role::Plain,
        }
    }

    fn due(self, due: Due) -> Self {
        Self { due, ..self }
    }

    fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            due: Due::TimedOut,
            ..self
        }
    }

    /// Whether it may print less than all that is due.
    pub(crate) fn may_print_less(&self) -> bool {
        self.due == Due::TimedOut
    }

    /// How often it has to have run.
    pub(crate) fn due_runs(&self) -> usize {
        usize::from(self.due != Due::StartFailed)
    }

    /// A command that runs until something ends it, and prints all the while.
    pub(crate) fn endless(id: String, place: u64) -> Self {
        let (first, pieces) = (10_000_000 + 1_000_003 * place, 6000);
        let out = Lines {
            first,
            count: pieces * 10,
        };
        let err = Lines {
            first: first + 40_000_000,
            count: pieces,
        };
        let line = format!("{}; sleep 600", out.print_slowly(err, pieces, "0.05"));
        Self::new(id, &line, [out.bytes(), err.bytes()])
    }

    /// A command that prints a little and ends at once.
    pub(crate) fn brief(id: String, code: i32) -> Self {
        let out = Lines {
            first: 70_000_000,
            count: 2000,
        };
        let line = format!("{}; exit {code}", out.print());
        Self::new(id, &line, [out.bytes(), Arc::default()]).due(Due::Exit(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dice_plan_the_same_round() {
        let commands = |seed| {
            let works = plan(4, &mut Dice::of(seed, 4));
            works
                .into_iter()
                .map(|work| work.command)
                .collect::<Vec<_>>()
        };
        assert_eq!(commands(1), commands(1));
        assert_ne!(commands(1), commands(2));
    }

    #[test]
    fn commands_print_what_is_due() {
        for seed in 0..6 {
            let works = plan(0, &mut Dice::of(seed, 0));
            for work in works.iter().filter(|work| {
                work.role == Role::Plain && !work.may_print_less() && !work.command.is_empty()
            }) {
                let folder = tempfile::tempdir().unwrap();
                let done = std::process::Command::new("sh")
                    .args(["-c", &work.command.replace("sleep ", ": ")])
                    .current_dir(folder.path())
                    .output()
                    .unwrap();
                assert!(done.stdout == *work.output[0], "{}", work.command);
                assert!(done.stderr == *work.output[1], "{}", work.command);
            }
        }
    }
}
