//! The connection of a worker: frames in, frames out, both waited for.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd as _,
};

use bytes::Bytes;
use sandgate_runner_proto::{
    FrameReader, TO_RUNNER_BYTES,
    v1::{Disposition, FileAnswer, ToRunner, file_answer, file_request, from_runner, to_runner},
};

use super::{again, pulse::Pulse, trouble::Trouble};

/// Size of a read.
const READ: usize = 256 * 1024;

/// The connection and what goes with it, as they are inherited.
pub(crate) struct Inherited {
    pub(crate) socket: File,
    /// What the runner had read of it already.
    pub(crate) before: Option<File>,
    /// The pipe on which the runner hears that there is work.
    pub(crate) life: Option<File>,
}

impl Inherited {
    pub(super) fn take() -> io::Result<Self> {
        let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
        Ok(Self {
            socket: File::from(input.as_fd().try_clone_to_owned()?),
            before: Some(File::from(output.as_fd().try_clone_to_owned()?)),
            life: Some(File::from(error.as_fd().try_clone_to_owned()?)),
        })
    }
}

/// Both directions.
pub(super) struct Line {
    /// What the runner had read already, to its end.
    before: Option<File>,
    socket: File,
    reader: FrameReader,
    scratch: Vec<u8>,
    pulse: Pulse,
    /// The request that is worked on.
    call: u64,
    /// Its bytes are still to come.
    takes: bool,
    /// It may take long without a word.
    is_quiet: bool,
}

impl Line {
    pub(super) fn new(inherited: Inherited) -> io::Result<Self> {
        let Inherited {
            socket,
            before,
            life,
        } = inherited;
        Ok(Self {
            pulse: Pulse::new(socket.try_clone()?, life),
            before,
            socket,
            reader: FrameReader::new(TO_RUNNER_BYTES),
            scratch: vec![0; READ],
            call: 0,
            takes: false,
            is_quiet: false,
        })
    }

    /// The next frame; none: the other side has gone.
    pub(super) fn next(&mut self) -> io::Result<Option<ToRunner>> {
        loop {
            if let Some(frame) = self.reader.next().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            let size = self.read()?;
            if size == 0 {
                return Ok(None);
            }
            let read = &self.scratch[..size];
            self.reader.buffer().extend_from_slice(read);
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        if let Some(before) = &mut self.before {
            let size = again(|| before.read(&mut self.scratch))?;
            if size > 0 {
                return Ok(size);
            }
            self.before = None;
        }
        again(|| self.socket.read(&mut self.scratch))
    }

    /// Begins to work on a request.
    pub(super) fn begin(&mut self, call: u64, body: &file_request::Body) {
        self.call = call;
        self.takes = match body {
            file_request::Body::Write(write) => write.source.is_empty(),
            file_request::Body::Unpack(unpack) => unpack.source.is_empty(),
            _ => false,
        };
        self.is_quiet = is_quiet(body);
        self.works(true);
    }

    /// Whether there is work to do, or it is for the other side to say something.
    fn works(&mut self, works: bool) {
        if self.is_quiet {
            self.pulse.works(works.then_some(self.call));
        }
    }

    /// The next bytes that belong to the request; none: these were all.
    pub(super) fn content(&mut self) -> Result<Option<Bytes>, Trouble> {
        while self.takes {
            self.works(false);
            let Some(frame) = self.next().map_err(Trouble::Line)? else {
                return Err(Trouble::Line(io::ErrorKind::UnexpectedEof.into()));
            };
            self.works(true);
            self.pulse.live();
            match frame.body {
                Some(to_runner::Body::FileData(data)) if frame.call == self.call => {
                    self.takes = !data.eof;
                    if !data.data.is_empty() {
                        return Ok(Some(data.data));
                    }
                }
                _ => return Err(Trouble::Line(io::ErrorKind::InvalidData.into())),
            }
        }
        Ok(None)
    }

    /// Sends the last answer to a request.
    pub(super) fn end(&mut self, call: u64, body: from_runner::Body) -> io::Result<()> {
        self.works(false);
        self.is_quiet = false;
        self.pulse.send(call, body)
    }

    /// Throws away what still comes for a request that has been answered: it failed early, and who
    /// sends may be late to hear of it.
    pub(super) fn drain(&mut self, call: u64) -> io::Result<()> {
        if call != self.call {
            return Ok(());
        }
        loop {
            match self.content() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(Trouble::Line(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Sends part of the answer to the request.
    pub(super) fn part(&mut self, body: file_answer::Body) -> Result<(), Trouble> {
        let answer = FileAnswer { body: Some(body) };
        let sent = self
            .pulse
            .send(self.call, from_runner::Body::FileAnswer(answer));
        sent.map_err(Trouble::Line)
    }
}

/// Whether a request may have much to do before it says anything. The others need not bear the cost.
fn is_quiet(body: &file_request::Body) -> bool {
    use file_request::Body;
    match body {
        Body::Write(write) => {
            !write.source.is_empty() || write.disposition() == Disposition::Append
        }
        Body::Remove(remove) => remove.recursive,
        Body::Move(_) | Body::Pack(_) | Body::Unpack(_) => true,
        Body::Read(_) | Body::Stat(_) | Body::List(_) | Body::MakeFolder(_) => false,
    }
}
