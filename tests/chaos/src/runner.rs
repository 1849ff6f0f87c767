//! A round of kills to the runner: what ran is lost and said to be, and the sandbox comes back.

use std::{collections::BTreeMap, time::Duration};

use sandgate_proto::v1::{ExecutionEnded, SandboxState, execution_ended::Outcome};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status};

use crate::{
    Options,
    dice::Dice,
    drive::kind,
    failure::{Result, broken, describe, ensure, reason, setup},
    host::Namespace,
    observer::Observer,
    plan::{NOTES, Work},
    sandbox::Sandbox,
};

/// Longest time until every observer knows.
const LIMIT: Duration = Duration::from_secs(120);

/// Plays a round; a sandbox that does not come back is replaced.
pub(crate) async fn play(
    options: &Options,
    sandbox: &mut Sandbox,
    round: u64,
    mut dice: Dice,
) -> Result<()> {
    let namespace = Namespace::of(options.provider, sandbox).await?;
    let past = Work::brief(format!("r{round}-past"), 4);
    sandbox.start(&past).await?;
    let past_end = Observer::new(sandbox, &past).watch().await?;
    let endless: Vec<Work> = (0..dice.between(2, 4))
        .map(|place| Work::endless(format!("r{round}-{place}"), place))
        .collect();
    let mut watched = JoinSet::new();
    for work in &endless {
        sandbox.start(work).await?;
        for _ in 0..2 {
            let (sandbox, work) = (sandbox.clone(), work.clone());
            watched.spawn(async move {
                let ended = Observer::new(&sandbox, &work).watch_lost().await;
                (work.id, ended)
            });
        }
    }
    sleep(dice.pause(1500)).await;
    namespace.kill(options.provider).await?;
    *sandbox
        .client
        .tally
        .add()
        .kills
        .entry("runner")
        .or_default() += 1;
    match timeout(LIMIT, all_lost(sandbox, watched)).await {
        Err(_) => {
            return broken(format!(
                "observers are not told of the loss within {LIMIT:?}"
            ));
        }
        Ok(done) => done?,
    }
    look_back(sandbox, &past, &endless, &past_end).await?;
    recover(options, sandbox, &mut dice).await?;
    look_back(sandbox, &past, &endless, &past_end).await?;
    Ok(())
}

/// Waits until every observer was told; counts the executions.
async fn all_lost(
    sandbox: &Sandbox,
    mut watched: JoinSet<(String, Result<ExecutionEnded>)>,
) -> Result<()> {
    let mut lost = BTreeMap::new();
    while let Some(done) = watched.join_next().await {
        let (id, ended) = done.map_err(|error| setup(error.to_string()))?;
        lost.insert(id, kind(&ended?)?);
    }
    for how in lost.into_values() {
        *sandbox
            .client
            .tally
            .add()
            .executions
            .entry(how)
            .or_default() += 1;
    }
    Ok(())
}

/// What is gone may be said to be, but no end turns into another.
async fn look_back(
    sandbox: &Sandbox,
    past: &Work,
    endless: &[Work],
    past_end: &ExecutionEnded,
) -> Result<()> {
    match sandbox.look(&past.id).await? {
        Ok(seen) => ensure(seen.ended.as_ref() == Some(past_end), || {
            format!("{}: ended {past_end:?} became {:?}", past.id, seen.ended)
        })?,
        Err(status) => is_said_gone(&past.id, &status)?,
    }
    for work in endless {
        match sandbox.look(&work.id).await? {
            Ok(seen) => {
                let outcome = seen.ended.and_then(|ended| ended.outcome);
                ensure(matches!(outcome, Some(Outcome::Lost(_))), || {
                    format!(
                        "{}: {outcome:?} after its runner was killed, due was lost",
                        work.id
                    )
                })?;
            }
            Err(status) => is_said_gone(&work.id, &status)?,
        }
    }
    Ok(())
}

fn is_said_gone(id: &str, status: &Status) -> Result<()> {
    let said = (status.code(), reason(status));
    let fits = match said.0 {
        Code::NotFound => said.1 == "EXECUTION_NOT_FOUND",
        Code::FailedPrecondition => !said.1.is_empty(),
        _ => false,
    };
    ensure(fits, || {
        format!("GetExecution of {id} answered {}", describe(status))
    })
}

/// The sandbox runs again with its files, or says that it failed; then another takes its place.
async fn recover(options: &Options, sandbox: &mut Sandbox, dice: &mut Dice) -> Result<()> {
    // One time in two it is asked to start, else it starts by itself for the next command.
    let refused = if dice.one_in(2) {
        sandbox.start_again().await?.err()
    } else {
        None
    };
    let state = sandbox.get().await?;
    if state.state() == SandboxState::Failed {
        ensure(state.reason.is_some(), || {
            "FAILED without a reason".to_owned()
        })?;
        sandbox.renew(options).await?;
        return Ok(());
    }
    if let Some(status) = refused {
        return broken(format!(
            "StartSandbox answered {} to a sandbox that is {:?}",
            describe(&status),
            state.state()
        ));
    }
    let notes = sandbox.output(&format!("cat {NOTES}")).await;
    let notes = notes.map_err(|failure| failure.at("after the runner was killed"))?;
    ensure(!notes.is_empty(), || "its files are gone".to_owned())?;
    Ok(())
}
