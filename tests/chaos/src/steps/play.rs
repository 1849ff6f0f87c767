//! One case: a sandbox is made, runs a command, and is deleted.

use sandgate_proto::v1::{
    CreateSandboxRequest, CreateSandboxResponse, DeleteSandboxRequest, GetExecutionRequest,
    ListSandboxesRequest, RunCommandRequest, SandboxState, StopSandboxRequest,
    execution_ended::Outcome, execution_service_client::ExecutionServiceClient,
    sandbox_service_client::SandboxServiceClient,
};
use tokio::time::{Duration, Instant, sleep};

use super::{Case, rig::Rig, table::Row};
use crate::{
    failure::{Failure, Result, broken, ensure, same, some},
    life::{
        house::House,
        left::nothing,
        settle::{all_deleted, living, sweep},
    },
};

/// Longest time until a gateway takes over what nobody is at any more, and has finished it.
const TAKEOVER: Duration = Duration::from_secs(60);
/// Longest time that an engine takes for a request whose asker is gone.
const ENGINE: Duration = Duration::from_secs(10);
/// Times that a case is played in which something else may use up what was made ahead.
const TRIES: usize = 3;

/// The command of each sandbox.
const COMMAND: &str = "echo kept; exit 7";
const EXECUTION: &str = "once";

/// Plays a case; fails if its step is never reached.
pub(super) async fn play(rig: &mut Rig, case: Case) -> Result<Row> {
    let tries = if case.needs_pool() { TRIES } else { 1 };
    for _ in 0..tries {
        let played = play_once(rig, case).await?;
        if let Some(saw) = rig.saw.take() {
            return Ok(Row { saw, ..played });
        }
    }
    broken("never reached")
}

async fn play_once(rig: &mut Rig, case: Case) -> Result<Row> {
    rig.arm(case).await?;
    let session_id = rig.stage.session(&rig.caller).await?;
    let request = rig.request(session_id);
    let (sandbox_id, mut finished) = create(rig, &request, case).await?;
    let house = House::new(rig.caller.clone(), request, sandbox_id);
    let state = house.state().await?;
    let state = state.map_err(|refusal| Failure::Broken(refusal.text))?;
    if state == SandboxState::Running {
        run(rig, &house).await?;
        rig.has_at_most_one().await?;
        if case.step.contains(".stop.") && stop(rig, &house).await? {
            finished = "repeated stop".to_owned();
        }
    } else {
        same(
            "state of what could not be made",
            &state,
            &SandboxState::Failed,
        )?;
        finished = "repeated create told FAILED, then delete".to_owned();
    }
    if delete(rig, &house).await? {
        finished = "repeated delete".to_owned();
    }
    house.is_now(SandboxState::Deleted).await?;
    if state == SandboxState::Running {
        outcome(&house).await?;
    }
    settle(rig, case).await?;
    Ok(Row {
        case,
        saw: String::new(),
        finished,
    })
}

/// The sandbox that came about, and how.
async fn create(
    rig: &mut Rig,
    request: &CreateSandboxRequest,
    case: Case,
) -> Result<(String, String)> {
    let call = |gate, request| async move {
        SandboxServiceClient::new(gate)
            .create_sandbox(request)
            .await
    };
    let was_well = rig.saw.is_some();
    let tried = rig.try_to("CreateSandbox", request, call).await?;
    rig.has_at_most_one().await?;
    if let Some(answer) = tried {
        return Ok((id_of(&answer)?, "itself".to_owned()));
    }
    if case.alone {
        return taken_over(rig, &request.session_id).await;
    }
    let asked = rig.caller.call("CreateSandbox", request.clone(), call);
    let answer = asked.await?;
    rig.has_at_most_one().await?;
    let how = match (was_well, answer.replayed) {
        (true, _) => "itself",
        (false, true) => "repeated create, joined",
        (false, false) => "repeated create, made anew",
    };
    Ok((id_of(&answer)?, how.to_owned()))
}

fn id_of(answer: &CreateSandboxResponse) -> Result<String> {
    Ok(some("sandbox", answer.sandbox.as_ref())?.sandbox_id.clone())
}

/// Waits until the gateway has finished by itself what it had begun before it died.
async fn taken_over(rig: &Rig, session_id: &str) -> Result<(String, String)> {
    let begin = Instant::now();
    loop {
        let request = ListSandboxesRequest {
            session_id: session_id.to_owned(),
            ..Default::default()
        };
        let call = |gate, request| async move {
            SandboxServiceClient::new(gate)
                .list_sandboxes(request)
                .await
        };
        let answer = rig.caller.call("ListSandboxes", request, call).await?;
        let mut all = answer.sandboxes.into_iter();
        let one = some("sandbox that was begun", all.next())?;
        if one.state() == SandboxState::Running {
            let how = format!("take-over after {} s", begin.elapsed().as_secs());
            return Ok((one.sandbox_id, how));
        }
        ensure(begin.elapsed() < TAKEOVER, || {
            format!("after {TAKEOVER:?} it is {:?}", one.state())
        })?;
        sleep(Duration::from_millis(200)).await;
    }
}

async fn run(rig: &mut Rig, house: &House) -> Result<()> {
    let request = RunCommandRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        execution_id: EXECUTION.to_owned(),
        command: COMMAND.to_owned(),
        ..Default::default()
    };
    let call =
        |gate, request| async move { SandboxServiceClient::new(gate).run_command(request).await };
    let answer = rig.caller.call("RunCommand", request, call).await?;
    same("output", &answer.stdout, &b"kept\n".as_slice().into())?;
    let outcome = some("end", answer.ended)?.outcome;
    same("outcome", &outcome, &Some(Outcome::ExitCode(7)))
}

/// What was told of the command is told after the delete, too.
async fn outcome(house: &House) -> Result<()> {
    let request = GetExecutionRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        execution_id: EXECUTION.to_owned(),
    };
    let call = |gate, request| async move {
        ExecutionServiceClient::new(gate)
            .get_execution(request)
            .await
    };
    let asked = house.caller.call("GetExecution", request, call);
    let execution = some("execution", asked.await?.execution)?;
    let outcome = some("end", execution.ended)?.outcome;
    same(
        "outcome after the delete",
        &outcome,
        &Some(Outcome::ExitCode(7)),
    )
}

/// Whether it had to be repeated.
async fn stop(rig: &mut Rig, house: &House) -> Result<bool> {
    let request = StopSandboxRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        ..Default::default()
    };
    let call =
        |gate, request| async move { SandboxServiceClient::new(gate).stop_sandbox(request).await };
    let tried = rig.try_to("StopSandbox", &request, call).await?;
    if tried.is_none() {
        rig.caller.call("StopSandbox", request, call).await?;
    }
    house.is_now(SandboxState::Stopped).await?;
    rig.has_at_most_one().await?;
    Ok(tried.is_none())
}

/// Whether it was cut at the step and had to be repeated.
async fn delete(rig: &mut Rig, house: &House) -> Result<bool> {
    let was_well = rig.saw.is_some();
    let request = DeleteSandboxRequest {
        session_id: house.session_id().to_owned(),
        sandbox_id: house.sandbox_id.clone(),
        ..Default::default()
    };
    let call = |gate, request| async move {
        SandboxServiceClient::new(gate)
            .delete_sandbox(request)
            .await
    };
    let tried = rig.try_to("DeleteSandbox", &request, call).await?;
    if tried.is_none() {
        rig.has_at_most_one().await?;
        rig.caller.call("DeleteSandbox", request, call).await?;
    }
    Ok(tried.is_none() && !was_well)
}

/// Deletes the session, sweeps, and looks whether anything is left.
async fn settle(rig: &mut Rig, case: Case) -> Result<()> {
    rig.calm().await?;
    for session_id in rig.stage.take_sessions() {
        rig.stage.delete_session(&rig.caller, &session_id).await?;
    }
    all_deleted(&rig.stage).await?;
    sweep(&rig.stage).await?;
    let mut left = rig.upstream.left().await?;
    let begin = Instant::now();
    // What a provider that was killed had asked for ahead may be finished by the engine only after the
    // next one has begun. It belongs to no sandbox, and the provider's own next sweep removes it.
    while case.needs_pool() && !left.is_nothing() && begin.elapsed() < ENGINE {
        sleep(Duration::from_millis(500)).await;
        rig.begin_anew().await?;
        left = rig.upstream.left().await?;
    }
    nothing(&left)?;
    let rows = living(&rig.stage).await?;
    ensure(rows.is_empty(), || {
        format!("ListSandboxes shows {rows:?} after the sweep")
    })?;
    Ok(())
}
