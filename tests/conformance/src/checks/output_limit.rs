//! Rule 6: output is bounded, and no reader slows anything down.

use std::time::Duration;

use tonic::Code;

use crate::{
    collect::Piece,
    failure::{Failure, broken, ensure, same},
    numbers::Numbers,
    subject::shell,
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 6";
const MIB: u64 = 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(150);

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "over_the_limit", "Of output over the limit the head and the tail are kept, with one gap between, and the totals are true.", |context| Box::pin(over_the_limit(context))).needs(&["output_resume"]).within(400),
    Check::new(RULE, "under_the_limit", "Output under the limit is kept whole.", |context| Box::pin(under_the_limit(context))).needs(&["output_resume"]).within(200),
    Check::new(RULE, "idle_reader", "A reader that never reads slows neither the process nor another reader.", |context| Box::pin(idle_reader(context))).needs(&["output_resume"]).within(200),
    Check::new(RULE, "idle_starter", "A caller of Exec that never reads does not slow its own process.", |context| Box::pin(idle_starter(context))).needs(&["output_resume"]).within(200),
];

async fn over_the_limit(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let limit = context.world.output_limit;
    let numbers = Numbers::of_bytes(limit + (limit / 4).max(4 * MIB));
    let id = place
        .begin(shell(format!("{}; echo done >&2", numbers.command())))
        .await?;
    let ended = place.ended(&id, LIMIT).await?;
    let totals = ended.stdout.unwrap_or_default();
    same("ended.stdout.bytes", totals.bytes, numbers.len())?;
    same("ended.stdout.truncated", totals.truncated, true)?;
    let seen = place.watch(&id).await?.finish().await?;
    seen.exited(0)?;
    same(
        "stderr, which is not over its limit",
        seen.stderr.text().as_str(),
        "done\n",
    )?;
    seen.stdout.check(numbers)?;
    let outline = seen.stdout.outline();
    let [
        Piece::Data { bytes: head, .. },
        Piece::Gap { reason, .. },
        Piece::Data { bytes: tail, .. },
    ] = seen.stdout.pieces()
    else {
        return Err(broken(format!(
            "stdout is {outline:?}, due were head, gap and tail"
        )));
    };
    same("reason of the gap", reason.as_str(), "OUTPUT_LIMIT")?;
    same("offset after the tail", seen.stdout.next(), numbers.len())?;
    let kept = (head.len() + tail.len()) as u64;
    ensure(head.len() as u64 >= MIB.min(limit / 2), || {
        format!(
            "the head has {} bytes, due was 1 MiB or half the limit",
            head.len()
        )
    })?;
    ensure(kept <= limit + MIB && kept >= limit / 2, || {
        format!(
            "{kept} bytes are kept with a limit of {limit}: {outline:?}; give --output-limit if the limit is another one"
        )
    })
}

async fn under_the_limit(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let numbers = Numbers::of_bytes((context.world.output_limit - MIB / 4).min(8 * MIB) - 9);
    let id = place.begin(shell(numbers.command())).await?;
    let ended = place.ended(&id, LIMIT).await?;
    same(
        "ended.stdout.truncated",
        ended.stdout.unwrap_or_default().truncated,
        false,
    )?;
    let seen = place.watch(&id).await?.finish().await?;
    seen.stdout.check_whole(numbers)
}

async fn idle_reader(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let numbers = Numbers::of_bytes(context.world.output_limit.min(24 * MIB) - MIB / 8);
    let id = place
        .begin(shell(format!("sleep 1; {}", numbers.command())))
        .await?;
    let mut idle = place.watch(&id).await?;
    idle.until("started", |seen| seen.started().is_some())
        .await?;
    let seen = place.watch(&id).await?.finish().await?;
    seen.stdout.check_whole(numbers)?;
    seen.exited(0)?;
    // Now it reads after all: every byte, or a gap that says which are gone.
    match idle.finish().await {
        Ok(late) => late.stdout.check(numbers),
        // A stream may be ended for not being read; it can be resumed.
        Err(Failure::Call { status, .. }) if status.code() == Code::Unavailable => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn idle_starter(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let numbers = Numbers::of_bytes(context.world.output_limit.min(24 * MIB) - MIB / 8);
    let id = crate::subject::new_execution();
    let request = sandgate_proto::v1::ExecRequest {
        execution_id: id.clone(),
        ..crate::subject::line(numbers.command())
    };
    let idle = place.exec(request).await?;
    let ended = place.ended(&id, LIMIT).await?;
    same(
        "ended.stdout.bytes",
        ended.stdout.unwrap_or_default().bytes,
        numbers.len(),
    )?;
    drop(idle);
    Ok(())
}
