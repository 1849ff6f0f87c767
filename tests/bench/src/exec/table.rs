//! The results as Markdown.

use std::fmt::Write as _;

use super::{commands, creates, figure::Figure, files, idle, local, memory, phase::Measured};
use crate::{config::RunArgs, facts::version, spread::Spread};

/// A figure that is taken once: what a thing costs while it lasts.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Which.
    pub(super) figure: Figure,
    /// What it cost the gateway.
    pub(super) gateway: String,
    /// And the provider.
    pub(super) provider: String,
    /// And the runner in the sandbox.
    pub(super) runner: String,
    /// What another caller noticed.
    pub(super) bystander: String,
    /// Whether it is as good as is due; none where that is no number.
    pub(super) reached: Option<bool>,
}

/// Both tables, and how they were measured.
pub(super) async fn render(
    measured: &[Measured],
    kept: &[Kept],
    engine: &str,
    args: &RunArgs,
) -> String {
    let mut text = String::new();
    if !measured.is_empty() {
        text += "| figure | Sandgate | compared with | ratio | due | reached |\n\
                 |---|---:|---|---|---|---|\n";
    }
    for one in measured {
        row(&mut text, one);
    }
    if let Some(rounds) = measured.iter().map(|one| one.rounds.len()).min() {
        let _ = writeln!(
            text,
            "\nMedians of {rounds} rounds; a ratio is taken within each round, in brackets its \
             least and most.\n"
        );
    }
    if !kept.is_empty() {
        text += "| figure | gateway | provider | runner | another caller | due | reached |\n\
                 |---|---|---|---|---|---|---|\n";
    }
    for one in kept {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            name(one.figure),
            one.gateway,
            one.provider,
            one.runner,
            one.bystander,
            one.figure.due(),
            one.reached.map_or("", said),
        );
    }
    if !kept.is_empty() {
        text.push('\n');
    }
    let mut with = vec![version(&args.bwrap, "--version").await];
    if !engine.is_empty() {
        with.insert(0, format!("Docker Engine {engine}"));
    }
    let _ = writeln!(text, "Compared with: {}.", with.join(", "));
    text
}

fn row(text: &mut String, one: &Measured) {
    let ratio = one.ratio();
    let _ = writeln!(
        text,
        "| {} | {} | {} {} | {} {} | {} | {} |",
        name(one.figure),
        number(one.figure, one.ours()),
        other(one.figure),
        number(one.figure, one.other()),
        format_args!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.least, ratio.most),
        one.figure.ratio_means(),
        one.figure.due(),
        said(one.reached()),
    );
}

fn said(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}

fn number(figure: Figure, spread: Spread) -> String {
    let value = spread.median;
    match figure {
        Figure::InFlight | Figure::Containers => format!("{value:.0} /s"),
        Figure::Stdout | Figure::FileIn | Figure::FileOut => format!("{value:.0} MB/s"),
        Figure::Warm | Figure::Cold => format!("{value:.1} ms"),
        _ => format!("{value:.2} ms"),
    }
}

fn other(figure: Figure) -> &'static str {
    match figure {
        Figure::True | Figure::InFlight | Figure::Stdout => "Docker exec API:",
        Figure::FileIn | Figure::FileOut => "Docker archive API:",
        Figure::Containers => "1 container:",
        Figure::Warm => "cold:",
        Figure::Cold => "bare Docker API:",
        _ => "bubblewrap:",
    }
}

fn name(figure: Figure) -> String {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let in_flight = commands::IN_FLIGHT;
    match figure {
        Figure::True => format!("`true` in a container, p50 of {}", commands::CALLS[0]),
        Figure::InFlight => format!("`true`, {in_flight} in flight in 1 container"),
        Figure::Containers => {
            let containers = commands::CONTAINERS;
            format!("`true`, {in_flight} in flight over {containers} containers")
        }
        Figure::Stdout => format!("{} MiB of stdout", mib(commands::OUTPUT)),
        Figure::FileIn => format!("a file of {} MiB in", mib(files::FILE)),
        Figure::FileOut => format!("a file of {} MiB out", mib(files::FILE)),
        Figure::FileMemory => format!(
            "peak while a file of {} MiB goes in and out",
            mib(files::LARGE)
        ),
        Figure::Warm => format!("create, from a warm pool of {}", creates::POOL),
        Figure::Cold => "create, cold".to_owned(),
        Figure::Local => format!("`true` in a local sandbox, p50 of {}", local::CALLS),
        Figure::Idle => {
            let (streams, sandboxes) = (idle::STREAMS, idle::SANDBOXES);
            format!("growth with {streams} idle streams of {sandboxes} sandboxes")
        }
        Figure::Memory => format!(
            "peak while {} MiB of short lines are written, one reader reading and one not",
            mib(memory::OUTPUT)
        ),
    }
}
