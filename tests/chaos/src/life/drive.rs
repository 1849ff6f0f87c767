//! One command from its start to its end: started in one of three ways, repeated, and observed.

use sandgate_proto::{
    Reason,
    v1::{
        ExecRequest, Execution, ExecutionState, GetExecutionRequest, RunCommandRequest,
        RunCommandResponse, StartExecutionRequest, StartExecutionResponse,
        execution_ended::Outcome, execution_service_client::ExecutionServiceClient,
        sandbox_service_client::SandboxServiceClient,
    },
};
use tokio::time::{Instant, sleep};

use super::{
    answers::Refusal,
    book::Fact,
    errand::{Errand, How},
    house::House,
    observe::{Step, View},
};
use crate::{
    drive::kind,
    failure::{Failure, Result, broken, ensure, same, some},
    plan::NOTES,
};

/// Drives one command; it is in the book before it may run.
pub(crate) async fn run(house: &House, errand: Errand) -> Result<()> {
    sleep(errand.after).await;
    house.book.add(errand.clone());
    let mut view = View::new(house, &errand);
    let came_about = match errand.how {
        How::Start => start(house, &errand).await?.map(drop),
        How::Run => run_command(house, &errand).await?,
        How::Exec => exec(house, &errand, &mut view).await?,
    };
    if let Err(refusal) = came_about {
        return is_late(house, &refusal);
    }
    if house.caller.roll(|dice| dice.one_in(3)) {
        match start(house, &errand).await? {
            Ok(again) => ensure(again.attached, || {
                format!("{}: started again, attached is false", errand.id)
            })?,
            Err(refusal) => is_late(house, &refusal)?,
        }
    }
    match view.follow().await? {
        Ok(()) => Ok(()),
        // Acknowledged, so its outcome outlives whatever was done to its sandbox.
        Err(refusal) => forgotten(house, &errand.id, &refusal),
    }
}

/// StartExecution.
async fn start(
    house: &House,
    errand: &Errand,
) -> Result<std::result::Result<StartExecutionResponse, Refusal>> {
    let request = StartExecutionRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        execution_id: errand.id.clone(),
        command: errand.command.clone(),
        ..Default::default()
    };
    let call = |gate, request| async move {
        ExecutionServiceClient::new(gate)
            .start_execution(request)
            .await
    };
    let changing = || house.is_changing();
    let asked = house.caller.ask("StartExecution", request, changing, call);
    let answer = asked.await?;
    if let Ok(answer) = &answer {
        let execution = some("execution", answer.execution.as_ref())?;
        told(house, "StartExecution", &errand.id, execution)?;
    }
    Ok(answer)
}

/// RunCommand.
async fn run_command(house: &House, errand: &Errand) -> Result<std::result::Result<(), Refusal>> {
    let answer = match command(house, &errand.id, &errand.command).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    house.book.acknowledge(&errand.id);
    if let Some(ended) = &answer.ended {
        let total = ended.stdout.unwrap_or_default().bytes;
        let gone = answer.gaps.iter();
        let gone: u64 = gone.map(|gap| gap.end_offset - gap.start_offset).sum();
        same(
            &format!("{}: bytes by RunCommand", errand.id),
            &(answer.stdout.len() as u64 + gone),
            &total,
        )?;
        let is_right = gone > 0 || errand.output.starts_with(&answer.stdout);
        ensure(is_right, || {
            format!("{}: RunCommand answered other bytes", errand.id)
        })?;
        let deeds = house.deeds();
        house.book.saw("RunCommand", &errand.id, ended, deeds)?;
    }
    Ok(Ok(()))
}

async fn command(
    house: &House,
    id: &str,
    line: &str,
) -> Result<std::result::Result<RunCommandResponse, Refusal>> {
    let request = RunCommandRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        execution_id: id.to_owned(),
        command: line.to_owned(),
        ..Default::default()
    };
    let call =
        |gate, request| async move { SandboxServiceClient::new(gate).run_command(request).await };
    let changing = || house.is_changing();
    house
        .caller
        .ask("RunCommand", request, changing, call)
        .await
}

/// Exec, repeated until it has begun; what comes after that may be cut.
async fn exec(
    house: &House,
    errand: &Errand,
    view: &mut View<'_>,
) -> Result<std::result::Result<(), Refusal>> {
    let begin = Instant::now();
    let mut gate = house.caller.gate();
    loop {
        let request = ExecRequest {
            session_id: house.session_id().to_owned(),
            sandbox_id: house.sandbox_id.clone(),
            execution_id: errand.id.clone(),
            command: errand.command.clone(),
            ..Default::default()
        };
        let mut calls = SandboxServiceClient::new(house.caller.channel(gate));
        match view.read("Exec", calls.exec(request)).await? {
            Step::Ended => return Ok(Ok(())),
            Step::Refused(refusal) => return Ok(Err(refusal)),
            Step::Cut(why) => {
                house.caller.again("Exec", &why, begin).await?;
                if fact(house, &errand.id)?.acknowledged {
                    return Ok(Ok(()));
                }
            }
        }
        gate += 1;
    }
}

fn fact(house: &House, id: &str) -> Result<Fact> {
    let facts = house.book.facts();
    let found = facts.into_iter().find(|fact| fact.errand.id == id);
    found.ok_or_else(|| Failure::Broken(format!("{id} is in no book")))
}

/// Keeps what a call told of an execution.
fn told(house: &House, rpc: &str, id: &str, execution: &Execution) -> Result<()> {
    same(
        &format!("execution_id of {rpc}"),
        &execution.execution_id.as_str(),
        &id,
    )?;
    house.book.acknowledge(id);
    match &execution.ended {
        Some(ended) => house.book.saw(rpc, id, ended, house.deeds()),
        None => Ok(()),
    }
}

/// Only a delete explains that a command could not be started.
fn is_late(house: &House, refusal: &Refusal) -> Result<()> {
    let is_gone = refusal.is(Reason::SandboxNotFound) || refusal.is(Reason::SandboxNotRunning);
    ensure(is_gone && house.deeds().delete, || refusal.text.clone())
}

fn forgotten<T>(house: &House, id: &str, refusal: &Refusal) -> Result<T> {
    house.caller.tally.add().life.lost += 1;
    let known = fact(house, id)?.ended.and_then(|ended| ended.outcome);
    broken(format!(
        "{id}: its outcome is lost, known was {known:?}: {} after {:?}",
        refusal.text,
        house.deeds()
    ))
}

/// Every outcome again, by each call that tells it.
pub(crate) async fn look_again(house: &House, when: &'static str) -> Result<()> {
    for fact in house.book.facts() {
        if !fact.acknowledged {
            continue;
        }
        let id = &fact.errand.id;
        let request = GetExecutionRequest {
            session_id: house.session_id().to_owned(),
            sandbox_id: house.sandbox_id.clone(),
            execution_id: id.clone(),
        };
        let call = |gate, request| async move {
            ExecutionServiceClient::new(gate)
                .get_execution(request)
                .await
        };
        let changing = || house.is_changing();
        let asked = house.caller.ask("GetExecution", request, changing, call);
        let execution = match asked.await? {
            Ok(answer) => some("execution", answer.execution)?,
            Err(refusal) => return forgotten(house, id, &refusal),
        };
        let what = format!("{id}: state by GetExecution {when}");
        same(&what, &execution.state(), &ExecutionState::Ended)?;
        told(house, "GetExecution", id, &execution)?;
        if let Err(refusal) = View::new(house, &fact.errand).follow().await? {
            return forgotten(house, id, &refusal);
        }
        let mut figures = house.caller.tally.add();
        *figures.life.asked_again.entry(when).or_default() += 1;
    }
    Ok(())
}

/// Who starts one again that ran before the sandbox was stopped gets that one.
pub(crate) async fn start_over(house: &House) -> Result<()> {
    let known = house.book.facts().into_iter();
    for fact in known.filter(|fact| fact.ended.is_some()).take(2) {
        let answer = start(house, &fact.errand).await?;
        let answer = answer.map_err(|refusal| Failure::Broken(refusal.text))?;
        ensure(answer.attached, || {
            format!("{}: started over, attached is false", fact.errand.id)
        })?;
    }
    Ok(())
}

/// Counts in the sandbox how often each command ran.
pub(crate) async fn check_notes(house: &House, place: u64) -> Result<()> {
    let line = format!("touch {NOTES}; cat {NOTES}");
    let answer = command(house, &format!("notes-{place}"), &line).await?;
    let answer = answer.map_err(|refusal| Failure::Broken(refusal.text))?;
    let outcome = some("end", answer.ended)?.outcome;
    same("end of cat", &outcome, &Some(Outcome::ExitCode(0)))?;
    let notes = String::from_utf8_lossy(&answer.stdout);
    let count = house.book.facts().len() as u64;
    let (twice, checked) = house.book.check_notes(&notes);
    let mut figures = house.caller.tally.add();
    figures.life.run_twice += twice;
    figures.life.notes += count;
    drop(figures);
    checked.map_err(|failure| failure.at(&house.sandbox_id))
}

/// Counts how its commands ended, once.
pub(crate) fn count(house: &House) -> Result<()> {
    for fact in house.book.facts() {
        let how = match &fact.ended {
            Some(ended) => kind(ended)?,
            None if fact.acknowledged => "not told",
            None => "never begun",
        };
        let mut figures = house.caller.tally.add();
        *figures.executions.entry(how).or_default() += 1;
    }
    Ok(())
}
