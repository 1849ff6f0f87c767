//! A command of the scripted provider: its shell line says what it writes and how it ends.
//!
//! Steps are divided by `;`:
//! - `print TEXT`, and `complain TEXT` on standard error;
//! - `repeat COUNT BYTES`: so many outputs of so many bytes;
//! - `lines COUNT`: numbered lines of 8 bytes, so that a byte tells its offset;
//! - `cat`: writes what it reads, until its input is closed;
//! - `sleep MILLISECONDS`, `hang`, `exit CODE`.
//!
//! A line without an end exits with 0; one that says something else cannot be started.

use std::time::Duration;

use bytes::Bytes;

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Print(Bytes),
    Complain(Bytes),
    Repeat { unit: Bytes, count: u64 },
    Lines(u64),
    Cat,
    Sleep(Duration),
    Hang,
    Exit(i32),
}

/// The steps of a line; none where it is no script.
pub(super) fn parse(line: &str) -> Option<Vec<Step>> {
    line.split(';').map(|step| one(step.trim())).collect()
}

fn one(step: &str) -> Option<Step> {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    Some(match word {
        "print" => Step::Print(rest.to_owned().into()),
        "complain" => Step::Complain(rest.to_owned().into()),
        "repeat" => {
            let (count, size) = rest.split_once(' ')?;
            Step::Repeat {
                unit: vec![b'x'; size.parse().ok()?].into(),
                count: count.parse().ok()?,
            }
        }
        "lines" => Step::Lines(rest.parse().ok()?),
        "cat" => Step::Cat,
        "sleep" => Step::Sleep(Duration::from_millis(rest.parse().ok()?)),
        "hang" => Step::Hang,
        "exit" => Step::Exit(rest.parse().ok()?),
        _ => return None,
    })
}
