//! Ends: own, by timeout, by cancel, by signal, of the runner; always the whole tree.

use std::time::Instant;

use sandgate_runner_proto::v1::{
    Cancel, Cancelled, Drop, Observe, Shutdown, Signal, Signaled, Start, StartFailed, TimedOut,
    ended::Outcome,
};

use crate::{
    client::{Ask, Said, Seen, all, observe, shell, start},
    program::{Runner, lives, wait_until},
};

/// A shell line that leaves a process in a session of its own which ignores TERM, says its pid, and
/// goes on.
const ESCAPE: &str = "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 300' &\n";

/// Reads until the first line is there.
fn first_line(client: &mut crate::client::Client, call: u64, seen: &mut Seen) -> String {
    while !seen.text(1).contains('\n') {
        assert!(!seen.take(client.next(call)), "{seen:?}");
    }
    seen.text(1).lines().next().unwrap().to_owned()
}

fn cancel(id: &str) -> Ask {
    Ask::Cancel(Cancel {
        execution_id: id.to_owned(),
        by: "USER".to_owned(),
    })
}

fn cancelled(by: &str) -> Outcome {
    Outcome::Cancelled(Cancelled { by: by.to_owned() })
}

fn signal(id: &str, signal_id: &str, signal: i32) -> Ask {
    let (execution_id, signal_id) = (id.to_owned(), signal_id.to_owned());
    Ask::Signal(Signal {
        execution_id,
        signal_id,
        signal,
        tree: false,
    })
}

#[test]
fn a_timeout_ends_the_whole_tree() {
    let runner = Runner::with(&["--grace", "100"]);
    let mut client = runner.client();
    let line = format!("{ESCAPE} trap 'exit 0' TERM; while :; do sleep 0.05; done");
    let call = client.send(Ask::Start(Start {
        timeout_ms: 300,
        ..start("a", &line)
    }));
    let mut seen = Seen::default();
    let pid = first_line(&mut client, call, &mut seen);
    assert!(lives(&pid));
    let seen = client.follow_from(call, seen);
    assert_eq!(seen.outcome(), Outcome::TimedOut(TimedOut {}));
    assert!(!lives(&pid), "{pid}");
}

#[test]
fn a_timeout_that_is_not_reached_says_nothing() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(Ask::Start(Start {
        timeout_ms: 10_000,
        ..start("a", "exit 124")
    }));
    assert_eq!(client.follow(call).outcome(), Outcome::ExitCode(124));
}

#[test]
fn a_cancel_kills_what_ignores_term() {
    let runner = Runner::with(&["--grace", "100"]);
    let mut client = runner.client();
    let call = client.send(shell(
        "a",
        &format!("trap '' TERM; {ESCAPE} sleep 300; sleep 300"),
    ));
    let mut seen = Seen::default();
    let pid = first_line(&mut client, call, &mut seen);
    assert!(client.delivered(cancel("a")));
    let seen = client.follow_from(call, seen);
    assert_eq!(seen.outcome(), cancelled("USER"));
    assert!(!lives(&pid));
    assert!(!client.delivered(cancel("a")));
    assert_eq!(client.refused(cancel("b")).reason, "NOT_FOUND");
}

#[test]
fn an_observer_that_goes_away_may_cancel() {
    let runner = Runner::start();
    let mut watcher = runner.client();
    for (id, drops) in [("a", true), ("b", false)] {
        let mut client = runner.client();
        let start = Start {
            cancel_on_disconnect: true,
            ..start(id, "sleep 300")
        };
        let call = client.send(Ask::Start(start));
        assert!(matches!(client.next(call), Said::Started(_)));
        if drops {
            client.send_as(call, Ask::Drop(Drop {}));
        } else {
            drop(client);
        }
        let call = watcher.send(observe(id, all()));
        assert_eq!(watcher.follow(call).outcome(), cancelled("DISCONNECT"));
    }
}

#[test]
fn signals_have_effect_once() {
    let runner = Runner::start();
    let mut client = runner.client();
    let line = "trap 'echo hit' USR1; echo ready; while [ ! -e go ]; do sleep 0.01; done";
    let cwd = runner.folder.path().to_str().unwrap().to_owned();
    let call = client.send(Ask::Start(Start {
        cwd,
        ..start("a", line)
    }));
    let mut seen = Seen::default();
    first_line(&mut client, call, &mut seen);
    for signal_id in ["x", "x", "x", "y"] {
        assert!(client.delivered(signal("a", signal_id, libc_usr1())));
        let hits = |seen: &Seen| seen.text(1).matches("hit").count();
        let wanted = if signal_id == "y" { 2 } else { 1 };
        while hits(&seen) < wanted {
            seen.take(client.next(call));
        }
    }
    std::fs::write(runner.folder.path().join("go"), "").unwrap();
    let seen = client.follow_from(call, seen);
    assert_eq!(seen.text(1), "ready\nhit\nhit\n");
    assert!(!client.delivered(signal("a", "z", 9)));
    assert_eq!(client.refused(signal("a", "", 65)).reason, "MALFORMED");
}

fn libc_usr1() -> i32 {
    rustix::process::Signal::USR1.as_raw()
}

#[test]
fn a_signal_is_the_outcome_of_whom_it_ends() {
    let runner = Runner::start();
    let mut client = runner.client();
    let call = client.send(shell("a", "sleep 300"));
    assert!(client.delivered(signal("a", "", 9)));
    let outcome = client.follow(call).outcome();
    assert_eq!(
        outcome,
        Outcome::Signaled(Signaled {
            signal: 9,
            oom_killed: false
        })
    );
}

#[test]
fn what_cannot_start_says_why() {
    let runner = Runner::start();
    let mut client = runner.client();
    let nowhere = Start {
        argv: vec!["no-such-program".into()],
        ..start("a", "")
    };
    let no_folder = Start {
        cwd: "/no/such/folder".to_owned(),
        ..start("b", "true")
    };
    let nobody = Start {
        user: "no-such-user".to_owned(),
        ..start("c", "true")
    };
    for (start, wanted) in [
        (nowhere, "PROGRAM_NOT_FOUND"),
        (no_folder, "CWD_NOT_FOUND"),
        (nobody, "USER_NOT_FOUND"),
    ] {
        let call = client.send(Ask::Start(start));
        let Outcome::StartFailed(StartFailed { reason, message }) = client.follow(call).outcome()
        else {
            panic!("{wanted}");
        };
        assert_eq!(reason, wanted);
        assert!(!message.is_empty());
    }
}

#[test]
fn shutdown_ends_all_and_says_so() {
    let mut runner = Runner::with(&["--grace", "100"]);
    let mut client = runner.client();
    let calls: Vec<u64> = (0..5)
        .map(|id| {
            client.send(shell(
                &id.to_string(),
                "trap '' TERM; echo up; sleep 300; sleep 300",
            ))
        })
        .collect();
    let mut first = Seen::default();
    first_line(&mut client, calls[0], &mut first);
    let begun = Instant::now();
    let shutdown = Shutdown {
        grace_ms: 50,
        by: "DELETE".to_owned(),
        ..Shutdown::default()
    };
    assert!(client.delivered(Ask::Shutdown(shutdown)));
    assert_eq!(
        client.refused(shell("late", "true")).reason,
        "SHUTTING_DOWN"
    );
    for (at, call) in calls.into_iter().enumerate() {
        let seen = if at == 0 {
            std::mem::take(&mut first)
        } else {
            Seen::default()
        };
        assert_eq!(
            client.follow_from(call, seen).outcome(),
            cancelled("DELETE")
        );
    }
    assert!(runner.wait().success());
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
}

#[test]
fn term_ends_the_runner_and_what_was_left_behind() {
    let mut runner = Runner::start();
    let mut client = runner.client();
    let seen = client.shell("a", &format!("{ESCAPE} sleep 0.2"));
    let pid = seen.text(1);
    assert!(lives(&pid));
    runner.signal(rustix::process::Signal::TERM);
    assert!(runner.wait().success());
    wait_until(|| !lives(&pid));
}

#[test]
fn attaching_watches_the_same_process() {
    let runner = Runner::start();
    let mut client = runner.client();
    let first = client.shell("a", "echo $$");
    let fingerprint: bytes::Bytes = "other".into();
    let call = client.send(shell("a", "echo $$"));
    assert!(matches!(client.next(call), Said::Started(started) if started.attached));
    assert_eq!(client.follow(call).text(1), first.text(1));
    let other = Start {
        fingerprint,
        ..start("a", "echo $$")
    };
    assert_eq!(client.refused(Ask::Start(other)).reason, "ID_REUSED");
    let unwatched = Start {
        observe: None,
        ..start("b", "true")
    };
    assert!(
        matches!(client.ask(Ask::Start(unwatched)), Said::Started(started) if !started.attached)
    );
    let past = Start {
        observe: Some(Observe {
            stdout_offset: Some(1),
            ..all()
        }),
        ..start("c", "true")
    };
    assert_eq!(
        client.refused(Ask::Start(past)).reason,
        "OFFSET_OUT_OF_RANGE"
    );
    assert_eq!(client.refused(observe("c", all())).reason, "NOT_FOUND");
}
