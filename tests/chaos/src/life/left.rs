//! What is left of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::failure::{Result, broken};

/// What is left, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left(BTreeMap<&'static str, BTreeSet<String>>);

impl Left {
    /// So much of this kind.
    pub(super) fn add(&mut self, kind: &'static str, names: BTreeSet<String>) {
        self.0.insert(kind, names);
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.0.values().all(BTreeSet::is_empty)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, names)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {kind}", names.len())?;
            for name in names {
                write!(f, " [{name}]")?;
            }
        }
        Ok(())
    }
}

/// Fails unless nothing is left.
pub(crate) fn nothing(left: &Left) -> Result<()> {
    if left.is_nothing() {
        return Ok(());
    }
    broken(format!("left after the last sweep: {left}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named() {
        let mut left = Left::default();
        left.add("containers", BTreeSet::new());
        left.add("folders", BTreeSet::new());
        assert!(nothing(&left).is_ok());
        assert_eq!(left.to_string(), "0 containers, 0 folders");
        left.add("folders", BTreeSet::from(["f".to_owned()]));
        assert!(nothing(&left).is_err());
        assert_eq!(left.to_string(), "0 containers, 1 folders [f]");
    }
}
