//! The results as Markdown.

use std::fmt::Write as _;

use super::{
    exec::CALLS,
    figure::{FEW, Figure, due, reached},
    lease::{IN_FLIGHT, LOOKS},
    results::{Execs, Results, Work},
};
use crate::spread::Spread;

/// The tables, and how they were measured.
pub(super) fn render(results: &Results, sandboxes: u32) -> String {
    let mut text = String::new();
    if !results.execs.is_empty() {
        let _ = writeln!(
            text,
            "| Exec, 1 at a time | p50 with {FEW} | p50 with {sandboxes} | ratio | due | reached | p99 with {FEW} | p99 with {sandboxes} | ratio | looks meanwhile |\n\
             |---|---:|---:|---|---|---|---:|---:|---|---:|"
        );
        for execs in &results.execs {
            exec_row(&mut text, execs);
        }
        let _ = writeln!(
            text,
            "\nMedians of {} rounds, in each {CALLS} calls to each gateway, while the other stands \
             still; a ratio is taken within each round, in brackets its least and most.",
            results.execs[0].rounds.len()
        );
    }
    if !results.work.is_empty() {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        let _ = writeln!(
            text,
            "| with {sandboxes} in the store | gateway | compared with | ratio | CPU of the gateway | written |\n\
             |---|---:|---:|---|---:|---:|"
        );
        for work in &results.work {
            work_row(&mut text, work);
        }
        let rounds = results.work[0].rounds.len();
        let _ = writeln!(text, "\nMedians of {rounds} rounds.");
    }
    text
}

fn exec_row(text: &mut String, execs: &Execs) {
    let name = match execs.figure {
        Figure::Stopped => "all others stopped, nothing due",
        _ => "all running, each looked at every 200 s",
    };
    let ratio = execs.ratio(|turn| turn.p50);
    let _ = writeln!(
        text,
        "| {name} | {:.0} µs | {:.0} µs | {} | {} | {} | {:.2} ms | {:.2} ms | {} | {:.0} /s |",
        execs.spread(0, |turn| turn.p50).median,
        execs.spread(1, |turn| turn.p50).median,
        brackets(ratio),
        due(),
        if reached(ratio.median) {
            "yes"
        } else {
            "**no**"
        },
        execs.spread(0, |turn| turn.p99 / 1e3).median,
        execs.spread(1, |turn| turn.p99 / 1e3).median,
        brackets(execs.ratio(|turn| turn.p99)),
        execs.spread(1, |turn| turn.looks).median,
    );
}

fn work_row(text: &mut String, work: &Work) {
    let value = work.spread(|sample| sample.value).median;
    let beside = work.spread(|sample| sample.beside).median;
    let ratio = brackets(work.spread(|sample| sample.value / sample.beside));
    let cpu = work.spread(|sample| sample.cpu).median;
    let written = work.spread(|sample| sample.written / 1024.0).median;
    let _ = match work.figure {
        Figure::Looks => writeln!(
            text,
            "| {LOOKS} looks due at once | {value:.0} /s | the provider asked directly, {IN_FLIGHT} in flight: {beside:.0} /s | {ratio} | {cpu:.0} µs/look | {written:.1} KiB/look |"
        ),
        Figure::Reconcile => writeln!(
            text,
            "| comparing upstream and store | {value:.1} s | reading the provider's list: {beside:.1} s | {ratio} | {cpu:.0} µs/sandbox | {written:.1} KiB/sandbox |"
        ),
        _ => writeln!(
            text,
            "| a pass with nothing due | {value:.0} µs | with {FEW} in the store: {beside:.0} µs | {ratio} | {cpu:.0} µs/pass | {written:.1} KiB/pass |"
        ),
    };
}

fn brackets(spread: Spread) -> String {
    let (median, least, most) = (spread.median, spread.least, spread.most);
    format!("{median:.2} ({least:.2}–{most:.2})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::results::{Sample, Turn};

    #[test]
    fn the_p50_of_an_exec_is_judged_and_nothing_else() {
        let turn = |p50, p99| Turn {
            p50,
            p99,
            looks: 500.0,
        };
        let of = |figure, many| Execs {
            figure,
            rounds: vec![[turn(500.0, 1000.0), many]],
        };
        let results = Results {
            execs: vec![
                of(Figure::Stopped, turn(600.0, 9000.0)),
                of(Figure::Running, turn(605.0, 1000.0)),
            ],
            work: vec![Work {
                figure: Figure::Looks,
                rounds: vec![Sample {
                    value: 1000.0,
                    beside: 4000.0,
                    cpu: 300.0,
                    written: 2048.0,
                }],
            }],
        };
        let text = render(&results, 100_000);
        let rows: Vec<_> = text.lines().collect();
        let yes = "600 µs | 1.20 (1.20–1.20) | ≤ 1.2 | yes | 1.00 ms | 9.00 ms |";
        assert!(rows[2].contains(yes), "{text}");
        assert!(
            rows[3].contains("| 1.21 (1.21–1.21) | ≤ 1.2 | **no** |"),
            "{text}"
        );
        let looks = "4000 /s | 0.25 (0.25–0.25) | 300 µs/look | 2.0 KiB/look |";
        assert!(rows[9].ends_with(looks), "{text}");
    }
}
