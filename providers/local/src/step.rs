//! Steps of create and delete, by name, at which a test can end this process or have the call fail.

use sandgate_kit::ProviderError;

/// Every step. `return(crash)` at one ends the process there, as a kill would; `return(error)` has
/// the call fail there. Only with the feature `failpoints`.
pub const STEPS: &[&str] = &[
    "local.create.begin",
    "local.create.folders",
    "local.start.begin",
    "local.start.groups",
    "local.start.launched",
    "local.start.noted",
    "local.start.released",
    "local.start.answered",
    "local.end.processes",
    "local.delete.begin",
    "local.delete.ended",
    "local.delete.moved",
    "local.delete.end",
];

/// Does what a test wants done at a step.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(step: &'static str) -> Result<(), ProviderError> {
    let wanted = fail::eval(step, Option::unwrap_or_default);
    match wanted.as_deref() {
        Some("crash") => std::process::abort(),
        Some("error") => {
            let outcome = sandgate_proto::Outcome::Ambiguous;
            let message = format!("a test has this call fail at {step}; repeat it");
            let kind = sandgate_kit::Kind::Unavailable(outcome);
            Err(ProviderError::new(kind, message))
        }
        _ => Ok(()),
    }
}

/// Nothing: only tests stop at steps.
#[cfg(not(feature = "failpoints"))]
#[inline]
#[allow(
    clippy::unnecessary_wraps,
    reason = "with the feature `failpoints` it can fail"
)]
pub(crate) const fn reached(_step: &'static str) -> Result<(), ProviderError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    fn count(folder: &Path, counts: &mut BTreeMap<String, usize>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                count(&path, counts);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for rest in text.split("step::reached(\"").skip(1) {
                let name = rest.split('"').next().unwrap();
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
    }

    #[test]
    fn each_step_is_reached_at_one_place() {
        let mut counts = BTreeMap::new();
        count(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut counts,
        );
        // The needle of this test itself.
        counts.retain(|name, _| !name.starts_with(')'));
        let listed = STEPS.iter().map(|step| ((*step).to_owned(), 1));
        assert_eq!(counts, listed.collect());
    }
}
