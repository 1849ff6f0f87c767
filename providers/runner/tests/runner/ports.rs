//! Connections to ports, over connections that were handed over.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandgate_runner_proto::v1::{Connect, Hello, ended::Outcome};

use crate::{
    client::{Ask, Client, Said, shell},
    program::{PROGRAM, Runner, wait_until},
};

fn listener() -> (TcpListener, u32) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port.into())
}

/// A stream to a port, and what is at its other end.
fn connected(runner: &Runner) -> (UnixStream, TcpStream) {
    let (listener, port) = listener();
    let mut client = runner.client();
    assert!(client.delivered(Ask::Connect(Connect { port })));
    (client.stream, listener.accept().unwrap().0)
}

#[test]
fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let runner = Runner::start();
    let (mut near, mut far) = connected(&runner);
    near.write_all(b"ping").unwrap();
    let mut bytes = [0; 4];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
    near.shutdown(Shutdown::Write).unwrap();
    assert_eq!(far.read(&mut bytes).unwrap(), 0);
    far.write_all(b"late answer").unwrap();
    drop(far);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert_eq!(text, "late answer");
}

#[test]
fn the_port_may_end_first() {
    let runner = Runner::start();
    let (mut near, mut far) = connected(&runner);
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(near.read(&mut [0; 4]).unwrap(), 0);
    near.write_all(b"still heard").unwrap();
    drop(near);
    let mut text = String::new();
    far.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still heard");
}

#[test]
fn ipv6_is_tried_where_ipv4_is_not_listened_to() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        panic!("this machine has no ::1");
    };
    let port = listener.local_addr().unwrap().port().into();
    let runner = Runner::start();
    assert!(runner.client().delivered(Ask::Connect(Connect { port })));
    assert!(listener.accept().unwrap().1.is_ipv6());
}

#[test]
fn where_nothing_listens_it_is_refused_and_over() {
    let runner = Runner::start();
    let (closed, port) = listener();
    drop(closed);
    let mut client = runner.client();
    let refusal = client.refused(Ask::Connect(Connect { port }));
    assert_eq!(refusal.reason, "NOT_LISTENING");
    assert!(client.read().is_none());
    for port in [0, 65_536, u32::MAX] {
        let mut client = runner.client();
        let refusal = client.refused(Ask::Connect(Connect { port }));
        assert_eq!(refusal.reason, "MALFORMED");
        // That one was not handed over.
        assert_eq!(client.shell("a", "true").outcome(), Outcome::ExitCode(0));
    }
}

/// Bytes that no two places have alike.
fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn much_goes_both_ways_at_once_whole() {
    let runner = Runner::start();
    let (near, far) = connected(&runner);
    let bytes = pattern(32 << 20);
    let give = |mut to: Box<dyn Write + Send>, end: Box<dyn Fn() + Send>| {
        let bytes = &bytes;
        move || {
            to.write_all(bytes).unwrap();
            end();
        }
    };
    let (into, out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let end_near = into.try_clone().unwrap();
    let end_far = out.try_clone().unwrap();
    thread::scope(|scope| {
        let end = move || end_near.shutdown(Shutdown::Write).unwrap();
        scope.spawn(give(Box::new(into), Box::new(end)));
        let end = move || end_far.shutdown(Shutdown::Write).unwrap();
        scope.spawn(give(Box::new(out), Box::new(end)));
        for mut from in [Box::new(near) as Box<dyn Read + Send>, Box::new(far)] {
            let bytes = &bytes;
            scope.spawn(move || {
                let mut came = Vec::new();
                from.read_to_end(&mut came).unwrap();
                assert!(came == *bytes);
            });
        }
    });
}

#[test]
fn who_does_not_read_holds_up_nobody_and_takes_little_memory() {
    let runner = Runner::start();
    let stuck: Vec<_> = (0..100).map(|_| connected(&runner)).collect();
    let before = runner.resident();
    for (_, far) in &stuck {
        far.set_nonblocking(true).unwrap();
    }
    // As much as goes in.
    let mut room = 100;
    while room > 0 {
        room = 0;
        for (_, far) in &stuck {
            while (&*far).write(&[7; 64 * 1024]).is_ok() {
                room += 1;
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    let (mut near, mut far) = connected(&runner);
    near.write_all(b"x").unwrap();
    far.read_exact(&mut [0]).unwrap();
    assert_eq!(
        runner.client().shell("b", "true").outcome(),
        Outcome::ExitCode(0)
    );
    let more = runner.resident().saturating_sub(before);
    assert!(more < 16 * 1024, "{more} KiB for 100 connections");
}

#[test]
fn there_is_a_most_of_them_and_room_again() {
    let limit = Rlimit {
        current: Some(4096),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let runner = Runner::start();
    let mut held: Vec<_> = (0..512).map(|_| connected(&runner)).collect();
    let (_listener, port) = listener();
    let refusal = runner.client().refused(Ask::Connect(Connect { port }));
    assert_eq!(refusal.reason, "TOO_MANY_CONNECTIONS");
    held.pop();
    wait_until(|| {
        matches!(
            runner.client().ask(Ask::Connect(Connect { port })),
            Said::Done(_)
        )
    });
}

#[test]
fn a_provider_that_goes_away_ends_it() {
    let runner = Runner::start();
    let (near, mut far) = connected(&runner);
    drop(near);
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
    // Neither says anything more: only the kernel tells that nobody reads.
    wait_until(|| far.write(&[1]).is_err());
}

#[test]
fn bytes_that_flow_are_activity_and_a_silent_connection_is_none() {
    let runner = Runner::start();
    let (mut near, mut far) = connected(&runner);
    let idle = || {
        let mut client = Client::silent(&runner.socket());
        client.hello(Hello::default()).unwrap().idle_ms
    };
    thread::sleep(Duration::from_millis(400));
    assert!(idle() >= 400);
    near.write_all(b"x").unwrap();
    far.read_exact(&mut [0]).unwrap();
    // It is noted a moment after it came through.
    wait_until(|| idle() < 300);
}

#[test]
fn a_bridge_passes_on_the_end_of_its_input() {
    let runner = Runner::start();
    let (listener, port) = listener();
    let mut bridge = std::process::Command::new(PROGRAM)
        .args(["bridge", "--socket"])
        .arg(runner.socket())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let streams = Both(bridge.stdout.take().unwrap(), bridge.stdin.take().unwrap());
    let mut client = Client::over(streams);
    client.hello(Hello::default()).unwrap();
    assert!(client.delivered(Ask::Connect(Connect { port })));
    let (mut far, _): (TcpStream, SocketAddr) = listener.accept().unwrap();
    let Both(mut output, mut input) = client.stream;
    input.write_all(b"question").unwrap();
    drop(input);
    let mut text = String::new();
    far.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    far.write_all(b"answer").unwrap();
    drop(far);
    text.clear();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert!(bridge.wait().unwrap().success());
}

/// Two pipes as one stream.
struct Both(std::process::ChildStdout, std::process::ChildStdin);

impl Read for Both {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.1.flush()
    }
}

#[test]
fn one_that_watches_something_is_not_handed_over() {
    let runner = Runner::start();
    let (_listener, port) = listener();
    let mut client = runner.client();
    let call = client.send(shell("c", "sleep 100"));
    assert!(matches!(client.next(call), Said::Started(_)));
    client.send(Ask::Connect(Connect { port }));
    assert!(client.read().is_none());
}
