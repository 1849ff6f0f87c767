//! One link: greets, hands requests to the runner, sends the answers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sandgate_kit::CallContext;
use sandgate_runner_proto::{
    FrameReader, HIGHEST_VERSION, TO_RUNNER_BYTES, put_frame,
    v1::{
        Done, FromRunner, Hello, KillGuarantee, Look, Observe, Refused, Start, StdinAccepted,
        ToRunner, Welcome, from_runner::Body, to_runner::Body as Request,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split},
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{
    Runner,
    execution::Execution,
    observe::{Observation, OnDisconnect},
};
use crate::fake::{Call, Fake, Op};

/// Answers that wait for the writer.
const OUTBOX: usize = 256;
/// How long what is under way may take when the sandbox is stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the answers to one call go.
#[derive(Clone)]
pub(super) struct Line {
    call: u64,
    out: mpsc::Sender<FromRunner>,
}

impl Line {
    /// False: nobody hears it any more.
    pub(super) async fn send(&self, body: Body) -> bool {
        let (call, body) = (self.call, Some(body));
        self.out.send(FromRunner { call, body }).await.is_ok()
    }
}

pub(super) fn refused(reason: &str, offset: u64, channel: i32) -> Body {
    Body::Refused(Refused {
        reason: reason.to_owned(),
        message: "the script says no".to_owned(),
        offset,
        channel,
    })
}

/// A call whose answers come by themselves.
struct Open {
    credit: watch::Sender<u64>,
    task: AbortHandle,
}

struct Link {
    runner: Arc<Runner>,
    fake: Fake,
    context: CallContext,
    out: mpsc::Sender<FromRunner>,
    open: HashMap<u64, Open>,
    tasks: JoinSet<()>,
}

/// Serves a link until its other end, or the runner, goes away.
pub(in crate::fake) async fn serve(
    stream: DuplexStream,
    runner: Arc<Runner>,
    fake: Fake,
    context: CallContext,
) {
    let (reader, writer) = split(stream);
    let (out, answers) = mpsc::channel(OUTBOX);
    let (stopping, gone) = (runner.stopping.clone(), runner.gone.clone());
    let mut broken = runner.links.subscribe();
    let link = Link {
        runner,
        fake,
        context,
        out,
        open: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let served = async {
        tokio::join!(
            link.serve(reader, stopping.cancelled()),
            write(writer, answers)
        )
    };
    tokio::select! {
        () = gone.cancelled() => {}
        _ = broken.changed() => {}
        _ = served => {}
    }
}

async fn write(mut writer: WriteHalf<DuplexStream>, mut answers: mpsc::Receiver<FromRunner>) {
    let (mut waiting, mut bytes) = (Vec::new(), Vec::new());
    while answers.recv_many(&mut waiting, OUTBOX).await > 0 {
        for answer in waiting.drain(..) {
            put_frame(&answer, &mut bytes);
        }
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
    // Ends the other side's reading; it may have gone already.
    let _ = writer.shutdown().await;
}

impl Link {
    async fn serve(mut self, reader: ReadHalf<DuplexStream>, stopping: impl Future<Output = ()>) {
        tokio::select! {
            () = self.requests(reader) => return,
            () = stopping => {}
        }
        let last_words = async { while self.tasks.join_next().await.is_some() {} };
        // Who is not told by then never reads.
        let _ = timeout(LAST_WORDS, last_words).await;
    }

    async fn requests(&mut self, mut reader: ReadHalf<DuplexStream>) {
        let mut frames = FrameReader::new(TO_RUNNER_BYTES);
        loop {
            while let Some(ToRunner { call, body }) = frames.next().unwrap() {
                let out = self.out.clone();
                self.request(Line { call, out }, body.unwrap()).await;
            }
            let read = tokio::select! {
                read = reader.read_buf(frames.buffer()) => read,
                Some(_) = self.tasks.join_next() => continue,
            };
            if matches!(read, Ok(0) | Err(_)) {
                return;
            }
        }
    }

    async fn request(&mut self, line: Line, request: Request) {
        let answer = match request {
            Request::Start(start) => return self.start(line, start),
            Request::Observe(observe) => match self.runner.find(&observe.execution_id) {
                Ok(found) => return self.observe(line, found, observe),
                Err(reason) => Err((reason, 0)),
            },
            Request::Look(look) => match self.runner.find(&look.execution_id) {
                Ok(found) => return self.look(line, found, &look),
                Err(reason) => Err((reason, 0)),
            },
            Request::Shutdown(shutdown) => match self.runner.close(&shutdown) {
                Ok(ending) => {
                    let runner = self.runner.clone();
                    let ended = |_| runner.close_after(ending, line.clone(), shutdown);
                    return self.open(line.call, 0, ended);
                }
                Err(reason) => Err((reason, 0)),
            },
            Request::Credit(credit) => {
                if let Some(open) = self.open.get(&line.call) {
                    open.credit.send_modify(|given| *given += credit.bytes);
                }
                return;
            }
            Request::Drop(_) => {
                if let Some(open) = self.open.remove(&line.call) {
                    open.task.abort();
                }
                return;
            }
            other => self.at_once(other),
        };
        let body = answer.unwrap_or_else(|(reason, offset)| refused(reason, offset, 0));
        line.send(body).await;
    }

    /// Requests that have their answer now.
    fn at_once(&self, request: Request) -> Result<Body, (&'static str, u64)> {
        let find = |id: &str| self.runner.find(id).map_err(|reason| (reason, 0));
        let done = |delivered| Ok(Body::Done(Done { delivered }));
        match request {
            Request::Hello(hello) => self.welcome(&hello),
            Request::List(list) => Ok(Body::Listed(self.runner.list(&list))),
            Request::WriteStdin(input) => {
                self.runner.touch();
                let accepted_offset = find(&input.execution_id)?.write(&input)?;
                Ok(Body::StdinAccepted(StdinAccepted { accepted_offset }))
            }
            Request::Signal(signal) => {
                let found = find(&signal.execution_id)?;
                done(found.signal(signal.signal, &signal.signal_id))
            }
            Request::Cancel(cancel) => done(find(&cancel.execution_id)?.cancel(&cancel.by)),
            Request::Resize(resize) => {
                let found = find(&resize.execution_id)?;
                if found.start.terminal.is_none() {
                    return Err(("NO_TERMINAL", 0));
                }
                found
                    .state
                    .send_modify(|state| state.terminal = resize.size);
                done(!found.is_over())
            }
            _ => Err(("UNKNOWN_REQUEST", 0)),
        }
    }

    fn welcome(&self, hello: &Hello) -> Result<Body, (&'static str, u64)> {
        let runner = &self.runner;
        if (&hello.sandbox_id, hello.generation) != (&runner.sandbox_id, runner.generation) {
            return Err(("OTHER_SANDBOX", 0));
        }
        Ok(Body::Welcome(Welcome {
            version: HIGHEST_VERSION,
            program: "fake".to_owned(),
            sandbox_id: runner.sandbox_id.clone(),
            generation: runner.generation,
            boot_id: runner.boot_id.clone(),
            kill_guarantee: KillGuarantee::Cgroup.into(),
            sees_oom: true,
            running: runner.running(),
            idle_ms: runner.idle().as_millis() as u64,
        }))
    }

    /// Begins a call that is answered by a task of its own.
    fn open<F>(&mut self, call: u64, credit: u64, answer: impl FnOnce(watch::Receiver<u64>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.open.retain(|_, open| !open.task.is_finished());
        let (credit, given) = watch::channel(credit);
        let task = self.tasks.spawn(answer(given));
        self.open.insert(call, Open { credit, task });
    }

    fn start(&mut self, line: Line, start: Start) {
        let credit = start.observe.as_ref().map_or(0, |observe| observe.credit);
        let (fake, runner) = (self.fake.clone(), self.runner.clone());
        let context = self.context.clone();
        self.open(line.call, credit, |given| async move {
            fake.record(Call {
                start: Some(start.clone()),
                ..Call::of(Op::Exec, &context)
            });
            fake.obey(Op::Exec).await.expect("a runner cannot fail so");
            let observe = start.observe.clone();
            let cancels = start.cancel_on_disconnect && observe.is_some();
            let (execution, attached) = match runner.start(start) {
                Ok(started) => started,
                Err(reason) => {
                    line.send(refused(reason, 0, 0)).await;
                    return;
                }
            };
            let _end = OnDisconnect(cancels.then(|| execution.clone()));
            line.send(Body::Started(execution.started(attached))).await;
            if let Some(observe) = observe {
                let counters = runner.counters.clone();
                match Observation::new(execution, counters, &observe) {
                    Ok(observation) => observation.run(line, given).await,
                    Err(refused) => drop(line.send(*refused).await),
                }
            }
        });
    }

    fn observe(&mut self, line: Line, execution: Arc<Execution>, observe: Observe) {
        let counters = self.runner.counters.clone();
        self.open(line.call, observe.credit, |given| async move {
            match Observation::new(execution.clone(), counters, &observe) {
                Ok(observation) => {
                    line.send(Body::Started(execution.started(true))).await;
                    observation.run(line, given).await;
                }
                Err(refused) => drop(line.send(*refused).await),
            }
        });
    }

    fn look(&mut self, line: Line, execution: Arc<Execution>, look: &Look) {
        let wait = Duration::from_millis(look.wait_ms);
        self.open(line.call, 0, |_| async move {
            // Either way, what there is then.
            let _ = timeout(wait, execution.over()).await;
            line.send(Body::Execution(execution.seen())).await;
        });
    }
}
