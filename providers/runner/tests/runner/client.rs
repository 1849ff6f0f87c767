//! A small blocking client.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use bytes::Bytes;
use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, put_frame,
    v1::{
        Ended, FromRunner, Hello, Observe, Refused, Start, ToRunner, Welcome, from_runner,
        to_runner,
    },
};

pub(crate) use from_runner::Body as Said;
pub(crate) use to_runner::Body as Ask;

/// One connection.
pub(crate) struct Client<S = UnixStream> {
    pub(crate) stream: S,
    reader: FrameReader,
    early: VecDeque<FromRunner>,
    calls: u64,
}

/// What an observation came to.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// By channel: where it is, and what came.
    pub(crate) at: [u64; 4],
    pub(crate) bytes: [Vec<u8>; 4],
    pub(crate) gaps: Vec<(i32, u64, u64, String)>,
    pub(crate) ended: Option<Ended>,
    pub(crate) snapshot: bool,
}

impl Seen {
    pub(crate) fn text(&self, channel: usize) -> String {
        String::from_utf8_lossy(&self.bytes[channel]).into_owned()
    }

    pub(crate) fn outcome(&self) -> sandgate_runner_proto::v1::ended::Outcome {
        self.ended.clone().unwrap().outcome.unwrap()
    }

    /// Takes one frame; true: it was the last. Nothing may come twice, or be left out unsaid.
    pub(crate) fn take(&mut self, said: Said) -> bool {
        match said {
            Said::Started(_) => false,
            Said::Output(output) => {
                let channel = output.channel as usize;
                assert_eq!(output.offset, self.at[channel]);
                self.at[channel] += output.data.len() as u64;
                self.bytes[channel].extend_from_slice(&output.data);
                false
            }
            Said::Gap(gap) => {
                assert_eq!(gap.start_offset, self.at[gap.channel as usize]);
                assert!(gap.end_offset > gap.start_offset);
                self.at[gap.channel as usize] = gap.end_offset;
                self.gaps
                    .push((gap.channel, gap.start_offset, gap.end_offset, gap.reason));
                false
            }
            Said::Ended(ended) => {
                let totals = ended.totals.unwrap();
                for (channel, total) in
                    [(1, totals.stdout), (2, totals.stderr), (3, totals.terminal)]
                {
                    assert_eq!(self.at[channel], total.unwrap_or_default());
                }
                self.ended = Some(ended);
                true
            }
            Said::SnapshotEnd(_) => {
                self.snapshot = true;
                true
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Client {
    /// Connects without a word.
    pub(crate) fn silent(path: &std::path::Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self::over(stream)
    }

    /// Connects and says Hello.
    pub(crate) fn connect(path: &std::path::Path) -> Self {
        let mut client = Self::silent(path);
        client.hello(Hello::default()).unwrap();
        client
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            reader: FrameReader::new(FROM_RUNNER_BYTES),
            early: VecDeque::new(),
            calls: 0,
        }
    }

    pub(crate) fn hello(&mut self, hello: Hello) -> Result<Welcome, Refused> {
        let hello = Hello {
            lowest_version: 1,
            highest_version: 1,
            ..hello
        };
        match self.ask(Ask::Hello(hello)) {
            Said::Welcome(welcome) => Ok(welcome),
            Said::Refused(refused) => Err(refused),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request; says its call.
    pub(crate) fn send(&mut self, body: Ask) -> u64 {
        self.calls += 1;
        self.send_as(self.calls, body);
        self.calls
    }

    pub(crate) fn send_as(&mut self, call: u64, body: Ask) {
        let mut bytes = Vec::new();
        put_frame(
            &ToRunner {
                call,
                body: Some(body),
            },
            &mut bytes,
        );
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends a request and waits for its first answer.
    pub(crate) fn ask(&mut self, body: Ask) -> Said {
        let call = self.send(body);
        self.next(call)
    }

    pub(crate) fn refused(&mut self, body: Ask) -> Refused {
        match self.ask(body) {
            Said::Refused(refused) => refused,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delivered(&mut self, body: Ask) -> bool {
        match self.ask(body) {
            Said::Done(done) => done.delivered,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame of a call.
    pub(crate) fn next(&mut self, call: u64) -> Said {
        if let Some(at) = self.early.iter().position(|frame| frame.call == call) {
            return self.early.remove(at).unwrap().body.unwrap();
        }
        loop {
            let frame = self.read().expect("the runner closed the connection");
            if frame.call == call {
                return frame.body.unwrap();
            }
            self.early.push_back(frame);
        }
    }

    /// The next frame; none: the connection is over.
    pub(crate) fn read(&mut self) -> Option<FromRunner> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            if let Some(frame) = self.reader.next().unwrap() {
                return Some(frame);
            }
            let read = match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            match read {
                0 => return None,
                size => self.reader.buffer().extend_from_slice(&buffer[..size]),
            }
        }
    }

    /// Reads an observation to its end.
    pub(crate) fn follow(&mut self, call: u64) -> Seen {
        self.follow_from(call, Seen::default())
    }

    pub(crate) fn follow_from(&mut self, call: u64, mut seen: Seen) -> Seen {
        while !seen.take(self.next(call)) {}
        seen
    }

    /// Runs a shell line to its end.
    pub(crate) fn shell(&mut self, id: &str, line: &str) -> Seen {
        let call = self.send(shell(id, line));
        self.follow(call)
    }
}

/// Watches everything, without limit.
pub(crate) fn all() -> Observe {
    Observe {
        follow: true,
        credit: u64::MAX,
        ..Observe::default()
    }
}

/// A start of a shell line that is watched.
pub(crate) fn start(id: &str, line: &str) -> Start {
    Start {
        execution_id: id.to_owned(),
        argv: ["/bin/sh", "-c", line]
            .map(|part| Bytes::copy_from_slice(part.as_bytes()))
            .to_vec(),
        observe: Some(all()),
        ..Start::default()
    }
}

pub(crate) fn shell(id: &str, line: &str) -> Ask {
    Ask::Start(start(id, line))
}

/// Watches an execution that is there.
pub(crate) fn observe(id: &str, mut wanted: Observe) -> Ask {
    wanted.execution_id = id.to_owned();
    Ask::Observe(wanted)
}
