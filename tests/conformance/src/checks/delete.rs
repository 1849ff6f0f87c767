//! How sandboxes go.

use std::time::Duration;

use sandgate_proto::v1::{SandboxState, execution_ended::Outcome};
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use crate::{
    failure::{Failure, broken, ensure, refused, same},
    subject::line,
    suite::Check,
    world::Context,
};

const RULE: &str = "life cycle";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "delete_twice",
        "DeleteSandbox answers when it is gone, in DELETED; deleting again is OK.",
        |context| Box::pin(delete_twice(context)),
    )
    .within(240),
    Check::new(
        RULE,
        "delete_while_running",
        "DeleteSandbox ends running commands; their streams end and say no exit code.",
        |context| Box::pin(delete_while_running(context)),
    )
    .within(240),
    Check::new(
        RULE,
        "delete_never_made",
        "DeleteSandbox of an id that never was is OK (a provider: gone counts as deleted) or SANDBOX_NOT_FOUND.",
        |context| Box::pin(delete_never_made(context)),
    ),
];

async fn delete_twice(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    same(
        "state of the answer",
        place.delete().await?.state(),
        SandboxState::Deleted,
    )?;
    let all = context.subject().list_all().await?;
    ensure(
        all.iter().all(|one| one.sandbox_id != place.id()),
        || "ListSandboxes shows it after DeleteSandbox answered",
    )?;
    same(
        "state of the second answer",
        place.delete().await?.state(),
        SandboxState::Deleted,
    )?;
    match place.get().await {
        Ok(seen) => same(
            "state of the tombstone",
            seen.state(),
            SandboxState::Deleted,
        )?,
        Err(failure) if context.subject().is_direct() => {
            refused(Err::<(), _>(failure), Code::NotFound, "SANDBOX_NOT_FOUND")?;
        }
        Err(failure) => return Err(failure),
    }
    match place.sh("echo hi").await {
        Err(Failure::Call { rpc, status }) if status.code() == Code::FailedPrecondition => {
            let failure = Failure::Call { rpc, status };
            refused(
                Err::<(), _>(failure),
                Code::FailedPrecondition,
                "SANDBOX_NOT_RUNNING",
            )?;
        }
        other => {
            refused(other, Code::NotFound, "SANDBOX_NOT_FOUND")?;
        }
    }
    Ok(())
}

async fn delete_while_running(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let mut stream = place.exec(line("echo up; sleep 120; echo down")).await?;
    stream.until_stdout("up").await?;
    let reading = async {
        while stream.step().await? {}
        Ok::<_, Failure>(())
    };
    let patience = Duration::from_secs(60);
    let (deleted, read) = tokio::join!(place.delete(), timeout(patience, reading));
    same(
        "state of the answer",
        deleted?.state(),
        SandboxState::Deleted,
    )?;
    match read {
        Err(_) => {
            return Err(broken(format!(
                "the stream is still open {patience:?} after DeleteSandbox"
            )));
        }
        // The call ended with an error, which says nothing about the process.
        Ok(Err(Failure::Call { .. })) => return Ok(()),
        Ok(Err(other)) => return Err(other),
        Ok(Ok(())) => {}
    }
    let text = stream.so_far().stdout.text();
    let seen = stream.finish().await?;
    ensure(!text.contains("down"), || "the command ran to its end")?;
    let outcome = seen.outcome()?;
    let told = matches!(
        outcome,
        Outcome::Cancelled(_) | Outcome::Lost(_) | Outcome::Signaled(_)
    );
    ensure(told, || {
        format!("the outcome is {outcome:?}, due was cancelled, signaled or lost")
    })
}

async fn delete_never_made(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.subject().place(&Uuid::new_v4().to_string());
    match place.delete().await {
        Ok(seen) if context.subject().is_direct() => {
            same("state", seen.state(), SandboxState::Deleted)
        }
        other => refused(other, Code::NotFound, "SANDBOX_NOT_FOUND").map(|_| ()),
    }
}
