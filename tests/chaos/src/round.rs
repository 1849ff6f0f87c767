//! A round of kills to gateway and provider: commands run, blows fall, and nothing is lost.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    blow::Blow,
    dice::Dice,
    drive::{START, agrees, audit, drive, kind},
    failure::{Failure, Result, broken, ensure, same, setup},
    plan::{NOTES, Work, plan},
    sandbox::Sandbox,
    stack::Stack,
};

/// Longest time for all commands of a round to end.
const LIMIT: Duration = Duration::from_secs(240);

/// Plays a round; the commands that ran in it.
pub(crate) async fn play(
    stack: &mut Stack,
    sandbox: &Sandbox,
    round: u64,
    mut dice: Dice,
) -> Result<Vec<Work>> {
    let works = plan(round, &mut dice);
    // Dropping the set ends what is in it.
    let mut driven = JoinSet::new();
    for (place, work) in works.iter().enumerate() {
        let (sandbox, work, dice) = (sandbox.clone(), work.clone(), dice.fork());
        driven.spawn(async move { (place, drive(&sandbox, &work, dice).await) });
    }
    let blows = async {
        for _ in 0..dice.between(1, 3) {
            sleep(dice.pause(START)).await;
            let blow = dice.pick([Blow::Gateway, Blow::Provider, Blow::Both]);
            stack.strike(blow, &mut dice).await?;
        }
        Ok(())
    };
    let ends = async {
        let mut ends = BTreeMap::new();
        while let Some(done) = driven.join_next().await {
            let (place, ended) = done.map_err(|error| setup(error.to_string()))?;
            ends.insert(place, ended?);
        }
        Ok::<_, Failure>(ends)
    };
    let both = async { tokio::try_join!(blows, ends) };
    let Ok(both) = timeout(LIMIT, both).await else {
        return broken(format!(
            "the commands of a round have not ended within {LIMIT:?}"
        ));
    };
    let ((), ends) = both?;
    let listed = sandbox.executions().await?;
    for (work, ended) in works.iter().zip(ends.values()) {
        audit(sandbox, work, ended).await?;
        let seen: Vec<_> = listed
            .iter()
            .filter(|one| one.execution_id == work.id)
            .collect();
        let [seen] = seen[..] else {
            return broken(format!(
                "ListExecutions has {} times {}",
                seen.len(),
                work.id
            ));
        };
        agrees("ListExecutions", seen, ended)?;
        let mut figures = sandbox.client.tally.add();
        *figures.executions.entry(kind(ended)?).or_default() += 1;
    }
    Ok(works)
}

/// Fails unless each command noted as often as is due that it ran.
pub(crate) async fn check_notes(sandbox: &Sandbox, works: &[Work]) -> Result<()> {
    let notes = sandbox.output(&format!("cat {NOTES}")).await?;
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for note in notes.lines() {
        *runs.entry(note).or_default() += 1;
    }
    for work in works {
        let seen = runs.remove(work.id.as_str()).unwrap_or_default();
        same(
            &format!("{}: how often it ran", work.id),
            &seen,
            &work.due_runs(),
        )?;
    }
    ensure(runs.is_empty(), || {
        format!("ran without being asked to: {runs:?}")
    })
}
