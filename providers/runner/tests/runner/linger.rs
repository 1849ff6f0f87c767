//! Ends of all executions that the runner outlives for a while, and time that does not count.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use sandgate_runner_proto::v1::{
    Cancelled, List, Look, Observe, Shutdown, Start, TimedOut, ended::Outcome,
};

use crate::{
    client::{Ask, Client, Said, Seen, all, observe, shell, start},
    program::Runner,
};

/// Ends what runs, and stays for so many milliseconds.
fn close(linger_ms: u64) -> Ask {
    Ask::Shutdown(Shutdown {
        grace_ms: 100,
        by: "SANDBOX_STOPPED".to_owned(),
        linger_ms,
        only_if_idle_ms: 0,
    })
}

fn close_if_idle(only_if_idle_ms: u64) -> Ask {
    Ask::Shutdown(Shutdown {
        grace_ms: 100,
        linger_ms: 60_000,
        only_if_idle_ms,
        ..Shutdown::default()
    })
}

/// Starts what ignores TERM, and waits until it is up.
fn stubborn(client: &mut Client, id: &str) -> (u64, Seen) {
    let line = "trap '' TERM; echo up; sleep 300; sleep 300";
    let call = client.send(shell(id, line));
    let mut seen = Seen::default();
    while !seen.text(1).contains("up") {
        assert!(!seen.take(client.next(call)), "{seen:?}");
    }
    (call, seen)
}

fn cancelled() -> Outcome {
    let by = "SANDBOX_STOPPED".to_owned();
    Outcome::Cancelled(Cancelled { by })
}

#[test]
fn a_lingering_runner_tells_what_it_ended_and_starts_nothing() {
    let mut runner = Runner::start();
    let mut client = runner.client();
    let (call, seen) = stubborn(&mut client, "a");
    let mut other = runner.client();
    assert!(other.delivered(close(60_000)));
    // The answer came when the last one had ended.
    let look = Ask::Look(Look {
        execution_id: "a".to_owned(),
        wait_ms: 0,
    });
    let Said::Execution(found) = other.ask(look) else {
        panic!("no execution");
    };
    assert_eq!(found.ended.unwrap().outcome.unwrap(), cancelled());
    assert_eq!(client.follow_from(call, seen).outcome(), cancelled());
    for late in ["b", "c"] {
        let refused = client.refused(shell(late, "true"));
        assert_eq!(refused.reason, "SHUTTING_DOWN");
    }
    let mut fresh = runner.client();
    let Said::Listed(listed) = fresh.ask(Ask::List(List::default())) else {
        panic!("no list");
    };
    assert_eq!(listed.executions.len(), 1);
    let call = fresh.send(observe("a", all()));
    assert_eq!(fresh.follow(call).text(1), "up\n");
    assert!(fresh.delivered(close(60_000)), "once more");
    let begun = Instant::now();
    assert!(fresh.delivered(close(0)));
    assert!(runner.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn it_ends_when_it_has_lingered_and_at_term() {
    let mut runner = Runner::start();
    let begun = Instant::now();
    assert!(runner.client().delivered(close(1500)));
    assert!(runner.wait().success());
    let took = begun.elapsed();
    assert!((1400..8000).contains(&took.as_millis()), "{took:?}");

    let mut runner = Runner::start();
    assert!(runner.client().delivered(close(60_000)));
    runner.signal(Signal::TERM);
    let begun = Instant::now();
    assert!(runner.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn term_while_it_ends_them_shortens_the_grace() {
    let mut runner = Runner::with(&["--grace", "100"]);
    let mut client = runner.client();
    let (call, seen) = stubborn(&mut client, "a");
    let slow = Ask::Shutdown(Shutdown {
        grace_ms: 300_000,
        by: "SANDBOX_STOPPED".to_owned(),
        linger_ms: 60_000,
        only_if_idle_ms: 0,
    });
    runner.client().send(slow);
    sleep(Duration::from_millis(300));
    runner.signal(Signal::TERM);
    assert_eq!(client.follow_from(call, seen).outcome(), cancelled());
    assert!(runner.wait().success());
}

#[test]
fn what_is_not_idle_is_left_alone() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(shell("a", "read line; echo done"));
    assert!(matches!(client.next(call), Said::Started(_)));
    let (long, _) = stubborn(&mut client, "b");
    for idle in [1, 3_600_000] {
        assert_eq!(client.refused(close_if_idle(idle)).reason, "BUSY");
    }
    let snapshot = client.send(observe(
        "b",
        Observe {
            follow: false,
            ..all()
        },
    ));
    assert!(client.follow(snapshot).snapshot, "it still runs");
    client.send_as(long, Ask::Drop(sandgate_runner_proto::v1::Drop {}));
    let cancel = Ask::Cancel(sandgate_runner_proto::v1::Cancel {
        execution_id: "b".to_owned(),
        by: "USER".to_owned(),
    });
    assert!(client.delivered(cancel));
    let ended = client.send(observe("b", all()));
    client.follow(ended);
    // Nothing runs, but not for long enough.
    assert_eq!(client.refused(close_if_idle(60_000)).reason, "BUSY");
    assert!(client.shell("c", "true").ended.is_some());
    sleep(Duration::from_millis(60));
    assert!(client.delivered(close_if_idle(50)));
    assert_eq!(client.refused(shell("d", "true")).reason, "SHUTTING_DOWN");
}

#[test]
fn a_freeze_counts_against_no_timeout() {
    let runner = Runner::start();
    let mut client = runner.client();
    let begun = Instant::now();
    let call = client.send(Ask::Start(Start {
        timeout_ms: 3000,
        ..start("a", "sleep 300")
    }));
    assert!(matches!(client.next(call), Said::Started(_)));
    sleep(Duration::from_millis(500));
    runner.signal(Signal::STOP);
    sleep(Duration::from_secs(6));
    runner.signal(Signal::CONT);
    let thawed = Instant::now();
    let outcome = client.follow(call).outcome();
    assert_eq!(outcome, Outcome::TimedOut(TimedOut {}));
    // It had 2.5 s left; a wait of up to a second may have been under way.
    let (left, all) = (thawed.elapsed(), begun.elapsed());
    assert!((1000..6000).contains(&left.as_millis()), "{left:?}");
    assert!(all >= Duration::from_millis(7500), "{all:?}");
}
