//! Checks what a runner says, field by field, and cleans its words. A runner shares its sandbox
//! with code that nobody trusts.

use sandgate_runner_proto::v1::{
    Channel, Ended, Execution, Listed, Refused, Totals, Welcome, ended::Outcome,
};

use super::{Refusal, Violation};

/// Longest code word, in bytes.
const REASON_BYTES: usize = 64;
/// Longest sentence, in bytes.
const MESSAGE_BYTES: usize = 1024;
/// Longest path or user, in bytes.
const NAME_BYTES: usize = 4096;
/// Largest facts that the kit gives.
pub(crate) const FACTS_BYTES: usize = 16 * 1024;

/// The place in arrays of all three of a channel that was checked.
pub(crate) fn place(channel: i32) -> usize {
    usize::try_from(channel - 1).unwrap_or_default().min(2)
}

/// The place of a channel in arrays of all three.
pub(super) fn channel(number: i32) -> Result<usize, Violation> {
    match Channel::try_from(number) {
        Ok(Channel::Stdout) => Ok(0),
        Ok(Channel::Stderr) => Ok(1),
        Ok(Channel::Terminal) => Ok(2),
        Ok(Channel::Unspecified) | Err(_) => Err(Violation::Field("channel")),
    }
}

/// A code word: capitals, digits and underscores, whatever came.
pub(super) fn reason(text: &str) -> String {
    let word: String = text
        .chars()
        .take(REASON_BYTES)
        .map(|letter| match letter.to_ascii_uppercase() {
            letter @ ('A'..='Z' | '0'..='9') => letter,
            _ => '_',
        })
        .collect();
    if word.is_empty() {
        "UNKNOWN".to_owned()
    } else {
        word
    }
}

/// A sentence without control characters, clipped.
pub(super) fn message(text: &str) -> String {
    clean(text, MESSAGE_BYTES)
}

fn clean(text: &str, limit: usize) -> String {
    text[..text.floor_char_boundary(limit)]
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

pub(super) fn refusal(refused: &Refused) -> Refusal {
    Refusal {
        reason: reason(&refused.reason),
        message: message(&refused.message),
        offset: refused.offset,
        channel: refused.channel,
    }
}

pub(super) fn welcome(welcome: &mut Welcome) -> Result<(), Violation> {
    uuid::Uuid::parse_str(&welcome.boot_id).map_err(|_| Violation::Field("boot_id"))?;
    welcome.program = clean(&welcome.program, REASON_BYTES);
    Ok(())
}

/// Checks an outcome, and cleans its words.
pub(super) fn ended(ended: &mut Ended) -> Result<(), Violation> {
    match &mut ended.outcome {
        Some(Outcome::ExitCode(code)) if (0..=255).contains(code) => {}
        Some(Outcome::Signaled(signaled)) if (1..=64).contains(&signaled.signal) => {}
        Some(Outcome::TimedOut(_)) => {}
        Some(Outcome::Cancelled(cancelled)) => cancelled.by = reason(&cancelled.by),
        Some(Outcome::StartFailed(failed)) => {
            failed.reason = reason(&failed.reason);
            failed.message = message(&failed.message);
        }
        _ => return Err(Violation::Field("outcome")),
    }
    if ended.totals.is_none() {
        return Err(Violation::Field("totals"));
    }
    if ended.truncated.len() > 3 {
        return Err(Violation::Field("truncated"));
    }
    ended
        .truncated
        .iter()
        .try_for_each(|number| channel(*number).map(drop))
}

pub(super) fn execution(execution: &mut Execution) -> Result<(), Violation> {
    if execution.facts.len() > FACTS_BYTES {
        return Err(Violation::Field("facts"));
    }
    if execution.execution_id.is_empty() || execution.execution_id.len() > 128 {
        return Err(Violation::Field("execution_id"));
    }
    execution.user = clean(&execution.user, NAME_BYTES);
    execution.cwd = clean(&execution.cwd, NAME_BYTES);
    execution.ended.as_mut().map_or(Ok(()), ended)
}

/// Checks a page. Its numbers fall, below the one that was asked for: a reader of pages that never
/// end would never end either.
pub(super) fn listed(listed: &mut Listed, before: u64) -> Result<(), Violation> {
    let mut last = if before == 0 { u64::MAX } else { before };
    for found in &mut listed.executions {
        execution(found)?;
        if found.number == 0 || found.number >= last {
            return Err(Violation::Field("number"));
        }
        last = found.number;
    }
    if listed.more && listed.executions.is_empty() {
        return Err(Violation::Field("more"));
    }
    Ok(())
}

/// The totals of each channel.
pub(super) const fn totals(totals: &Totals) -> [Option<u64>; 3] {
    [totals.stdout, totals.stderr, totals.terminal]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a runner calls something, callers meet a short word and a short clean line.
        #[test]
        fn words_are_clean(text in any::<String>()) {
            let (word, line) = (reason(&text), message(&text));
            prop_assert!(!word.is_empty() && word.len() <= REASON_BYTES);
            prop_assert!(word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
            prop_assert!(line.len() <= MESSAGE_BYTES && !line.chars().any(char::is_control));
        }
    }

    #[test]
    fn only_known_outcomes_pass() {
        let of = |outcome| Ended {
            outcome,
            totals: Some(Totals::default()),
            ..Default::default()
        };
        assert!(ended(&mut of(Some(Outcome::ExitCode(255)))).is_ok());
        assert!(ended(&mut of(Some(Outcome::ExitCode(256)))).is_err());
        assert!(ended(&mut of(Some(Outcome::ExitCode(-1)))).is_err());
        assert!(ended(&mut of(None)).is_err());
    }

    #[test]
    fn pages_fall() {
        let page = |numbers: &[u64], more| Listed {
            executions: numbers
                .iter()
                .map(|number| Execution {
                    execution_id: "e".into(),
                    number: *number,
                    ..Default::default()
                })
                .collect(),
            more,
        };
        assert!(listed(&mut page(&[9, 4, 1], true), 0).is_ok());
        assert!(listed(&mut page(&[9], false), 9).is_err());
        assert!(listed(&mut page(&[4, 4], false), 0).is_err());
        assert!(listed(&mut page(&[], true), 0).is_err());
    }
}
