//! RenewSandbox.

use sandgate_proto::v1::{self, execution_ended::Outcome};

use crate::{
    failure::{Failure, ensure, same},
    subject::{line, new_execution},
    suite::Check,
    world::Context,
};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("RenewSandbox", "renew", "RenewSandbox tells what runs, and each ended execution with its outcome and the end of its output; the cursor goes on from there.", |context| Box::pin(renew(context))).needs(&["renew"]).within(240),
    Check::new(
        "RenewSandbox",
        "running_executions",
        "RenewSandbox counts what runs.",
        |context| Box::pin(running(context)),
    )
    .needs(&["renew"])
    .within(240),
];

async fn renew(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let fresh = place.renew("").await?;
    same(
        "running_executions of an idle sandbox",
        fresh.running_executions,
        0,
    )?;
    let mut sleeper = place.exec(line("echo up; sleep 60")).await?;
    sleeper.until_stdout("up").await?;
    let mut due = Vec::new();
    for code in 0..3 {
        let execution_id = new_execution();
        let request = v1::ExecRequest {
            execution_id: execution_id.clone(),
            ..line(format!("echo out {code}; exit {code}"))
        };
        place.finish(request).await?.exited(code)?;
        due.push(execution_id);
    }
    let seen = place.renew(&fresh.ended_cursor).await?;
    same(
        "running_executions beside one that sleeps",
        seen.running_executions,
        1,
    )?;
    let order = told(&seen.ended, &due)?;
    same("executions in `ended`, oldest first", order, vec![0, 1, 2])?;
    ensure(!seen.ended_cursor.is_empty(), || "ended_cursor is empty")?;
    let next = place.renew(&seen.ended_cursor).await?;
    let ids = next
        .ended
        .iter()
        .filter_map(|ended| ended.execution.as_ref());
    let repeated = ids
        .filter(|execution| due.contains(&execution.execution_id))
        .count();
    ensure(repeated <= 1, || {
        format!("{repeated} executions came again after the cursor that follows them")
    })
}

/// Places in `due` of the executions told, each checked against what it did.
fn told(all: &[v1::EndedExecution], due: &[String]) -> Result<Vec<usize>, Failure> {
    let mut order = Vec::new();
    for ended in all {
        let execution = ended.execution.clone().unwrap_or_default();
        let Some(code) = due.iter().position(|id| *id == execution.execution_id) else {
            continue;
        };
        let outcome = execution.ended.and_then(|ended| ended.outcome);
        let exit = i32::try_from(code).unwrap_or_default();
        same("outcome in `ended`", outcome, Some(Outcome::ExitCode(exit)))?;
        let tail: Vec<u8> = ended
            .tails
            .iter()
            .flat_map(|tail| tail.data.to_vec())
            .collect();
        let text = String::from_utf8_lossy(&tail).into_owned();
        same("tails of an ended execution", text, format!("out {code}\n"))?;
        order.push(code);
    }
    Ok(order)
}

async fn running(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = place.exec(line("echo up; sleep 30")).await?;
        stream.until_stdout("up").await?;
        streams.push(stream);
    }
    same(
        "running_executions of three",
        place.renew("").await?.running_executions,
        3,
    )
}
