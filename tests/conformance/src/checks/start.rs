//! Rule 1: starting a process is one act, observing it another.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use sandgate_proto::v1;
use tokio::time::sleep;
use tonic::Code;

use crate::{
    collect::Collected,
    failure::{Failure, ensure, refused, same},
    numbers::Numbers,
    subject::{Place, line, new_execution, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 1";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "start_then_stream", "StartExecution answers at once; StreamExecution, during and after the run, has every byte.", |context| Box::pin(start_then_stream(context))).needs(&["output_resume"]),
    Check::new(RULE, "exec_attaches", "Exec with the same execution_id and body attaches: no second process, every byte from the first.", |context| Box::pin(exec_attaches(context))).needs(&["output_resume"]),
    Check::new(RULE, "start_attaches", "StartExecution again with the same id and body attaches, also after the end.", |context| Box::pin(start_attaches(context))),
    Check::new(RULE, "other_body_refused", "The same execution_id with another body is ALREADY_EXISTS · EXECUTION_ID_REUSED.", |context| Box::pin(other_body(context))),
    Check::new(RULE, "same_body_is_most_fields", "cancel_on_disconnect, max_output_bytes and keep are not part of the body.", |context| Box::pin(not_compared(context))),
    Check::new(RULE, "concurrent_starts", "Starts at the same time with one execution_id make one process.", |context| Box::pin(concurrent_starts(context))),
    Check::new(RULE, "dropped_stream", "Losing Exec's stream does not end the process.", |context| Box::pin(dropped_stream(context))),
    Check::new(RULE, "many_observers", "Twenty observers, each at its own pace, get the same bytes.", |context| Box::pin(many_observers(context))).needs(&["output_resume"]).within(180),
    Check::new(RULE, "ids_are_per_sandbox", "An execution_id names another execution in another sandbox.", |context| Box::pin(per_sandbox(context))).within(240),
];

async fn start_then_stream(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(6_000);
    let answer = place.start(shell(numbers.in_pieces(6, "0.3"))).await?;
    same("attached of a new execution", answer.attached, false)?;
    let execution = answer.execution.unwrap_or_default();
    same("state", execution.state(), v1::ExecutionState::Running)?;
    ensure(execution.start_time.is_some(), || "start_time is unset")?;
    let id = execution.execution_id;
    ensure(
        !id.is_empty(),
        || "execution_id is empty, though the provider makes one",
    )?;
    let during = place.watch(&id).await?.finish().await?;
    during.exited(0)?;
    during.stdout.check_whole(numbers)?;
    let after = place.watch(&id).await?.finish().await?;
    after.stdout.check_whole(numbers)?;
    same("`ended`, told twice", after.ended, during.ended)
}

async fn exec_attaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = v1::ExecRequest {
        execution_id: id.clone(),
        ..line(format!("echo once >> {id}; echo first; sleep 1; echo last"))
    };
    let mut first = place.exec(request.clone()).await?;
    first.until_stdout("first").await?;
    let started = first.so_far().started().map(|started| started.attached);
    same("attached of the first", started, Some(false))?;
    drop(first);
    for when in ["during the run", "after its end"] {
        let again = place.finish(request.clone()).await?;
        same(&format!("attached, {when}"), again.started.attached, true)?;
        same(
            &format!("stdout, {when}"),
            again.stdout.text().as_str(),
            "first\nlast\n",
        )?;
        again.exited(0)?;
    }
    same(
        "processes that ran",
        place.text(format!("cat {id}")).await?.as_str(),
        "once\n",
    )
}

async fn start_attaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = v1::StartExecutionRequest {
        execution_id: id.clone(),
        ..shell(format!("echo once >> {id}; sleep 1"))
    };
    same(
        "attached of the first",
        place.start(request.clone()).await?.attached,
        false,
    )?;
    same(
        "attached of the second",
        place.start(request.clone()).await?.attached,
        true,
    )?;
    place.ended(&id, Duration::from_secs(20)).await?;
    let late = place.start(request).await?;
    same("attached after the end", late.attached, true)?;
    same(
        "state after the end",
        late.execution.unwrap_or_default().state(),
        v1::ExecutionState::Ended,
    )?;
    same(
        "processes that ran",
        place.text(format!("cat {id}")).await?.as_str(),
        "once\n",
    )
}

async fn other_body(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = |command: &str| v1::ExecRequest {
        execution_id: id.clone(),
        ..line(command)
    };
    place.finish(request("echo one")).await?.exited(0)?;
    let (code, reason) = (Code::AlreadyExists, "EXECUTION_ID_REUSED");
    refused(place.finish(request("echo two")).await, code, reason)?;
    let mut other = request("echo one");
    other.env.insert("A".to_owned(), "b".to_owned());
    refused(place.finish(other).await, code, reason)?;
    let start = v1::StartExecutionRequest {
        execution_id: id.clone(),
        ..shell("echo three")
    };
    refused(place.start(start).await, code, reason)?;
    Ok(())
}

async fn not_compared(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let first = v1::RunCommandRequest {
        execution_id: id.clone(),
        command: "echo one".to_owned(),
        ..Default::default()
    };
    place.run(first.clone()).await?;
    let again = v1::RunCommandRequest {
        max_output_bytes: Some(2),
        keep: v1::OutputKeep::Tail.into(),
        cancel_on_disconnect: true,
        ..first
    };
    let seen = place.run(again).await?;
    same("stdout of the second", &seen.stdout[..], b"e\n")?;
    let start = v1::StartExecutionRequest {
        execution_id: id,
        ..shell("echo one")
    };
    same(
        "attached by StartExecution",
        place.start(start).await?.attached,
        true,
    )
}

async fn concurrent_starts(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = v1::StartExecutionRequest {
        execution_id: id.clone(),
        ..shell(format!("echo once >> {id}; sleep 1"))
    };
    let starts = try_join_all((0..12).map(|_| place.start(request.clone()))).await?;
    let new = starts.iter().filter(|start| !start.attached).count();
    same("answers of 12 that are not attached", new, 1)?;
    place.ended(&id, Duration::from_secs(20)).await?;
    same(
        "processes that ran",
        place.text(format!("cat {id}")).await?.as_str(),
        "once\n",
    )
}

async fn dropped_stream(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let mut stream = place
        .exec(line(format!("echo up; sleep 2; echo done > {id}")))
        .await?;
    stream.until_stdout("up").await?;
    drop(stream);
    for _ in 0..40 {
        sleep(Duration::from_millis(500)).await;
        if place.text(format!("cat {id} 2> /dev/null; true")).await? == "done\n" {
            return Ok(());
        }
    }
    Err(crate::failure::broken(
        "the process did not come to its end within 20 s after its stream was dropped",
    ))
}

async fn many_observers(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(100_000);
    let id = place.begin(shell(numbers.in_pieces(10, "0.1"))).await?;
    let streams = join_all((0..20).map(|pace| observer(&place, &id, pace))).await;
    for seen in streams {
        let seen = seen?;
        seen.exited(0)?;
        seen.stdout.check_whole(numbers)?;
    }
    Ok(())
}

/// Reads all of it, with a pause after each event that grows with `pace`.
async fn observer(place: &Place<'_>, id: &str, pace: u64) -> Result<Collected, Failure> {
    let mut stream = place.watch(id).await?;
    while stream.step().await? {
        sleep(Duration::from_millis(pace * 2)).await;
    }
    stream.finish().await
}

async fn per_sandbox(context: &Context<'_>) -> Result<(), Failure> {
    let (one, two) = (context.shared().await?, context.own().await?);
    let request = |word: &str| v1::ExecRequest {
        execution_id: "conf-per-sandbox".to_owned(),
        ..line(format!("echo {word}"))
    };
    same(
        "in one sandbox",
        one.finish(request("one")).await?.stdout.text().as_str(),
        "one\n",
    )?;
    same(
        "in the other",
        two.finish(request("two")).await?.stdout.text().as_str(),
        "two\n",
    )
}
