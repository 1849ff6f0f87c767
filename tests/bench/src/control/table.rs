//! The result as Markdown.

use std::fmt::Write as _;

use super::{
    caller::Calls,
    figure::Figure,
    fill::{ORGANISATIONS, SESSIONS, USERS},
    results::Measured,
    rounds::{CALLS, TURN},
};

/// The table, and how it was measured.
pub(super) fn render(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| unary call, 1 at a time | p50 | more than with one session | due | reached |\n\
         |---|---:|---|---|---|\n",
    );
    let few = measured.iter().find(|one| one.calls == Calls::Few);
    for one in measured {
        row(&mut text, one, few);
    }
    let rounds = measured.first().map_or(0, |one| one.rounds.len());
    let _ = writeln!(
        text,
        "\nMedians of {rounds} rounds, in each the p50 of {CALLS} calls of each kind, which take \
         turns of {TURN}; a difference is taken within each round, in brackets its least and most. \
         Many: {SESSIONS} sessions with a running sandbox each, of {USERS} users of \
         {ORGANISATIONS} organisations."
    );
    text
}

fn row(text: &mut String, one: &Measured, few: Option<&Measured>) {
    let (mut added, mut due, mut reached) = (String::new(), "", "");
    if let (Calls::Many(figure), Some(few)) = (one.calls, few) {
        let spread = one.added_to(few);
        let (median, least, most) = (spread.median, spread.least, spread.most);
        added = format!("{median:+.0} µs ({least:+.0} to {most:+.0})");
        due = figure.due();
        reached = match figure.reached(median) {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
    }
    let _ = writeln!(
        text,
        "| {} | {:.0} µs | {added} | {due} | {reached} |",
        name(one.calls),
        one.time().median,
    );
}

fn name(calls: Calls) -> &'static str {
    match calls {
        Calls::Direct => "directly to the provider",
        Calls::Few => "one session, no key",
        Calls::Many(Figure::Cached) => "many sessions, an API key, always the same sandbox",
        Calls::Many(Figure::Uncached) => {
            "many sessions, an API key, another sandbox with every call"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_among_many_sessions_are_judged() {
        let of = |calls, time| Measured {
            calls,
            rounds: vec![time],
        };
        let text = render(&[
            of(Calls::Direct, 100.0),
            of(Calls::Few, 200.0),
            of(Calls::Many(Figure::Cached), 231.0),
            of(Calls::Many(Figure::Uncached), 400.0),
        ]);
        let rows: Vec<_> = text.lines().skip(2).take(4).collect();
        assert!(rows[0].ends_with("| 100 µs |  |  |  |"), "{text}");
        assert!(rows[1].ends_with("| 200 µs |  |  |  |"), "{text}");
        let judged = "| 231 µs | +31 µs (+31 to +31) | ≤ 30 µs | **no** |";
        assert!(rows[2].ends_with(judged), "{text}");
        assert!(
            rows[3].ends_with("| 400 µs | +200 µs (+200 to +200) |  |  |"),
            "{text}"
        );
    }
}
