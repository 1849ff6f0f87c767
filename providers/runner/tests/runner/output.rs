//! Output: complete, resumable, bounded, nobody waits for anybody.

use sandgate_runner_proto::v1::{Credit, Drop, Observe, Start, TerminalSize, ended::Outcome};

use crate::{
    client::{Ask, Said, Seen, all, observe, shell, start},
    program::Runner,
};

#[test]
fn both_channels_then_the_end() {
    let runner = Runner::start();
    let mut client = runner.client();
    let seen = client.shell("a", "echo out; echo err >&2; exit 7");
    assert_eq!(
        (seen.text(1), seen.text(2)),
        ("out\n".to_owned(), "err\n".to_owned())
    );
    assert_eq!(seen.outcome(), Outcome::ExitCode(7));
    let ended = seen.ended.unwrap();
    assert!(ended.truncated.is_empty() && ended.duration_ns > 0 && ended.ended_number == 1);
}

#[test]
fn resumes_at_an_offset_exactly_once() {
    let runner = Runner::start();
    let mut writer = runner.client();
    let line = "seq 1 200000";
    let call = writer.send(shell("a", line));
    let mut seen = Seen::default();
    // Six readers die at odd places; the next goes on there.
    for part in 0..6u64 {
        let mut client = runner.client();
        let call = client.send(observe(
            "a",
            Observe {
                stdout_offset: Some(seen.at[1]),
                ..all()
            },
        ));
        for _ in 0..=part {
            if seen.take(client.next(call)) {
                break;
            }
        }
    }
    let wanted = writer.follow(call);
    if seen.ended.is_none() {
        let call = writer.send(observe(
            "a",
            Observe {
                stdout_offset: Some(seen.at[1]),
                ..all()
            },
        ));
        seen = writer.follow_from(call, seen);
    }
    assert_eq!(wanted.bytes[1].len(), 1_288_895);
    assert!(seen.bytes[1] == wanted.bytes[1]);
    assert!(wanted.text(1).ends_with("\n199999\n200000\n"));
}

#[test]
fn a_reader_without_credit_slows_nobody() {
    let runner = Runner::start();
    let (mut slow, mut deaf, mut fast) = (runner.client(), runner.client(), runner.client());
    let line = "head -c 20000000 /dev/zero";
    let slow_call = slow.send(Ask::Start(Start {
        observe: Some(Observe {
            credit: 10,
            ..all()
        }),
        ..start("a", line)
    }));
    assert!(matches!(slow.next(slow_call), Said::Started(_)));
    // This one has credit but does not read.
    deaf.send(observe("a", all()));
    let call = fast.send(observe("a", all()));
    assert_eq!(fast.follow(call).bytes[1].len(), 20_000_000);
    let mut seen = Seen::default();
    while seen.at[1] < 10 {
        seen.take(slow.next(slow_call));
    }
    assert_eq!(seen.at[1], 10);
    slow.send_as(slow_call, Ask::Credit(Credit { bytes: 5 }));
    seen.take(slow.next(slow_call));
    assert_eq!(seen.at[1], 15);
    slow.send_as(slow_call, Ask::Credit(Credit { bytes: u64::MAX }));
    assert_eq!(slow.follow_from(slow_call, seen).bytes[1].len(), 20_000_000);
}

#[test]
fn a_ring_keeps_the_first_and_the_last() {
    let runner = Runner::with(&["--output-limit", "4194304"]);
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        observe: None,
        ..start("a", "seq 10000000 99999999 | head -c 536870912")
    }));
    assert!(matches!(client.next(call), Said::Started(_)));
    let begun = std::time::Instant::now();
    let look = sandgate_runner_proto::v1::Look {
        execution_id: "a".into(),
        wait_ms: 120_000,
    };
    client
        .stream
        .set_read_timeout(Some(std::time::Duration::from_secs(120)))
        .unwrap();
    assert!(matches!(client.ask(Ask::Look(look)), Said::Execution(_)));
    println!("512 MiB through a ring in {:?}", begun.elapsed());
    let call = client.send(observe("a", all()));
    let seen = client.follow(call);
    let gap = (
        1,
        1 << 20,
        (512 << 20) - (3 << 20),
        "OUTPUT_LIMIT".to_owned(),
    );
    assert_eq!(seen.gaps, [gap]);
    assert_eq!(seen.ended.as_ref().unwrap().truncated, [1]);
    assert!(seen.text(1).starts_with("10000000\n10000001\n"));
    let tail = seen.bytes[1].len() as u64;
    assert_eq!(tail, 4 << 20);
    // 59,652,323 whole lines of nine bytes are in 512 MiB.
    let text = seen.text(1);
    assert!(
        text.trim_end()
            .lines()
            .rev()
            .nth(1)
            .unwrap()
            .ends_with("69652322"),
        "{:?}",
        &text[text.len() - 40..]
    );
}

#[test]
fn all_executions_together_are_bounded() {
    let runner = Runner::with(&["--total-limit", "1000000"]);
    let mut client = runner.client();
    client.shell("a", "head -c 600000 /dev/zero");
    client.shell("b", "head -c 600000 /dev/zero");
    let call = client.send(observe("a", all()));
    let seen = client.follow(call);
    assert_eq!(seen.gaps, [(1, 0, 600_000, "SANDBOX_LIMIT".to_owned())]);
    assert_eq!(seen.outcome(), Outcome::ExitCode(0));
    let call = client.send(observe("b", all()));
    assert_eq!(client.follow(call).bytes[1].len(), 600_000);
}

#[test]
fn a_full_disk_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("spool");
    let runner = Runner::with(&["--spool-dir", missing.to_str().unwrap()]);
    std::fs::remove_dir(&missing).unwrap();
    let seen = runner
        .client()
        .shell("a", "head -c 300000 /dev/zero; echo end >&2");
    assert_eq!(seen.outcome(), Outcome::ExitCode(0));
    assert_eq!(seen.bytes[1].len(), 65_536);
    assert!(seen.gaps.iter().all(|gap| gap.3 == "DISK_FULL"));
    assert_eq!(seen.text(2), "end\n");
}

#[test]
fn snapshots_tails_and_wrong_offsets() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(shell("a", "echo 0123456789; sleep 60"));
    let mut seen = Seen::default();
    while seen.at[1] < 11 {
        seen.take(client.next(call));
    }
    let tail = client.send(observe(
        "a",
        Observe {
            follow: false,
            tail_bytes: Some(4),
            ..all()
        },
    ));
    let mut found = Seen::default();
    found.at[1] = 7;
    let found = client.follow_from(tail, found);
    assert!(found.snapshot);
    assert_eq!(found.text(1), "789\n");
    let refused = client.refused(observe(
        "a",
        Observe {
            stdout_offset: Some(12),
            ..all()
        },
    ));
    assert_eq!(
        (refused.reason.as_str(), refused.offset, refused.channel),
        ("OFFSET_OUT_OF_RANGE", 11, 1)
    );
    client.send_as(call, Ask::Drop(Drop {}));
    assert_eq!(client.refused(observe("b", all())).reason, "NOT_FOUND");
}

#[test]
fn daemons_hold_no_end_back_and_live_on() {
    let runner = Runner::start();
    let mut client = runner.client();
    let mark = runner.folder.path().join("mark");
    let line = format!(
        "(sleep 5; head -c 300000 /dev/zero && touch {}) & echo done",
        mark.display()
    );
    let begun = std::time::Instant::now();
    let seen = client.shell("a", &line);
    assert!(begun.elapsed().as_millis() < 4000, "{:?}", begun.elapsed());
    assert_eq!(seen.text(1), "done\n");
    crate::program::wait_until(|| mark.exists());
}

#[test]
fn a_terminal_has_one_channel() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        terminal: Some(TerminalSize { rows: 20, cols: 70 }),
        stdin_open: true,
        ..start("a", "stty size; read line; echo got $line; stty size")
    }));
    let mut seen = Seen::default();
    while !seen.text(3).contains("20 70") {
        assert!(!seen.take(client.next(call)));
    }
    let size = Some(TerminalSize { rows: 30, cols: 90 });
    let resize = sandgate_runner_proto::v1::Resize {
        execution_id: "a".into(),
        size,
    };
    assert!(client.delivered(Ask::Resize(resize)));
    let write = sandgate_runner_proto::v1::WriteStdin {
        execution_id: "a".into(),
        data: "word\n".into(),
        ..Default::default()
    };
    assert!(matches!(
        client.ask(Ask::WriteStdin(write)),
        Said::StdinAccepted(_)
    ));
    let seen = client.follow_from(call, seen);
    assert!(
        seen.text(3).contains("got word\r\n30 90\r\n"),
        "{}",
        seen.text(3)
    );
    assert_eq!(seen.outcome(), Outcome::ExitCode(0));
}
