//! The way out to who asked, on which a worker that has nothing to say for a while says that it
//! works: silence would be taken for a loss. The runner is told, too, for which only work and bytes
//! that flow are a use of the sandbox.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::Builder,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use sandgate_runner_proto::{
    put_frame,
    v1::{FileAnswer, FromRunner, Working, file_answer, from_runner},
};

/// Longest silence while there is work.
const SILENCE: Duration = Duration::from_secs(15);
/// Between two looks at that.
const LOOK: Duration = Duration::from_secs(1);
/// How often the runner is told, at most.
const TOLD: Duration = Duration::from_millis(500);
/// Of the thread, in bytes.
const STACK: usize = 64 * 1024;

/// The way out.
pub(super) struct Pulse {
    shared: Arc<Mutex<Shared>>,
    /// Ends the thread when it is dropped; none: there is no thread yet.
    thread: Option<SyncSender<()>>,
}

struct Shared {
    socket: File,
    output: BytesMut,
    /// The request that is worked on; none: it is for the other side to say something.
    working: Option<u64>,
    last: Instant,
    /// The pipe to the runner, and when it was last told.
    life: Option<File>,
    told: Option<Instant>,
}

impl Shared {
    fn send(&mut self, call: u64, body: from_runner::Body) -> io::Result<()> {
        self.output.clear();
        let body = Some(body);
        put_frame(&FromRunner { call, body }, &mut self.output);
        self.last = Instant::now();
        self.socket.write_all(&self.output)?;
        self.live();
        Ok(())
    }

    /// Tells the runner.
    fn live(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD) {
            return;
        }
        self.told = Some(Instant::now());
        if let Some(life) = &mut self.life {
            // A pipe that is full says enough.
            let _ = life.write(b".");
        }
    }
}

impl Pulse {
    /// `life` is the pipe that the runner reads.
    pub(super) fn new(socket: File, life: Option<File>) -> Self {
        let shared = Shared {
            socket,
            output: BytesMut::new(),
            working: None,
            last: Instant::now(),
            life,
            told: None,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            thread: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a frame.
    pub(super) fn send(&self, call: u64, body: from_runner::Body) -> io::Result<()> {
        self.lock().send(call, body)
    }

    /// Bytes have come.
    pub(super) fn live(&self) {
        self.lock().live();
    }

    /// There is work to do for this request, or there is none.
    pub(super) fn works(&mut self, call: Option<u64>) {
        let mut shared = self.lock();
        shared.working = call;
        shared.last = Instant::now();
        drop(shared);
        if call.is_some() && self.thread.is_none() {
            let (end, ended) = sync_channel(0);
            let shared = Arc::clone(&self.shared);
            let thread = Builder::new().name("pulse".into()).stack_size(STACK);
            // Where there is no room for a thread, the work may still be short.
            if thread.spawn(move || while beat(&shared, &ended) {}).is_ok() {
                self.thread = Some(end);
            }
        }
    }
}

/// Waits a while, and then says that there is work if that is so; false: nobody is there any more.
fn beat(shared: &Mutex<Shared>, ended: &Receiver<()>) -> bool {
    if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
        return false;
    }
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(call) = shared.working else {
        return true;
    };
    shared.live();
    if shared.last.elapsed() < SILENCE {
        return true;
    }
    let body = Some(file_answer::Body::Working(Working {}));
    let sent = shared.send(call, from_runner::Body::FileAnswer(FileAnswer { body }));
    sent.is_ok()
}
