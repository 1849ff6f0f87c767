//! Callers that break the rules harm themselves only.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use sandgate_runner_proto::v1::{Hello, List, Start};

use crate::{
    client::{Ask, Client, Said, all, observe, start},
    program::Runner,
};

#[test]
fn garbage_ends_its_own_connection_only() {
    let runner = Runner::start();
    let mut good = runner.client();
    let call = good.send(Ask::Start(start("a", "sleep 0.3; echo fine")));
    for garbage in [
        &b"\xff\xff\xff\xff\xff"[..],
        b"\x05hello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00",
    ] {
        let mut bad = Client::silent(&runner.socket());
        bad.stream.write_all(garbage).unwrap();
        if let Some(frame) = bad.read() {
            assert!(
                matches!(frame.body, Some(Said::Refused(refused)) if refused.reason == "MALFORMED")
            );
            assert!(bad.read().is_none());
        }
        let mut late = runner.client();
        late.stream.write_all(garbage).unwrap();
        drop(late);
    }
    assert_eq!(good.follow(call).text(1), "fine\n");
}

#[test]
fn hello_comes_first_and_once() {
    let runner = Runner::start();
    let mut client = Client::silent(&runner.socket());
    assert_eq!(
        client.refused(Ask::List(List::default())).reason,
        "MALFORMED"
    );
    assert!(client.read().is_none());
    let mut client = runner.client();
    assert_eq!(
        client.refused(Ask::Hello(Hello::default())).reason,
        "MALFORMED"
    );
    client.send_as(77, Ask::List(List::default()));
    assert!(matches!(client.next(77), Said::Listed(_)));
}

#[test]
fn a_request_from_the_future_is_refused_and_no_more() {
    let runner = Runner::start();
    let mut client = runner.client();
    // Call 9, and field 200 that nobody knows.
    client
        .stream
        .write_all(&[7, 0x08, 9, 0xc2, 0x0c, 2, 8, 1])
        .unwrap();
    assert!(
        matches!(client.next(9), Said::Refused(refused) if refused.reason == "UNKNOWN_REQUEST")
    );
    assert_eq!(client.shell("a", "echo on").text(1), "on\n");
}

#[test]
fn sandboxes_and_generations_must_agree() {
    let runner = Runner::with(&["--sandbox", "s1", "--generation", "4"]);
    let hello = |id: &str, generation| Hello {
        sandbox_id: id.to_owned(),
        generation,
        ..Hello::default()
    };
    for (said, refused) in [
        (hello("s1", 4), None),
        (hello("s1", 5), Some("OTHER_SANDBOX")),
        (hello("s2", 4), Some("OTHER_SANDBOX")),
    ] {
        let found = Client::silent(&runner.socket()).hello(said);
        assert_eq!(
            found.as_ref().err().map(|refused| &refused.reason[..]),
            refused
        );
        if let Ok(welcome) = found {
            assert_eq!(
                (&welcome.sandbox_id[..], welcome.generation, welcome.version),
                ("s1", 4, 1)
            );
            assert_eq!(welcome.boot_id.len(), 36);
        }
    }
}

#[test]
fn bad_starts_are_refused() {
    let runner = Runner::start();
    let mut client = runner.client();
    for bad in [
        start("", "true"),
        start("..", "true"),
        start("a/b", "true"),
        Start {
            argv: vec![],
            ..start("a", "")
        },
        Start {
            argv: vec!["a\0b".into()],
            ..start("a", "")
        },
        Start {
            env: vec!["NO".into()],
            ..start("a", "")
        },
        Start {
            cwd: "here".to_owned(),
            ..start("a", "")
        },
        Start {
            facts: vec![0; 20_000].into(),
            ..start("a", "")
        },
    ] {
        assert_eq!(client.refused(Ask::Start(bad)).reason, "MALFORMED");
    }
}

#[test]
fn one_that_asks_and_never_reads_stops_nobody() {
    let runner = Runner::start();
    let mut good = runner.client();
    good.shell("a", "head -c 5000000 /dev/zero");
    let mut bad = runner.client();
    bad.stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let before = runner.resident();
    let mut bytes = Vec::new();
    for call in 0..2000 {
        let Ask::Observe(observe) = observe("a", all()) else {
            unreachable!()
        };
        let frame = sandgate_runner_proto::v1::ToRunner {
            call,
            body: Some(Ask::Observe(observe)),
        };
        sandgate_runner_proto::put_frame(&frame, &mut bytes);
    }
    for _ in 0..100 {
        if bad.stream.write_all(&bytes).is_err() {
            break;
        }
    }
    assert_eq!(good.shell("b", "echo on").text(1), "on\n");
    let grown = runner.resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn too_many_connections_are_not_taken() {
    let runner = Runner::start();
    let clients: Vec<_> = (0..64).map(|_| runner.client()).collect();
    let mut more = Client::silent(&runner.socket());
    assert!(more.read().is_none());
    drop(clients);
    crate::program::wait_until(|| {
        let mut client = Client::silent(&runner.socket());
        let hello = Ask::Hello(Hello {
            highest_version: 1,
            ..Hello::default()
        });
        client.send(hello);
        matches!(client.stream.read(&mut [0]), Ok(1))
    });
}
