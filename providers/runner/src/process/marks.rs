//! Signs that a process belongs to an execution, which it carries wherever it goes.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// First of the groups that mark executions; no user has them.
const FIRST_GROUP: u32 = 2_000_000_000;
/// How many there are.
const GROUPS: u64 = 100_000_000;
/// Name of the variable that marks an execution.
const VARIABLE: &str = "SANDGATE_EXECUTION=";

/// The marks of one runner. Two runners on one machine have different ones.
#[derive(Debug)]
pub(super) struct Marks {
    /// New with every start.
    token: u64,
    /// Highest number of an execution so far.
    highest: AtomicU64,
}

/// Whose mark a process carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// That of the execution in question.
    This,
    /// That of another execution of this runner.
    Other,
    /// None that we know.
    Nothing,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self {
            token: RandomState::new().hash_one(std::process::id()),
            highest: AtomicU64::new(0),
        }
    }

    /// Makes it known that there is an execution with this number.
    pub(super) fn issue(&self, number: u64) {
        self.highest.fetch_max(number, Relaxed);
    }

    /// The supplementary group of an execution.
    pub(super) fn group(&self, number: u64) -> u32 {
        let place = (self.token % GROUPS + number % GROUPS) % GROUPS;
        // Below 100 million.
        FIRST_GROUP + u32::try_from(place).unwrap_or_default()
    }

    /// The variable of an execution, as in the environment.
    pub(super) fn variable(&self, number: u64) -> Vec<u8> {
        format!("{VARIABLE}{number}.{:016x}", self.token).into_bytes()
    }

    /// What these supplementary groups say about execution `number`.
    pub(super) fn in_groups(&self, number: u64, groups: impl Iterator<Item = u32>) -> Carries {
        let mine = self.group(number);
        let mut found = Carries::Nothing;
        for group in groups {
            if group == mine {
                return Carries::This;
            }
            if let Some(place) = group.checked_sub(FIRST_GROUP).map(u64::from)
                && place < GROUPS
                && (place + GROUPS - self.token % GROUPS) % GROUPS <= self.highest.load(Relaxed)
            {
                found = Carries::Other;
            }
        }
        found
    }

    /// What this environment, as /proc shows it, says about execution `number`.
    pub(super) fn in_environment(&self, number: u64, environment: &[u8]) -> Carries {
        let mine = self.variable(number);
        let token = format!(".{:016x}", self.token).into_bytes();
        let ours = environment
            .split(|byte| *byte == 0)
            .find(|text| text.starts_with(VARIABLE.as_bytes()) && text.ends_with(&token));
        match ours {
            Some(text) if text == mine => Carries::This,
            Some(_) => Carries::Other,
            None => Carries::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_told_apart() {
        let marks = Marks::new();
        marks.issue(5);
        let groups = |number| [7, marks.group(number)].into_iter();
        assert_eq!(marks.in_groups(4, groups(4)), Carries::This);
        assert_eq!(marks.in_groups(4, groups(5)), Carries::Other);
        assert_eq!(marks.in_groups(4, groups(6)), Carries::Nothing);
        assert_eq!(
            marks.in_groups(4, [0, 7, u32::MAX - 1].into_iter()),
            Carries::Nothing
        );

        let shown = |number| [b"A=1\0", &marks.variable(number)[..], b"\0B=2\0"].concat();
        assert_eq!(marks.in_environment(4, &shown(4)), Carries::This);
        assert_eq!(marks.in_environment(4, &shown(44)), Carries::Other);
        let foreign = [VARIABLE.as_bytes(), b"4.0123\0"].concat();
        assert_eq!(marks.in_environment(4, &foreign), Carries::Nothing);
    }

    #[test]
    fn group_marks_stay_in_their_range() {
        let marks = Marks {
            token: u64::MAX,
            highest: AtomicU64::new(0),
        };
        for number in [1, GROUPS - 1, GROUPS, u64::MAX] {
            assert!((FIRST_GROUP..FIRST_GROUP + 100_000_000).contains(&marks.group(number)));
        }
    }
}
