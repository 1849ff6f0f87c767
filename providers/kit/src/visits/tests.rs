//! The desk, with visits that the test plays.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, TO_RUNNER_BYTES, VISIT_FILE, VISIT_VARIABLE, put_frame,
    v1::{
        Credit, Done, Drop as DropCall, Ended, FileAnswer, FileData, FileRequest, Files,
        FromRunner, Hello, List, Look, Observe, Output, Signal, Start, Started, ToRunner, Welcome,
        WriteStdin, file_answer, file_request, from_runner, to_runner::Body,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
    time::timeout,
};

use super::{Desk, HELLO, LOST, Reader, Upload, Uploaded, Visit, Visitor, call::INPUT};

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

struct Plays(mpsc::UnboundedSender<Asked>, Mutex<Bytes>, Arc<World>);

/// What the vendor makes of it.
#[derive(Default)]
struct World {
    /// No visit can be made.
    is_shut: AtomicBool,
    /// None begins.
    is_stuck: AtomicBool,
    /// The disk takes no file.
    is_full: AtomicBool,
    uploads: AtomicUsize,
    removals: AtomicUsize,
}

impl Visitor for Plays {
    type Visit = Played;

    async fn visit(&self, variables: Vec<(String, String)>) -> io::Result<Played> {
        if self.2.is_shut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.2.is_stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
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

    async fn upload(&self, mut content: Upload, reader: Reader) -> io::Result<Uploaded> {
        let mut bytes = BytesMut::new();
        while let Some(part) = content.next().await {
            bytes.extend_from_slice(&part?);
        }
        if self.2.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *self.1.lock().unwrap() = bytes.freeze();
        let path = match reader {
            Reader::Runner => "/frames",
            Reader::User => "/content",
        };
        let world = self.2.clone();
        world.uploads.fetch_add(1, Ordering::SeqCst);
        Ok(Uploaded::new(path.to_owned(), move || {
            world.removals.fetch_add(1, Ordering::SeqCst);
        }))
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
    world: Arc<World>,
}

impl Scene {
    fn of(boot: &str) -> Self {
        let (visited, visits) = mpsc::unbounded_channel();
        let (link, far) = tokio::io::duplex(1024 * 1024);
        let world = Arc::new(World::default());
        let desk = Desk::new(
            Plays(visited, Mutex::default(), world.clone()),
            Hello::default(),
            welcome(boot),
        );
        tokio::spawn(Arc::new(desk).serve(far));
        Self {
            link,
            frames: FrameReader::new(FROM_RUNNER_BYTES),
            visits,
            world,
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
    scene.ask(2, start("small", None, 0)).await;
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
    // What a command reads may be a token.
    scene.ask(6, start("input", None, 1)).await;
    assert!(scene.visit().await.deposited);
}

impl World {
    /// Waits for as many removals of uploaded files.
    async fn has_removed(&self, wanted: usize) {
        until(|| self.removals.load(Ordering::SeqCst) == wanted).await;
    }
}

async fn until(done: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(30), async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it does not come to that");
}

#[tokio::test]
async fn a_file_that_no_visit_is_known_to_have_read_is_removed() {
    // No visit begins.
    let mut scene = Scene::of("boot");
    scene.world.is_shut.store(true, Ordering::SeqCst);
    scene.ask(2, start("secret", Some(1), 1)).await;
    assert!(scene.said().await.is_none());
    scene.world.has_removed(1).await;

    // The call is dropped before one does.
    let mut scene = Scene::of("boot");
    scene.world.is_stuck.store(true, Ordering::SeqCst);
    scene.ask(2, start("secret", Some(1), 1)).await;
    let world = scene.world.clone();
    until(|| world.uploads.load(Ordering::SeqCst) == 1).await;
    assert_eq!(world.removals.load(Ordering::SeqCst), 0);
    scene.ask(2, Body::Drop(DropCall {})).await;
    world.has_removed(1).await;

    // So is the connection.
    scene.ask(3, start("secret", Some(1), 1)).await;
    until(|| world.uploads.load(Ordering::SeqCst) == 2).await;
    drop(scene.link);
    world.has_removed(2).await;
}

#[tokio::test]
async fn a_file_that_a_visit_has_read_is_left_to_it() {
    let mut scene = Scene::of("boot");
    scene.ask(2, start("secret", Some(1), 1)).await;
    let visit = scene.visit().await;
    visit.answer(Said::Started(Started::default()));
    assert!(scene.said().await.is_some());
    drop(scene.link);
    ends(&visit).await;
    assert_eq!(scene.world.removals.load(Ordering::SeqCst), 0);
}

/// Asks for a write of that many bytes.
async fn write(scene: &mut Scene, call: u64, size: usize) {
    let write = FileRequest {
        body: Some(file_request::Body::Write(Default::default())),
    };
    scene.ask(call, Body::File(write)).await;
    for (size, eof) in [(size, false), (0, true)] {
        let data = vec![b'x'; size].into();
        scene
            .ask(call, Body::FileData(FileData { data, eof }))
            .await;
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_upload_is_full_for_that_call_alone() {
    let mut scene = Scene::of("boot");
    scene.ask(1, Body::Files(Files::default())).await;
    scene.said().await.unwrap();
    scene.world.is_full.store(true, Ordering::SeqCst);
    // What a file is to hold, and frames that nobody else is to see.
    for (call, size) in [(2, INPUT + 1), (3, 10)] {
        write(&mut scene, call, size).await;
        let said = scene.said().await.unwrap();
        assert_eq!(said.call, call);
        assert!(matches!(said.body, Some(Said::Refused(refused)) if refused.reason == "DISK_FULL"));
    }
    scene.world.is_full.store(false, Ordering::SeqCst);
    write(&mut scene, 4, INPUT + 1).await;
    let visit = scene.visit().await;
    // A sign of life is no end.
    let working = file_answer::Body::Working(Default::default());
    for body in [working, file_answer::Body::Info(Default::default())] {
        visit.say(4, Said::FileAnswer(FileAnswer { body: Some(body) }));
        assert_eq!(scene.said().await.unwrap().call, 4);
    }
}

#[tokio::test]
async fn what_a_file_is_to_hold_is_removed_whoever_has_read_it() {
    let mut scene = Scene::of("boot");
    scene.ask(1, Body::Files(Files::default())).await;
    write(&mut scene, 2, INPUT + 1).await;
    scene.said().await.unwrap();
    let visit = scene.visit().await;
    assert_eq!(scene.world.removals.load(Ordering::SeqCst), 0);
    visit.say(2, Said::FileAnswer(FileAnswer::default()));
    scene.said().await.unwrap();
    scene.world.has_removed(1).await;
}
