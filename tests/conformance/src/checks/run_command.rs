//! RunCommand: one answer, when the command has ended.

use sandgate_proto::v1::{self, OutputChannel, OutputKeep, execution_ended::Outcome};

use crate::{
    failure::{Failure, ensure, same},
    numbers::Numbers,
    subject::new_execution,
    suite::Check,
    world::Context,
};

const RULE: &str = "RunCommand";
const MIB: u64 = 1024 * 1024;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "run_command",
        "RunCommand answers with output and outcome of a command that ended.",
        |context| Box::pin(answers(context)),
    ),
    Check::new(
        RULE,
        "run_command_head_tail",
        "Of longer output HEAD_TAIL keeps the first part and the last, with a gap that says what is left out.",
        |context| Box::pin(head_tail(context)),
    ),
    Check::new(
        RULE,
        "run_command_tail",
        "TAIL keeps the last part.",
        |context| Box::pin(tail(context)),
    ),
    Check::new(
        RULE,
        "run_command_sizes",
        "max_output_bytes is 1 MiB when unset; 0 keeps nothing; output that fits comes whole.",
        |context| Box::pin(sizes(context)),
    ),
    Check::new(
        RULE,
        "run_command_attaches",
        "RunCommand again with the same execution_id answers the same, without a second process.",
        |context| Box::pin(attaches(context)),
    ),
];

fn command(command: impl Into<String>) -> v1::RunCommandRequest {
    v1::RunCommandRequest {
        command: command.into(),
        ..Default::default()
    }
}

fn outcome(seen: &v1::RunCommandResponse) -> Option<Outcome> {
    seen.ended.as_ref().and_then(|ended| ended.outcome.clone())
}

async fn answers(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place
        .run(command("echo out; echo error >&2; exit 9"))
        .await?;
    same("sandbox_id", seen.sandbox_id.as_str(), place.id())?;
    ensure(!seen.execution_id.is_empty(), || "execution_id is empty")?;
    same("stdout", &seen.stdout[..], b"out\n")?;
    same("stderr", &seen.stderr[..], b"error\n")?;
    same("terminal", seen.terminal.len(), 0)?;
    same("gaps", seen.gaps.len(), 0)?;
    same("outcome", outcome(&seen), Some(Outcome::ExitCode(9)))?;
    let totals = seen.ended.unwrap_or_default();
    same(
        "ended.stdout.bytes",
        totals.stdout.unwrap_or_default().bytes,
        4,
    )?;
    same(
        "ended.stderr.bytes",
        totals.stderr.unwrap_or_default().bytes,
        6,
    )
}

/// The only gap of an answer, which must be of stdout.
fn only_gap(seen: &v1::RunCommandResponse) -> Result<(u64, u64), Failure> {
    same("gaps", seen.gaps.len(), 1)?;
    same(
        "channel of the gap",
        seen.gaps[0].channel(),
        OutputChannel::Stdout,
    )?;
    same(
        "reason of the gap",
        seen.gaps[0].reason.as_str(),
        "OUTPUT_LIMIT",
    )?;
    Ok((seen.gaps[0].start_offset, seen.gaps[0].end_offset))
}

async fn head_tail(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(10_000);
    let request = v1::RunCommandRequest {
        max_output_bytes: Some(1_000),
        ..command(numbers.command())
    };
    let seen = place.run(request).await?;
    same("bytes of stdout", seen.stdout.len(), 1_000)?;
    let (start, end) = only_gap(&seen)?;
    same("bytes left out", end - start, numbers.len() - 1_000)?;
    ensure(start > 0 && end < numbers.len(), || {
        format!(
            "the gap is {start}..{end} of {}, due were head and tail around it",
            numbers.len()
        )
    })?;
    let (head, tail) = seen
        .stdout
        .split_at(usize::try_from(start).unwrap_or_default().min(1_000));
    numbers.check(0, head)?;
    numbers.check(end, tail)
}

async fn tail(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(10_000);
    let request = v1::RunCommandRequest {
        max_output_bytes: Some(1_000),
        keep: OutputKeep::Tail.into(),
        ..command(numbers.command())
    };
    let seen = place.run(request).await?;
    same("bytes of stdout", seen.stdout.len(), 1_000)?;
    same("the gap", only_gap(&seen)?, (0, numbers.len() - 1_000))?;
    numbers.check(numbers.len() - 1_000, &seen.stdout)
}

async fn sizes(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::of_bytes(MIB * 3 / 2);
    let seen = place.run(command(numbers.command())).await?;
    same(
        "bytes of stdout, max_output_bytes unset",
        seen.stdout.len() as u64,
        MIB,
    )?;
    only_gap(&seen)?;
    let request = v1::RunCommandRequest {
        max_output_bytes: Some(0),
        ..command("echo out")
    };
    let seen = place.run(request).await?;
    same("bytes of stdout, max_output_bytes 0", seen.stdout.len(), 0)?;
    same("the gap", only_gap(&seen)?, (0, 4))?;
    let fits = Numbers::lines(111);
    let request = v1::RunCommandRequest {
        max_output_bytes: Some(fits.len()),
        ..command(fits.command())
    };
    let seen = place.run(request).await?;
    same("gaps of output that just fits", seen.gaps.len(), 0)?;
    same("its bytes", seen.stdout.len() as u64, fits.len())?;
    fits.check(0, &seen.stdout)
}

async fn attaches(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = new_execution();
    let request = v1::RunCommandRequest {
        execution_id: id.clone(),
        ..command(format!("echo once >> {id}; echo once; sleep 1; exit 2"))
    };
    let (first, second) = tokio::join!(place.run(request.clone()), place.run(request.clone()));
    let (first, second, third) = (first?, second?, place.run(request).await?);
    for (seen, which) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        same(
            &format!("execution_id of the {which}"),
            &seen.execution_id,
            &id,
        )?;
        same(
            &format!("outcome of the {which}"),
            outcome(seen),
            Some(Outcome::ExitCode(2)),
        )?;
        same(
            &format!("stdout of the {which}"),
            &seen.stdout,
            &first.stdout,
        )?;
    }
    same(
        "processes that ran",
        place.text(format!("cat {id}")).await?.as_str(),
        "once\n",
    )
}
