//! GetExecution, ListExecutions and WaitExecution.

use std::time::{Duration, Instant};

use sandgate_proto::v1::{self, ExecutionState, execution_ended::Outcome};

use crate::{
    failure::{Failure, ensure, same},
    subject::{line, new_execution, shell},
    suite::Check,
    world::Context,
};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "GetExecution",
        "get_execution",
        "GetExecution tells what was asked for, the state, and totals as they grow; never env or stdin.",
        |context| Box::pin(get(context)),
    ),
    Check::new(
        "GetExecution",
        "get_execution_of_exec",
        "What Exec and RunCommand started is an execution like any other.",
        |context| Box::pin(get_of_exec(context)),
    ),
    Check::new(
        "ListExecutions",
        "list_executions",
        "ListExecutions is newest first, by pages that show each once, and by state.",
        |context| Box::pin(list(context)),
    )
    .within(240),
    Check::new(
        "WaitExecution",
        "wait_execution",
        "WaitExecution answers at the end, or at wait_timeout with a running one; 0 does not wait.",
        |context| Box::pin(wait(context)),
    ),
];

async fn get(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let mut request = shell("echo out; echo error >&2; sleep 2; exit 4");
    request.cwd = "/usr".to_owned();
    request.timeout = Some(prost_types::Duration {
        seconds: 60,
        nanos: 0,
    });
    request.env.insert("CONF_HIDDEN".to_owned(), "x".to_owned());
    let id = place.begin(request.clone()).await?;
    let mut stream = place.watch(&id).await?;
    stream.until_stdout("out").await?;
    stream
        .until("stderr", |seen| !seen.stderr.is_empty())
        .await?;
    let seen = place.execution(&id).await?;
    same("execution_id", &seen.execution_id, &id)?;
    same("sandbox_id", seen.sandbox_id.as_str(), place.id())?;
    same("state", seen.state(), ExecutionState::Running)?;
    same("command", &seen.command, &request.command)?;
    same("cwd", &seen.cwd, &request.cwd)?;
    same("timeout", seen.timeout, request.timeout)?;
    same("terminal", seen.terminal, None)?;
    same("stdin_open", seen.stdin_open, false)?;
    same("ended", seen.ended, None)?;
    same("generation", seen.generation, 1)?;
    let bytes = |totals: Option<v1::ChannelTotals>| totals.map(|totals| totals.bytes);
    let totals = seen.totals.unwrap_or_default();
    same("totals.stdout of `out`", bytes(totals.stdout), Some(4))?;
    same("totals.stderr of `error`", bytes(totals.stderr), Some(6))?;
    let last = stream.finish().await?;
    let seen = place.execution(&id).await?;
    same("state after the end", seen.state(), ExecutionState::Ended)?;
    same("ended, and that of the stream", seen.ended, last.ended)
}

async fn get_of_exec(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let (one, two) = (new_execution(), new_execution());
    let request = v1::ExecRequest {
        execution_id: one.clone(),
        ..line("exit 3")
    };
    place.finish(request).await?.exited(3)?;
    let request = v1::RunCommandRequest {
        execution_id: two.clone(),
        argv: vec!["echo".to_owned(), "a".to_owned()],
        ..Default::default()
    };
    place.run(request).await?;
    let seen = place.execution(&one).await?;
    let outcome = seen.ended.and_then(|ended| ended.outcome);
    same(
        "outcome of what Exec started",
        outcome,
        Some(Outcome::ExitCode(3)),
    )?;
    let seen = place.execution(&two).await?;
    same(
        "argv of what RunCommand started",
        seen.argv,
        vec!["echo".to_owned(), "a".to_owned()],
    )
}

async fn list(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let mut due = Vec::new();
    for _ in 0..7 {
        let id = place.begin(shell("true")).await?;
        place.ended(&id, LIMIT).await?;
        due.insert(0, id);
    }
    let runs = place.begin(shell("sleep 60")).await?;
    let ids = |page: &v1::ListExecutionsResponse| -> Vec<String> {
        page.executions
            .iter()
            .map(|one| one.execution_id.clone())
            .collect()
    };
    let state = |state: ExecutionState| v1::ListExecutionsRequest {
        state: state.into(),
        ..Default::default()
    };
    let running = place.executions(state(ExecutionState::Running)).await?;
    same("the running ones", ids(&running), vec![runs.clone()])?;
    let ended = place.executions(state(ExecutionState::Ended)).await?;
    same("the ended ones, newest first", ids(&ended), due.clone())?;
    due.insert(0, runs);
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    for _ in 0..8 {
        let request = v1::ListExecutionsRequest {
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let page = place.executions(request).await?;
        ensure(
            page.executions.len() <= 3,
            || "a page is longer than page_size",
        )?;
        paged.extend(ids(&page));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    same("all, by pages of three", paged, due)
}

async fn wait(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(shell("sleep 3; exit 6")).await?;
    let begun = Instant::now();
    let seen = place.wait(&id, Duration::ZERO).await?;
    same(
        "state with wait_timeout 0",
        seen.state(),
        ExecutionState::Running,
    )?;
    let seen = place.wait(&id, Duration::from_millis(500)).await?;
    same(
        "state after 0.5 s of 3",
        seen.state(),
        ExecutionState::Running,
    )?;
    ensure(begun.elapsed() < Duration::from_millis(2_500), || {
        format!("waiting 0 and 0.5 s took {:?}", begun.elapsed())
    })?;
    let ended = place.ended(&id, LIMIT).await?;
    same("outcome", ended.outcome, Some(Outcome::ExitCode(6)))?;
    let again = place.ended(&id, LIMIT).await?;
    same(
        "the outcome again",
        again.outcome,
        Some(Outcome::ExitCode(6)),
    )
}
