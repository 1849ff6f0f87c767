//! Two sandboxes do not see each other.

use tonic::Code;

use crate::{
    failure::{Failure, ensure, refused, same},
    subject::{line, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "isolation";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "files_apart",
        "Files of one sandbox are not in another.",
        |context| Box::pin(files(context)),
    )
    .within(240),
    Check::new(
        RULE,
        "processes_apart",
        "Processes of one sandbox are not seen in another, and cannot be signalled from there.",
        |context| Box::pin(processes(context)),
    )
    .within(240),
    Check::new(
        RULE,
        "executions_apart",
        "An execution is not found through another sandbox.",
        |context| Box::pin(executions(context)),
    )
    .within(240),
];

async fn files(context: &Context<'_>) -> Result<(), Failure> {
    let (one, two) = (context.own().await?, context.own().await?);
    one.text("echo secret > apart; echo secret > /tmp/apart; true")
        .await?;
    let seen = two.text("cat apart /tmp/apart 2> /dev/null; true").await?;
    same(
        "what the second sees of the first one's files",
        seen.as_str(),
        "",
    )?;
    two.text("echo other > apart").await?;
    same(
        "the first one's file after that",
        one.text("cat apart").await?.as_str(),
        "secret\n",
    )
}

async fn processes(context: &Context<'_>) -> Result<(), Failure> {
    let (one, two) = (context.own().await?, context.own().await?);
    let mark = format!("conf{}", uuid::Uuid::new_v4().simple());
    let command = format!("echo up; {mark}=1; while :; do sleep 0.2; done");
    let mut stream = one.exec(line(command)).await?;
    stream.until_stdout("up").await?;
    // The pattern is put together there, so that the search does not find itself.
    let (head, rest) = mark.split_at(20);
    let find = format!(
        "for f in /proc/[0-9]*/cmdline; do case $(tr '\\0' ' ' < $f 2> /dev/null) in *{head}''{rest}=1*) echo $f;; esac; done"
    );
    let seen = two.text(format!("{find}; true")).await?;
    ensure(seen.is_empty(), || {
        format!("the second sees the first one's process: {seen}")
    })
}

async fn executions(context: &Context<'_>) -> Result<(), Failure> {
    let (one, two) = (context.shared().await?, context.own().await?);
    let id = one.begin(shell("true")).await?;
    refused(
        two.execution(&id).await,
        Code::NotFound,
        "EXECUTION_NOT_FOUND",
    )?;
    Ok(())
}
