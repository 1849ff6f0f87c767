//! Many at once, in little memory.

use std::time::{Duration, Instant};

use sandgate_runner_proto::v1::{Look, Start, TerminalSize};

use crate::{
    client::{Ask, Said, all, observe, shell, start},
    program::Runner,
};

#[test]
fn a_hundred_at_once() {
    let runner = Runner::start();
    let mut client = runner.client();
    let begun = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|id| {
            (
                id,
                client.send(shell(
                    &id.to_string(),
                    &format!("echo {id}; head -c 100000 /dev/zero"),
                )),
            )
        })
        .collect();
    for (id, call) in calls {
        let seen = client.follow(call);
        assert_eq!(seen.bytes[1].len(), 100_000 + id.to_string().len() + 1);
        assert!(seen.text(1).starts_with(&format!("{id}\n")));
    }
    println!("100 at once in {:?}", begun.elapsed());
}

#[test]
fn short_ones_are_quick() {
    let runner = Runner::start();
    let mut client = runner.client();
    let mut times = Vec::new();
    for id in 0..200 {
        let begun = Instant::now();
        let start = Start {
            argv: vec!["/bin/true".into()],
            ..start(&id.to_string(), "")
        };
        let call = client.send(Ask::Start(start));
        client.follow(call);
        times.push(begun.elapsed());
    }
    times.sort();
    println!("one `true`: {:?} at the median", times[100]);
}

/// Whatever was open, blocked or left behind: nothing to do costs nothing.
#[test]
fn an_idle_runner_sleeps() {
    let runner = Runner::start();
    let (mut client, mut deaf) = (runner.client(), runner.client());
    let terminal = Some(TerminalSize { rows: 24, cols: 80 });
    for (id, line, terminal) in [
        ("a", "exec <&-; sleep 300", None),
        ("b", "exec >&- 2>&-; sleep 300", None),
        ("c", "sleep 300 & exit", None),
        ("d", "sleep 300", terminal),
        ("e", "sleep 300 & exit", terminal),
        ("f", "cat", terminal),
    ] {
        let stdin = vec![b'x'; 100_000].into();
        let start = Start {
            stdin,
            stdin_open: id != "f",
            terminal,
            ..start(id, line)
        };
        let call = client.send(Ask::Start(start));
        assert!(matches!(client.next(call), Said::Started(_)));
    }
    client.shell("g", "head -c 3000000 /dev/zero");
    deaf.send(observe("g", all()));
    std::thread::sleep(Duration::from_millis(300));
    let before = runner.ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        runner.ticks() - before < 10,
        "{} of 50 ticks",
        runner.ticks() - before
    );
}

#[test]
fn idle_observers_are_cheap() {
    let runner = Runner::start();
    let mut clients: Vec<_> = (0..10).map(|_| runner.client()).collect();
    clients[0].send(Ask::Start(Start {
        stdin_open: true,
        observe: None,
        ..start("a", "read x; echo woken")
    }));
    // Waits until it is there.
    let look = Look {
        execution_id: "a".to_owned(),
        wait_ms: 50,
    };
    assert!(matches!(
        clients[0].ask(Ask::Look(look)),
        Said::Execution(_)
    ));
    let before = runner.resident();
    let calls: Vec<Vec<u64>> = clients
        .iter_mut()
        .map(|client| {
            (0..1000)
                .map(|_| {
                    let call = client.send(observe("a", all()));
                    assert!(matches!(client.next(call), Said::Started(_)));
                    call
                })
                .collect()
        })
        .collect();
    let grown = runner.resident() - before;
    println!("10,000 idle observers: {grown} KiB");
    assert!(grown < 8 * 1024, "{grown} KiB");
    let write = sandgate_runner_proto::v1::WriteStdin {
        execution_id: "a".to_owned(),
        data: "x\n".into(),
        ..Default::default()
    };
    clients[0].send(Ask::WriteStdin(write));
    for (client, calls) in clients.iter_mut().zip(calls) {
        for call in calls {
            assert_eq!(client.follow(call).text(1), "woken\n");
        }
    }
}
