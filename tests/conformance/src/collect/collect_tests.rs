//! The collector against streams that are right, and against every way to be wrong.

use bytes::Bytes;
use sandgate_proto::v1::{KeepAlive, OutputChunk, OutputGap, StartFailed};

use super::*;
use crate::numbers::Numbers;

fn started() -> Event {
    Event::Started(ExecutionStarted {
        sandbox_id: "s".to_owned(),
        execution_id: "e".to_owned(),
        attached: true,
        ..Default::default()
    })
}

fn chunk(channel: OutputChannel, offset: u64, data: &str) -> Event {
    Event::Output(OutputChunk {
        channel: channel.into(),
        offset,
        data: Bytes::from(data.to_owned()),
    })
}

fn out(offset: u64, data: &str) -> Event {
    chunk(OutputChannel::Stdout, offset, data)
}

fn gap(start: u64, end: u64, reason: &str) -> Event {
    Event::Gap(OutputGap {
        channel: OutputChannel::Stdout.into(),
        start_offset: start,
        end_offset: end,
        reason: reason.to_owned(),
    })
}

fn total(bytes: u64) -> Option<ChannelTotals> {
    Some(ChannelTotals {
        bytes,
        truncated: false,
    })
}

fn end(stdout: u64, stderr: u64) -> ExecutionEnded {
    ExecutionEnded {
        outcome: Some(Outcome::ExitCode(0)),
        stdout: total(stdout),
        stderr: total(stderr),
        end_time: Some(prost_types::Timestamp::default()),
        duration: Some(prost_types::Duration::default()),
        ..Default::default()
    }
}

fn ended(stdout: u64, stderr: u64) -> Event {
    Event::Ended(end(stdout, stderr))
}

fn truncated(stdout: u64) -> Event {
    let mut end = end(stdout, 0);
    end.stdout.as_mut().unwrap().truncated = true;
    Event::Ended(end)
}

fn snapshot(bytes: u64, running: bool) -> Event {
    Event::SnapshotEnd(SnapshotEnd {
        totals: Some(OutputTotals {
            stdout: total(bytes),
            stderr: total(0),
            terminal: None,
        }),
        running,
    })
}

fn collect(expect: Expect, events: Vec<Event>) -> Result<Collected, Failure> {
    let mut collector = Collector::new(expect);
    for event in events {
        collector.push(event)?;
    }
    collector.finish()
}

fn good(events: Vec<Event>) -> Collected {
    collect(Expect::default(), events).unwrap()
}

#[track_caller]
fn wrong(fault: &str, events: Vec<Event>) {
    wrong_for(Expect::default(), fault, events);
}

#[track_caller]
fn wrong_for(expect: Expect, fault: &str, events: Vec<Event>) {
    let seen = collect(expect, events).unwrap_err().to_string();
    assert!(seen.contains(fault), "{seen:?} does not say {fault:?}");
}

#[test]
fn a_right_stream_is_taken() {
    let alive = Event::KeepAlive(KeepAlive {});
    let seen = good(vec![
        started(),
        out(0, "ab"),
        chunk(OutputChannel::Stderr, 0, "x"),
        alive,
        out(2, "c"),
        ended(3, 1),
    ]);
    assert_eq!(seen.stdout.text(), "abc");
    assert_eq!(seen.stdout.pieces().len(), 1);
    assert_eq!(seen.stderr.text(), "x");
    seen.exited(0).unwrap();
    assert!(seen.exited(1).is_err());
    assert!(good(vec![started(), ended(0, 0)]).stdout.is_empty());
}

#[test]
fn started_is_first_and_once() {
    wrong("due was started", vec![out(0, "a")]);
    wrong("due was started", vec![ended(0, 0)]);
    wrong("twice", vec![started(), started()]);
    wrong("without a single event", vec![]);
}

#[test]
fn started_is_of_the_right_execution() {
    let known = |sandbox_id: &str, execution_id: &str, attached| Expect {
        sandbox_id: sandbox_id.to_owned(),
        execution_id: execution_id.to_owned(),
        attached: Some(attached),
        ..Expect::default()
    };
    collect(known("s", "e", true), vec![started(), ended(0, 0)]).unwrap();
    wrong_for(known("other", "e", true), "sandbox_id", vec![started()]);
    wrong_for(known("s", "other", true), "execution_id", vec![started()]);
    wrong_for(known("s", "e", false), "attached", vec![started()]);
}

#[test]
fn ended_is_last_and_once() {
    wrong(
        "after the last one: output",
        vec![started(), ended(0, 0), out(0, "a")],
    );
    wrong(
        "after the last one: ended",
        vec![started(), ended(0, 0), ended(0, 0)],
    );
    wrong("without `ended`", vec![started(), out(0, "a")]);
}

#[test]
fn bytes_come_exactly_once() {
    wrong("came twice", vec![started(), out(0, "ab"), out(1, "b")]);
    wrong("came twice", vec![started(), out(0, "ab"), out(0, "ab")]);
    wrong("left out", vec![started(), out(0, "ab"), out(3, "d")]);
    wrong("left out", vec![started(), out(1, "b")]);
    wrong("without bytes", vec![started(), out(0, "")]);
    wrong("64 KiB", vec![started(), out(0, &"x".repeat(65_537))]);
    good(vec![
        started(),
        out(0, &"x".repeat(65_536)),
        ended(65_536, 0),
    ]);
}

#[test]
fn a_gap_takes_the_place_of_bytes() {
    let seen = good(vec![
        started(),
        out(0, "ab"),
        gap(2, 10, "OUTPUT_LIMIT"),
        out(10, "c"),
        truncated(11),
    ]);
    assert_eq!(
        seen.stdout.outline(),
        ["0..2", "gap 2..10 OUTPUT_LIMIT", "10..11"]
    );
    assert!(seen.stdout.has_gap());
    wrong("holds nothing", vec![started(), gap(0, 0, "X")]);
    wrong("holds nothing", vec![started(), gap(5, 0, "X")]);
    wrong("without a reason", vec![started(), gap(0, 5, "")]);
    wrong("left out", vec![started(), gap(1, 5, "X")]);
    wrong("came twice", vec![started(), out(0, "ab"), gap(1, 5, "X")]);
    wrong("came twice", vec![started(), gap(0, 5, "X"), out(4, "e")]);
    wrong(
        "truncated",
        vec![started(), gap(0, 5, "DISK_FULL"), ended(5, 0)],
    );
}

#[test]
fn totals_are_the_bytes_received() {
    wrong(
        "ended.stdout.bytes",
        vec![started(), out(0, "ab"), ended(3, 0)],
    );
    wrong(
        "ended.stdout.bytes",
        vec![started(), out(0, "ab"), ended(1, 0)],
    );
    wrong("ended.stderr.bytes", vec![started(), ended(0, 7)]);
    let mut none = end(0, 0);
    none.stdout = None;
    wrong("lacks the totals", vec![started(), Event::Ended(none)]);
    let mut none = end(0, 0);
    (none.stdout, none.stderr) = (None, None);
    wrong("without totals", vec![started(), Event::Ended(none)]);
}

#[test]
fn an_end_is_complete() {
    let mut bare = end(0, 0);
    bare.outcome = None;
    wrong("without an outcome", vec![started(), Event::Ended(bare)]);
    let mut bare = end(0, 0);
    bare.end_time = None;
    wrong("end_time", vec![started(), Event::Ended(bare)]);
    let mut bare = end(0, 0);
    bare.duration = None;
    wrong("duration", vec![started(), Event::Ended(bare)]);
    let never_ran = ExecutionEnded {
        outcome: Some(Outcome::StartFailed(StartFailed::default())),
        end_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    };
    good(vec![started(), Event::Ended(never_ran)]);
}

#[test]
fn a_stream_begins_where_it_was_asked_to() {
    let from = |stdout| Expect {
        stdout,
        ..Expect::default()
    };
    collect(
        from(Begin::At(5)),
        vec![started(), out(5, "a"), ended(6, 0)],
    )
    .unwrap();
    collect(from(Begin::At(5)), vec![started(), ended(5, 0)]).unwrap();
    wrong_for(
        from(Begin::At(5)),
        "came twice",
        vec![started(), out(0, "a")],
    );
    wrong_for(from(Begin::At(5)), "left out", vec![started(), out(6, "a")]);
    wrong_for(from(Begin::At(5)), "bytes", vec![started(), ended(9, 0)]);
    let seen = collect(
        from(Begin::Anywhere),
        vec![started(), out(7, "a"), ended(8, 0)],
    )
    .unwrap();
    assert_eq!(seen.stdout.first(), Some(7));
    collect(from(Begin::Anywhere), vec![started(), ended(8, 0)]).unwrap();
    wrong_for(
        from(Begin::Anywhere),
        "left out",
        vec![started(), out(7, "a"), out(9, "a")],
    );
}

#[test]
fn a_snapshot_ends_only_a_snapshot() {
    let expect = Expect {
        snapshot: true,
        ..Expect::default()
    };
    let seen = collect(
        expect.clone(),
        vec![started(), out(0, "a"), snapshot(1, true)],
    )
    .unwrap();
    assert!(seen.outcome().is_err());
    wrong("follows", vec![started(), snapshot(0, true)]);
    wrong_for(
        expect.clone(),
        "running",
        vec![started(), snapshot(0, false)],
    );
    wrong_for(expect, "stdout.bytes", vec![started(), snapshot(2, true)]);
}

#[test]
fn a_channel_is_one_that_the_process_has() {
    let mixed = vec![
        started(),
        out(0, "a"),
        chunk(OutputChannel::Terminal, 0, "b"),
    ];
    wrong("terminal and on pipes", mixed);
    let mixed = vec![
        started(),
        chunk(OutputChannel::Terminal, 0, "b"),
        out(0, "a"),
    ];
    wrong("terminal and on pipes", mixed);
    wrong(
        "channel 0",
        vec![started(), chunk(OutputChannel::Unspecified, 0, "b")],
    );
    let mut end = end(0, 0);
    end.stderr = None;
    end.terminal = total(0);
    let events = vec![started(), out(0, "a"), Event::Ended(end)];
    wrong("bytes", events);
}

#[test]
fn bytes_are_compared_at_their_offsets() {
    let numbers = Numbers::lines(3);
    let text = "10000000\n10000001\n10000002\n";
    let whole = good(vec![started(), out(0, text), ended(27, 0)]);
    whole.stdout.check_whole(numbers).unwrap();
    assert!(whole.stdout.check_whole(Numbers::lines(4)).is_err());
    let cut = vec![
        started(),
        out(0, &text[..3]),
        gap(3, 20, "OUTPUT_LIMIT"),
        out(20, &text[20..]),
        truncated(27),
    ];
    let cut = good(cut);
    cut.stdout.check(numbers).unwrap();
    assert!(cut.stdout.check_whole(numbers).is_err());
    let shifted = good(vec![started(), out(0, &text[1..]), ended(26, 0)]);
    assert!(shifted.stdout.check(numbers).is_err());
}
