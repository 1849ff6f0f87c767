//! GetSandboxLogs.

use std::collections::BTreeSet;

use sandgate_proto::v1::{self, LogEntry, LogSource, OutputChannel};

use crate::{
    failure::{Failure, ensure, same},
    suite::Check,
    world::Context,
};

const RULE: &str = "GetSandboxLogs";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "logs_executions", "EXECUTIONS is the output of executions line by line, oldest first, with channel and execution_id; a cursor goes on after it.", |context| Box::pin(executions(context))).needs(&["logs_executions"]).within(240),
    Check::new(RULE, "logs_system", "SYSTEM is what became of the sandbox; every entry is of this source and has a cursor.", |context| Box::pin(system(context))).needs(&["logs_system"]),
    Check::new(RULE, "logs_main", "MAIN is the output of the main process; every entry is of this source and has a cursor.", |context| Box::pin(main_process(context))).needs(&["logs_main"]),
];

fn of(source: LogSource) -> v1::GetSandboxLogsRequest {
    v1::GetSandboxLogsRequest {
        source: source.into(),
        ..Default::default()
    }
}

fn texts(entries: &[LogEntry]) -> Vec<String> {
    let text = |entry: &LogEntry| String::from_utf8_lossy(&entry.data).into_owned();
    entries.iter().map(text).collect()
}

/// Fails unless every entry is of the source and can be resumed after.
fn well_formed(entries: &[LogEntry], source: LogSource) -> Result<(), Failure> {
    for entry in entries {
        same("source of an entry", entry.source(), source)?;
    }
    let cursors: BTreeSet<&str> = entries.iter().map(|entry| entry.cursor.as_str()).collect();
    ensure(
        !cursors.contains("") && cursors.len() == entries.len(),
        || "cursors are empty or repeat",
    )
}

async fn executions(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let first = place.sh("echo one; echo two").await?.started.execution_id;
    let second = place
        .sh("echo three >&2; printf four >&2")
        .await?
        .started
        .execution_id;
    let all = place.logs(of(LogSource::Executions)).await?;
    well_formed(&all, LogSource::Executions)?;
    same(
        "lines",
        texts(&all),
        ["one", "two", "three", "four"].map(str::to_owned).to_vec(),
    )?;
    let ids: Vec<&String> = all.iter().map(|entry| &entry.execution_id).collect();
    same("execution_ids", ids, vec![&first, &first, &second, &second])?;
    let channels: Vec<OutputChannel> = all.iter().map(LogEntry::channel).collect();
    let (out, error) = (OutputChannel::Stdout, OutputChannel::Stderr);
    same("channels", channels, vec![out, out, error, error])?;
    let after = v1::GetSandboxLogsRequest {
        cursor: all[1].cursor.clone(),
        ..of(LogSource::Executions)
    };
    let rest = place.logs(after).await?;
    same(
        "lines after the second cursor",
        texts(&rest),
        texts(&all[2..]),
    )?;
    for (tail, from) in [(1, 3), (3, 1), (0, 4), (100, 0)] {
        let request = v1::GetSandboxLogsRequest {
            tail_lines: Some(tail),
            ..of(LogSource::Executions)
        };
        let seen = place.logs(request).await?;
        same(
            &format!("lines with tail_lines {tail}"),
            texts(&seen),
            texts(&all[from..]),
        )?;
    }
    Ok(())
}

async fn system(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let entries = place.logs(of(LogSource::System)).await?;
    well_formed(&entries, LogSource::System)
}

async fn main_process(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let entries = place.logs(of(LogSource::Main)).await?;
    well_formed(&entries, LogSource::Main)
}
