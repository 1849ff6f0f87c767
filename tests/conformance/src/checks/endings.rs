//! Rule 4: output comes before the end.

use std::time::{Duration, Instant};

use crate::{
    failure::{Failure, ensure, same},
    numbers::Numbers,
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 4";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "ended_last",
        "ended comes after the last byte of both channels, and its totals are the bytes that came.",
        |context| Box::pin(ended_last(context)),
    )
    .within(120),
    Check::new(
        RULE,
        "short_commands",
        "A command that is over at once loses no byte.",
        |context| Box::pin(short_commands(context)),
    ),
    Check::new(
        RULE,
        "daemon_holds_pipes",
        "ended does not wait for a daemon that holds the pipes.",
        |context| Box::pin(daemon(context)),
    ),
    Check::new(
        RULE,
        "last_words",
        "Output written just before a signal's death is not lost.",
        |context| Box::pin(last_words(context)),
    ),
    Check::new(
        RULE,
        "empty_output",
        "A command without output has totals of 0.",
        |context| Box::pin(empty(context)),
    ),
    Check::new(
        RULE,
        "bytes_untouched",
        "Output is bytes: no byte is changed, dropped or added, whatever the encoding.",
        |context| Box::pin(untouched(context)),
    ),
];

async fn ended_last(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(200_000);
    let other = Numbers::lines(100_000).other();
    let command = format!(
        "{} & {} >&2; wait; exit 3",
        numbers.command(),
        other.command()
    );
    let seen = place.sh(command).await?;
    seen.exited(3)?;
    seen.stdout.check_whole(numbers)?;
    seen.stderr.check_whole(other)
}

async fn short_commands(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for number in 0..30 {
        let seen = place
            .sh(format!("echo {number}; echo {number} >&2"))
            .await?;
        let due = format!("{number}\n");
        same("stdout", seen.stdout.text(), due.clone())?;
        same("stderr", seen.stderr.text(), due)?;
    }
    Ok(())
}

async fn daemon(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    for command in [
        "sleep 60 & echo x",
        "(sleep 60 &) ; echo x",
        "sleep 60 >&2 & echo x",
    ] {
        let begun = Instant::now();
        let seen = place.sh(command).await?;
        let took = begun.elapsed();
        seen.exited(0)?;
        same("stdout", seen.stdout.text().as_str(), "x\n")?;
        ensure(took < Duration::from_secs(15), || {
            format!("{command:?} ended after {took:?}: ended waited for the daemon")
        })?;
    }
    Ok(())
}

async fn last_words(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let numbers = Numbers::lines(20_000);
    let seen = place
        .sh(format!("{}; kill -9 $$", numbers.command()))
        .await?;
    seen.stdout.check_whole(numbers)
}

async fn empty(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place.sh("true").await?;
    seen.exited(0)?;
    ensure(
        seen.stdout.is_empty() && seen.stderr.is_empty(),
        || "there is output",
    )?;
    let ended = seen.ended.unwrap_or_default();
    let bytes = ended.stdout.map(|totals| totals.bytes);
    same("ended.stdout.bytes", bytes, Some(0))
}

async fn untouched(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let octal: String = (0..=255).map(|byte| format!("\\{byte:03o}")).collect();
    let seen = place.sh(format!("printf '{octal}'")).await?;
    let due: Vec<u8> = (0..=255).collect();
    same("all 256 bytes", seen.stdout.bytes(), due)?;
    let text = "grüße, 世界 🦀\r\n\u{feff}no end of line";
    let seen = place.sh(format!("printf '%s' '{text}' >&2")).await?;
    same("UTF-8 on stderr", seen.stderr.text().as_str(), text)
}
