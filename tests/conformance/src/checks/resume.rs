//! Rule 2: offsets are bytes, and a reader that lost its stream has every byte exactly once.

use std::time::Duration;

use sandgate_proto::v1;
use tonic::Code;

use crate::{
    failure::{Failure, ensure, refused, same},
    numbers::Numbers,
    subject::{Place, shell},
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 2";
const NEEDS: &[&str] = &["output_resume"];
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "resume_exactly_once", "A reader that loses its stream again and again and resumes at its offset has every byte exactly once.", |context| Box::pin(exactly_once(context))).needs(NEEDS).within(180),
    Check::new(RULE, "any_offset_after_the_end", "A stream of an ended execution begins at any offset asked for.", |context| Box::pin(any_offset(context))).needs(NEEDS),
    Check::new(RULE, "channels_apart", "stdout and stderr have offsets of their own.", |context| Box::pin(channels_apart(context))).needs(NEEDS),
    Check::new(RULE, "past_the_end", "An offset past the output is OUT_OF_RANGE · OFFSET_OUT_OF_RANGE; one equal to it is fine.", |context| Box::pin(past_the_end(context))).needs(NEEDS),
    Check::new(RULE, "tail", "tail_bytes begins so many bytes before the present end, without a gap; 0 gives only what comes.", |context| Box::pin(tail(context))).needs(NEEDS),
    Check::new(RULE, "snapshot", "Without follow, a stream gives what there is, then snapshot_end with totals to go on from, or ended.", |context| Box::pin(snapshot(context))).needs(NEEDS),
    Check::new(RULE, "unknown_execution", "An execution that is not there is NOT_FOUND · EXECUTION_NOT_FOUND.", |context| Box::pin(unknown(context))).needs(NEEDS),
];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

fn from(execution_id: &str, stdout: u64, stderr: u64) -> v1::StreamExecutionRequest {
    v1::StreamExecutionRequest {
        execution_id: execution_id.to_owned(),
        stdout_offset: Some(stdout),
        stderr_offset: Some(stderr),
        follow: true,
        ..Default::default()
    }
}

/// An execution that has ended and printed these numbers.
async fn printed(place: &Place<'_>, numbers: Numbers) -> Result<String, Failure> {
    let id = place.begin(shell(numbers.command())).await?;
    place.ended(&id, LIMIT).await?;
    Ok(id)
}

async fn exactly_once(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(300_000);
    let id = place.begin(shell(numbers.in_pieces(30, "0.05"))).await?;
    let (mut dice, mut at) = (Dice(42), 0);
    loop {
        let mut stream = place.observe(from(&id, at, 0)).await?;
        let enough = at + dice.below(300_000);
        while stream.so_far().stdout.next() < enough && !stream.so_far().is_over() {
            if !stream.step().await? {
                break;
            }
        }
        let seen = &stream.so_far().stdout;
        seen.check(numbers)?;
        ensure(!seen.has_gap(), || {
            format!("a gap in {} bytes: {:?}", numbers.len(), seen.outline())
        })?;
        at = seen.next();
        if stream.so_far().is_over() {
            stream.finish().await?.exited(0)?;
            return same("bytes in all", at, numbers.len());
        }
    }
}

async fn any_offset(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(50_000);
    let id = printed(&place, numbers).await?;
    let mut dice = Dice(7);
    let edges = [1, 65_535, 65_536, 65_537, numbers.len() - 1, numbers.len()];
    let random: Vec<u64> = (0..10).map(|_| dice.below(numbers.len())).collect();
    for offset in edges.into_iter().chain(random) {
        let seen = place.observe(from(&id, offset, 0)).await?.finish().await?;
        seen.stdout.check_whole(numbers)?;
        same("first offset", seen.stdout.first(), Some(offset))?;
    }
    Ok(())
}

async fn channels_apart(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(20_000);
    let other = Numbers::lines(10_000).other();
    let command = format!("{}; {} >&2", numbers.command(), other.command());
    let id = place.begin(shell(command)).await?;
    place.ended(&id, LIMIT).await?;
    for (stdout, stderr) in [(0, 0), (100, 45_000), (numbers.len(), 1), (7, other.len())] {
        let seen = place
            .observe(from(&id, stdout, stderr))
            .await?
            .finish()
            .await?;
        seen.stdout.check_whole(numbers)?;
        seen.stderr.check_whole(other)?;
    }
    let mixed = v1::StreamExecutionRequest {
        stderr_offset: None,
        tail_bytes: Some(9),
        ..from(&id, 18, 0)
    };
    let seen = place.observe(mixed).await?.finish().await?;
    seen.stdout.check_whole(numbers)?;
    seen.stderr.check_whole(other)?;
    same(
        "first byte of stderr with tail_bytes 9",
        seen.stderr.first(),
        Some(other.len() - 9),
    )
}

async fn past_the_end(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(10);
    let id = printed(&place, numbers).await?;
    let seen = place
        .observe(from(&id, numbers.len(), 0))
        .await?
        .finish()
        .await?;
    ensure(seen.stdout.is_empty(), || "bytes came after the last one")?;
    for (stdout, stderr) in [(numbers.len() + 1, 0), (u64::MAX, 0), (0, 1)] {
        let seen = match place.observe(from(&id, stdout, stderr)).await {
            Ok(stream) => stream.finish().await,
            Err(failure) => Err(failure),
        };
        refused(seen, Code::OutOfRange, "OFFSET_OUT_OF_RANGE")?;
    }
    Ok(())
}

fn tailed(execution_id: &str, tail_bytes: u64) -> v1::StreamExecutionRequest {
    v1::StreamExecutionRequest {
        execution_id: execution_id.to_owned(),
        tail_bytes: Some(tail_bytes),
        follow: true,
        ..Default::default()
    }
}

async fn tail(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(20_000);
    let id = printed(&place, numbers).await?;
    for (tail, first) in [
        (1, numbers.len() - 1),
        (90_000, numbers.len() - 90_000),
        (1 << 40, 0),
    ] {
        let seen = place.observe(tailed(&id, tail)).await?.finish().await?;
        seen.stdout.check_whole(numbers)?;
        same(
            &format!("first offset with tail_bytes {tail}"),
            seen.stdout.first(),
            Some(first),
        )?;
    }
    let seen = place.observe(tailed(&id, 0)).await?.finish().await?;
    ensure(
        seen.stdout.is_empty(),
        || "bytes came with tail_bytes 0 after the end",
    )?;
    let id = place
        .begin(shell("echo before; sleep 2; echo after"))
        .await?;
    let mut live = place.watch(&id).await?;
    live.until_stdout("before").await?;
    let seen = place.observe(tailed(&id, 0)).await?.finish().await?;
    same(
        "stdout with tail_bytes 0 of a running one",
        seen.stdout.text().as_str(),
        "after\n",
    )
}

async fn snapshot(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let id = place.begin(shell("echo one; sleep 2; echo two")).await?;
    let mut live = place.watch(&id).await?;
    live.until_stdout("one").await?;
    let request = |offset| v1::StreamExecutionRequest {
        follow: false,
        ..from(&id, offset, 0)
    };
    let seen = place.observe(request(0)).await?.finish().await?;
    same(
        "stdout of the snapshot",
        seen.stdout.text().as_str(),
        "one\n",
    )?;
    let end = seen.snapshot.ok_or_else(|| {
        crate::failure::broken("the snapshot of a running execution has no snapshot_end")
    })?;
    let totals = end.totals.unwrap_or_default().stdout.unwrap_or_default();
    same("totals.stdout of the snapshot", totals.bytes, 4)?;
    live.finish().await?.exited(0)?;
    let seen = place.observe(request(totals.bytes)).await?.finish().await?;
    same(
        "stdout from there on, after the end",
        seen.stdout.text().as_str(),
        "two\n",
    )?;
    seen.exited(0)
}

async fn unknown(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let (code, reason) = (Code::NotFound, "EXECUTION_NOT_FOUND");
    let seen = match place.watch("never-was").await {
        Ok(stream) => stream.finish().await,
        Err(failure) => Err(failure),
    };
    refused(seen, code, reason)?;
    refused(place.execution("never-was").await, code, reason)?;
    refused(place.wait("never-was", Duration::ZERO).await, code, reason)?;
    refused(place.write("never-was", 0, "x", false).await, code, reason)?;
    refused(place.resize("never-was", 1, 1).await, code, reason)?;
    let request = v1::SignalExecutionRequest {
        execution_id: "never-was".to_owned(),
        signal: 15,
        ..Default::default()
    };
    refused(place.signal(request).await, code, reason)?;
    Ok(())
}
