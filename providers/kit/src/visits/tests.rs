//! The desk, with visits that the test plays.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, TO_RUNNER_BYTES, VISIT_FILE, VISIT_VARIABLE, put_frame,
    v1::{
        Credit, Done, Drop as DropCall, Ended, FromRunner, Hello, List, Look, Observe, Output,
        Signal, Start, Started, ToRunner, Welcome, WriteStdin, from_runner, to_runner::Body,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
    time::timeout,
};

use super::{Desk, HELLO, LOST, Visit, Visitor};

type Said = from_runner::Body;

/// A visit as the test sees it.
struct Asked {
    call: u64,
    deposited: bool,
    body: Body,
    out: mpsc::UnboundedSender<io::Result<Bytes>>,
    ended: Arc<AtomicBool>,
}

struct Played(mpsc::UnboundedReceiver<io::Result<Bytes>>, Arc<AtomicBool>);

impl Visit for Played {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.0.recv().await.transpose()
    }

    async fn end(self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

struct Plays(mpsc::UnboundedSender<Asked>, Mutex<Bytes>);

impl Visitor for Plays {
    type Visit = Played;

    async fn visit(&self, variables: Vec<(String, String)>) -> io::Result<Played> {
        let mut text = String::new();
        let deposited = variables[0].0 == VISIT_FILE;
        for (part, (name, value)) in variables.iter().enumerate() {
            assert!(deposited || *name == format!("{VISIT_VARIABLE}_{part}"));
            assert!(value.len() < 128 * 1024);
            text += value;
        }
        let mut reader = FrameReader::new(TO_RUNNER_BYTES);
        let bytes = if deposited {
            assert_eq!(text, "/frames");
            self.1.lock().unwrap().to_vec()
        } else {
            BASE64_STANDARD.decode(text).unwrap()
        };
        reader.buffer().extend_from_slice(&bytes);
        let hello: ToRunner = reader.next().unwrap().unwrap();
        assert!(matches!(hello.body, Some(Body::Hello(_))));
        let asked: ToRunner = reader.next().unwrap().unwrap();
        let (out, answers) = mpsc::unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        let asked = Asked {
            call: asked.call,
            deposited,
            body: asked.body.unwrap(),
            out,
            ended: ended.clone(),
        };
        asked.say(HELLO, Said::Welcome(welcome("boot")));
        self.0.send(asked).unwrap();
        Ok(Played(answers, ended))
    }

    async fn deposit(&self, frames: Bytes) -> io::Result<String> {
        *self.1.lock().unwrap() = frames;
        Ok("/frames".to_owned())
    }
}

impl Asked {
    fn say(&self, call: u64, body: Said) {
        let mut bytes = BytesMut::new();
        let body = Some(body);
        put_frame(&FromRunner { call, body }, &mut bytes);
        self.out.send(Ok(bytes.freeze())).unwrap();
    }

    fn answer(&self, body: Said) {
        self.say(self.call, body);
    }
}

fn welcome(boot: &str) -> Welcome {
    Welcome {
        boot_id: boot.to_owned(),
        ..Welcome::default()
    }
}

/// The kit's end of a connection, and the visits.
struct Scene {
    link: DuplexStream,
    frames: FrameReader,
    visits: mpsc::UnboundedReceiver<Asked>,
}

impl Scene {
    fn of(boot: &str) -> Self {
        let (visited, visits) = mpsc::unbounded_channel();
        let (link, far) = tokio::io::duplex(1024 * 1024);
        let desk = Desk::new(
            Plays(visited, Mutex::default()),
            Hello::default(),
            welcome(boot),
        );
        tokio::spawn(Arc::new(desk).serve(far));
        Self {
            link,
            frames: FrameReader::new(FROM_RUNNER_BYTES),
            visits,
        }
    }

    async fn ask(&mut self, call: u64, body: Body) {
        let mut bytes = BytesMut::new();
        let body = Some(body);
        put_frame(&ToRunner { call, body }, &mut bytes);
        self.link.write_all(&bytes).await.unwrap();
    }

    async fn visit(&mut self) -> Asked {
        let visit = timeout(Duration::from_secs(5), self.visits.recv());
        visit.await.expect("no visit").unwrap()
    }

    /// What came; none where the connection ended.
    async fn said(&mut self) -> Option<FromRunner> {
        loop {
            if let Some(frame) = self.frames.next().unwrap() {
                return Some(frame);
            }
            let read = self.link.read_buf(self.frames.buffer());
            let read = timeout(Duration::from_secs(5), read).await;
            if read.expect("nothing came").unwrap() == 0 {
                return None;
            }
        }
    }

    async fn is_silent(&mut self) -> bool {
        let soon = timeout(Duration::from_millis(100), self.link.read_u8());
        soon.await.is_err()
    }
}

fn start(id: &str, credit: Option<u64>, stdin: usize) -> Body {
    let observe = credit.map(|credit| Observe {
        credit,
        ..Observe::default()
    });
    Body::Start(Start {
        execution_id: id.to_owned(),
        stdin: vec![b'x'; stdin].into(),
        observe,
        ..Start::default()
    })
}

fn output(offset: u64, size: usize) -> Said {
    Said::Output(Output {
        channel: 1,
        offset,
        data: vec![b'o'; size].into(),
    })
}

#[tokio::test]
async fn each_call_is_one_visit_and_a_greeting_or_a_sign_of_life_none() {
    let mut scene = Scene::of("boot");
    scene.ask(1, Body::Hello(Hello::default())).await;
    let said = scene.said().await.unwrap();
    assert!(matches!(said.body, Some(Said::Welcome(welcome)) if welcome.boot_id == "boot"));
    let ping = List {
        limit: 1,
        ended_after: u64::MAX,
        ..List::default()
    };
    scene.ask(2, Body::List(ping)).await;
    assert!(matches!(
        scene.said().await.unwrap().body,
        Some(Said::Listed(_))
    ));
    scene.ask(3, Body::Signal(Signal::default())).await;
    let visit = scene.visit().await;
    assert!(matches!(visit.body, Body::Signal(_)));
    visit.answer(Said::Done(Done { delivered: true }));
    let said = scene.said().await.unwrap();
    assert_eq!(said.call, 3);
    assert!(scene.visits.try_recv().is_err());
}

#[tokio::test]
async fn output_waits_for_credit_and_other_calls_do_not() {
    let mut scene = Scene::of("boot");
    scene.ask(2, start("e", Some(100), 0)).await;
    let visit = scene.visit().await;
    let Body::Start(asked) = &visit.body else {
        panic!("no start");
    };
    assert_eq!(asked.observe.as_ref().unwrap().credit, u64::MAX);
    visit.answer(Said::Started(Started::default()));
    visit.answer(output(0, 80));
    visit.answer(output(80, 80));
    assert!(matches!(
        scene.said().await.unwrap().body,
        Some(Said::Started(_))
    ));
    assert!(matches!(
        scene.said().await.unwrap().body,
        Some(Said::Output(_))
    ));
    assert!(scene.is_silent().await);
    scene.ask(3, Body::Look(Look::default())).await;
    let look = scene.visit().await;
    look.answer(Said::Execution(Default::default()));
    assert_eq!(scene.said().await.unwrap().call, 3);
    scene.ask(2, Body::Credit(Credit { bytes: 60 })).await;
    assert!(matches!(
        scene.said().await.unwrap().body,
        Some(Said::Output(_))
    ));
    visit.answer(Said::Ended(Ended::default()));
    assert!(matches!(
        scene.said().await.unwrap().body,
        Some(Said::Ended(_))
    ));
    // It ends by itself: what it still says is read.
    drop(visit.out);
    assert!(!visit.ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_visit() {
    let mut scene = Scene::of("boot");
    scene.ask(2, start("e", Some(1), 0)).await;
    let visit = scene.visit().await;
    scene.ask(2, Body::Drop(DropCall {})).await;
    ends(&visit).await;
    scene.ask(3, start("f", Some(1), 0)).await;
    let visit = scene.visit().await;
    drop(scene.link);
    ends(&visit).await;
}

async fn ends(visit: &Asked) {
    for _ in 0..500 {
        if visit.ended.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the visit goes on");
}

#[tokio::test]
async fn a_visit_that_is_lost_ends_its_call_alone() {
    let mut scene = Scene::of("boot");
    scene.ask(2, start("e", Some(1), 0)).await;
    let other = scene.visit().await;
    scene.ask(3, Body::Look(Look::default())).await;
    let visit = scene.visit().await;
    let broken = Err(io::ErrorKind::BrokenPipe.into());
    visit.out.send(broken).unwrap();
    let said = scene.said().await.unwrap();
    assert_eq!(said.call, 3);
    assert!(matches!(said.body, Some(Said::Refused(refused)) if refused.reason == LOST));
    ends(&visit).await;
    other.answer(Said::Started(Started::default()));
    assert_eq!(scene.said().await.unwrap().call, 2);
    assert!(!other.ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_visit_that_finds_no_runner_or_another_ends_the_connection() {
    let mut scene = Scene::of("boot");
    scene.ask(2, Body::Look(Look::default())).await;
    let visit = scene.visit().await;
    let none = Err(io::ErrorKind::NotFound.into());
    visit.out.send(none).unwrap();
    assert!(scene.said().await.is_none());
    let mut scene = Scene::of("another boot");
    scene.ask(2, Body::Look(Look::default())).await;
    let _visit = scene.visit().await;
    assert!(scene.said().await.is_none());
}

#[tokio::test]
async fn what_is_large_or_secret_goes_through_a_file() {
    let mut scene = Scene::of("boot");
    scene.ask(2, start("small", None, 100)).await;
    // A visit that is gone is lost, and all with it.
    let small = scene.visit().await;
    assert!(!small.deposited);
    scene.ask(3, start("large", None, 2_000_000)).await;
    let visit = scene.visit().await;
    assert!(visit.deposited);
    let Body::Start(asked) = &visit.body else {
        panic!("no start");
    };
    assert_eq!((asked.stdin.len(), asked.stdin_open), (2_000_000, false));
    let write = WriteStdin {
        data: vec![b'x'; 1_000_000].into(),
        ..WriteStdin::default()
    };
    scene.ask(4, Body::WriteStdin(write)).await;
    let written = scene.visit().await;
    assert!(written.deposited);
    let secret = Start {
        env: vec!["KEY=hush".into()],
        ..Start::default()
    };
    scene.ask(5, Body::Start(secret)).await;
    assert!(scene.visit().await.deposited);
}
