//! The result as Markdown.

use std::fmt::Write as _;

use super::{
    provider::CHUNK,
    rounds::{CALLS, CHUNKS, IN_FLIGHT},
    samples::Samples,
};
use crate::{
    config::{Figure, RunArgs},
    facts::version,
    spread::Spread,
};

/// The table, and how it was measured.
pub(crate) async fn render(measured: &[Samples], args: &RunArgs) -> String {
    let mut text = String::from(
        "| figure | direct | nginx | gateway | nginx / direct | gateway / direct | no worse than nginx | CPU of nginx | CPU of the gateway |\n\
         |---|---:|---:|---:|---|---|---|---:|---:|\n",
    );
    for samples in measured {
        row(&mut text, samples, args);
    }
    let rounds = measured.first().map_or(0, |samples| samples.rounds.len());
    let _ = writeln!(
        text,
        "\nMedians of {rounds} rounds; a ratio is taken within each round, in brackets its least and \
         most. nginx is {nginx} with {workers} worker(s).",
        nginx = version(&args.nginx, "-v").await,
        workers = args.nginx_workers,
    );
    text
}

fn row(text: &mut String, samples: &Samples, args: &RunArgs) {
    let absolute = |spread: Spread| match samples.figure {
        Figure::Latency => format!("{:.0} µs", spread.median),
        Figure::Rate => format!("{:.0} /s", spread.median),
        Figure::Stream => format!("{:.0} MB/s", spread.median),
    };
    let cpu = |spread: Spread| match samples.figure {
        Figure::Stream => format!("{:.0} µs/MB", spread.median),
        _ => format!("{:.0} µs", spread.median),
    };
    let ratio = |spread: Spread| {
        format!(
            "{:.2} ({:.2}–{:.2})",
            spread.median, spread.least, spread.most
        )
    };
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        name(samples.figure, args),
        absolute(samples.spread(|sample| sample.direct)),
        absolute(samples.spread(|sample| sample.nginx)),
        absolute(samples.spread(|sample| sample.gateway)),
        ratio(samples.nginx_ratio()),
        ratio(samples.gateway_ratio()),
        if samples.no_worse() { "yes" } else { "no" },
        cpu(samples.spread(|sample| sample.nginx_cpu)),
        cpu(samples.spread(|sample| sample.gateway_cpu)),
    );
}

fn name(figure: Figure, args: &RunArgs) -> String {
    match figure {
        Figure::Latency => format!("unary, p50 of {CALLS} calls, 1 at a time"),
        Figure::Rate => {
            format!(
                "unary, {IN_FLIGHT} in flight on {} connections",
                args.connections
            )
        }
        Figure::Stream => {
            let mib = CHUNKS as usize * CHUNK / (1024 * 1024);
            format!("stream of {mib} MiB in messages of {} KiB", CHUNK / 1024)
        }
    }
}
