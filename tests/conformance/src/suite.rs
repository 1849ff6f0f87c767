//! The table of checks, and how one of them is run and judged.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::{
    checks,
    failure::{Failure, broken},
    report::{Row, Verdict},
    world::{Context, World},
};

/// What a check does.
type Act = for<'a> fn(&'a Context<'a>) -> BoxFuture<'a, Result<(), Failure>>;

/// One row of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// Rule of the contract, or the rpc.
    pub(crate) rule: &'static str,
    /// Name, unique in the suite.
    pub(crate) name: &'static str,
    /// What the contract demands.
    pub(crate) demand: &'static str,
    needs: &'static [&'static str],
    limit: Duration,
    act: Act,
}

impl Check {
    pub(crate) const fn new(
        rule: &'static str,
        name: &'static str,
        demand: &'static str,
        act: Act,
    ) -> Self {
        Self {
            rule,
            name,
            demand,
            needs: &[],
            limit: Duration::from_secs(90),
            act,
        }
    }

    /// Features without which a provider may refuse.
    pub(crate) const fn needs(mut self, features: &'static [&'static str]) -> Self {
        self.needs = features;
        self
    }

    /// A deadline other than 90 s.
    pub(crate) const fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }
}

/// The checks whose rule and name contain this.
pub(crate) fn chosen(only: &str) -> Vec<Check> {
    let fits = |check: &&Check| format!("{} {}", check.rule, check.name).contains(only);
    let all = checks::ALL.iter().copied().flatten();
    all.filter(fits).copied().collect()
}

/// Runs one check; its place in the report, and its row.
pub(crate) async fn run(check: &Check, place: usize, world: &World) -> (usize, Row) {
    let context = Context::new(world);
    let begun = Instant::now();
    let outcome = match timeout(check.limit, (check.act)(&context)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(broken(format!("not through after {:?}", check.limit))),
    };
    let seconds = begun.elapsed().as_secs_f64();
    context.clean().await;
    let (verdict, seen) = judge(outcome, &world.denied(check.needs));
    (place, row(check, verdict, seconds, seen))
}

/// The last row: whether all that the run made is gone.
pub(crate) async fn nothing_left(world: &World) -> Row {
    let begun = Instant::now();
    let outcome = world.subject.close().await;
    let seconds = begun.elapsed().as_secs_f64();
    let (verdict, seen) = judge(outcome, &[]);
    let check = Check::new(
        "life cycle",
        "nothing_left",
        "What was deleted is gone: ListSandboxes shows no sandbox of this run.",
        |_| Box::pin(async { Ok(()) }),
    );
    row(&check, verdict, seconds, seen)
}

fn row(check: &Check, verdict: Verdict, seconds: f64, seen: String) -> Row {
    Row {
        rule: check.rule.to_owned(),
        check: check.name.to_owned(),
        demand: check.demand.to_owned(),
        result: verdict,
        seconds,
        seen,
    }
}

/// Rule 10 decides between failed and unsupported: what is denied beforehand has to be refused, and
/// only what is denied may be.
fn judge(outcome: Result<(), Failure>, denied: &[&str]) -> (Verdict, String) {
    let denied = denied.join(", ");
    match outcome {
        Ok(()) if denied.is_empty() => (Verdict::Pass, String::new()),
        Ok(()) => {
            let seen =
                format!("rule 10: the capabilities say UNSUPPORTED of {denied}, yet it works");
            (Verdict::Fail, seen)
        }
        Err(failure) if denied.is_empty() => (Verdict::Fail, failure.to_string()),
        Err(failure) if failure.is_unsupported() => (Verdict::Unsupported, format!("no {denied}")),
        Err(failure) => {
            let seen = format!(
                "rule 10: the capabilities say UNSUPPORTED of {denied}, so UNIMPLEMENTED · CAPABILITY_UNSUPPORTED was due; {failure}"
            );
            (Verdict::Fail, seen)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sandgate_proto::{Problem, Reason};
    use tonic::Status;

    use super::*;

    fn refusal(reason: Reason) -> Failure {
        Failure::Call {
            rpc: "X",
            status: Box::new(Status::from(Problem::new(reason, "no"))),
        }
    }

    #[test]
    fn unsupported_takes_both_the_word_and_the_deed() {
        let unsupported = || Err(refusal(Reason::CapabilityUnsupported));
        assert_eq!(judge(unsupported(), &["stdin"]).0, Verdict::Unsupported);
        assert_eq!(judge(unsupported(), &[]).0, Verdict::Fail);
        assert_eq!(judge(Ok(()), &["stdin"]).0, Verdict::Fail);
        assert_eq!(
            judge(Err(refusal(Reason::Internal)), &["stdin"]).0,
            Verdict::Fail
        );
        assert_eq!(judge(Ok(()), &[]).0, Verdict::Pass);
    }

    #[test]
    fn names_are_unique_and_every_check_has_its_demand() {
        let all = chosen("");
        let names: BTreeSet<&str> = all.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|check| check.demand.ends_with('.')));
        for rule in [
            "rule 1", "rule 2", "rule 3", "rule 4", "rule 5", "rule 6", "rule 7", "rule 10",
        ] {
            assert!(all.iter().any(|check| check.rule == rule), "{rule}");
        }
    }

    #[test]
    fn a_pattern_chooses_by_rule_or_name() {
        assert!(!chosen("rule 5").is_empty());
        assert!(chosen("rule 5").iter().all(|check| check.rule == "rule 5"));
        assert!(chosen("no such check").is_empty());
        let first = chosen("")[0];
        assert!(
            chosen(first.name)
                .iter()
                .any(|check| check.name == first.name)
        );
    }

    #[test]
    fn every_need_is_a_feature_of_the_contract() {
        for check in chosen("") {
            for need in check.needs {
                assert!(
                    crate::checks::FEATURES.contains(need),
                    "{}: {need}",
                    check.name
                );
            }
        }
    }
}
