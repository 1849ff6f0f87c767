//! The open calls of a connection and what may be answered to each: bytes in, checked answers out.
//! Knows neither sockets nor time.

use std::collections::HashMap;

use sandgate_runner_proto::{
    FrameReader,
    v1::{Execution, FromRunner, Listed, Started, StdinAccepted, from_runner::Body},
};
use tokio::sync::oneshot;

use super::{LinkError, Refusal, Violation, check, watch::Watched};
use crate::visits::LOST;

/// Calls of one connection that may be open.
const OPEN: usize = 1024;
/// The call of the handshake.
pub(super) const HELLO: u64 = 1;

/// A checked answer to a call that has one.
#[derive(Debug)]
pub(super) enum Answer {
    Started(Started),
    Stdin(StdinAccepted),
    Delivered(bool),
    Execution(Box<Execution>),
    Listed(Listed),
}

/// Which answer a call has.
#[derive(Clone, Debug)]
pub(super) enum Wants {
    Started(String),
    Stdin,
    Delivered,
    Execution(String),
    Listed { before: u64 },
}

pub(super) type Answered = Result<Answer, Refusal>;

enum Call {
    Once(Wants, oneshot::Sender<Answered>),
    Watch(Box<Watched>),
}

pub(super) struct Calls {
    open: HashMap<u64, Call>,
    next: u64,
    over: bool,
    /// Observations whose reader took enough for more credit.
    pub(super) hungry: Vec<u64>,
    /// Calls that nobody waits for any more.
    pub(super) dropped: Vec<u64>,
    /// The call that asks for a sign of life, until it is sent.
    pub(super) ping: Option<u64>,
}

impl Calls {
    /// No call but that of the handshake was made.
    pub(super) fn new() -> Self {
        Self {
            open: HashMap::new(),
            next: HELLO + 1,
            over: false,
            hungry: Vec::new(),
            dropped: Vec::new(),
            ping: None,
        }
    }

    /// Opens a call with one answer.
    pub(super) fn once(
        &mut self,
        wants: Wants,
    ) -> Result<(u64, oneshot::Receiver<Answered>), LinkError> {
        let (answer, answered) = oneshot::channel();
        let call = self.open(Call::Once(wants, answer))?;
        Ok((call, answered))
    }

    /// Opens an observation.
    pub(super) fn watch(&mut self, watched: Watched) -> Result<u64, LinkError> {
        self.open(Call::Watch(Box::new(watched)))
    }

    fn open(&mut self, call: Call) -> Result<u64, LinkError> {
        if self.over {
            return Err(LinkError::Lost);
        }
        if self.open.len() >= OPEN {
            return Err(LinkError::Full);
        }
        Ok(self.insert(call))
    }

    fn insert(&mut self, call: Call) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, call);
        number
    }

    /// Opens a call whose answer is only a sign of life. There is no bound to keep it from.
    pub(super) fn ask_for_life(&mut self) {
        let (answer, _) = oneshot::channel();
        self.ping = Some(self.insert(Call::Once(Wants::Listed { before: 0 }, answer)));
    }

    /// Forgets a call that nobody waits for; true if the runner would still answer.
    pub(super) fn close(&mut self, call: u64) -> bool {
        match self.open.remove(&call) {
            Some(Call::Watch(watched)) => !watched.is_over(),
            Some(Call::Once(..)) => true,
            None => false,
        }
    }

    pub(super) fn watched(&mut self, call: u64) -> Option<&mut Watched> {
        match self.open.get_mut(&call) {
            Some(Call::Watch(watched)) => Some(watched),
            _ => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends all calls; readers keep what is queued for them.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.open.retain(|_, call| match call {
            Call::Once(..) => false,
            Call::Watch(watched) => {
                watched.notify();
                true
            }
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the whole frames that came. After an error the connection is of no more use.
    pub(super) fn take(&mut self, frames: &mut FrameReader) -> Result<(), Violation> {
        while let Some(frame) = frames.next::<FromRunner>()? {
            self.accept(frame)?;
        }
        Ok(())
    }

    fn accept(&mut self, frame: FromRunner) -> Result<(), Violation> {
        let FromRunner { call, body } = frame;
        if call <= HELLO || call >= self.next {
            return Err(Violation::UnknownCall(call));
        }
        let body = body.ok_or(Violation::Unexpected)?;
        if matches!(&body, Body::Refused(refused) if refused.reason == LOST) {
            // As if the connection were lost, for this call alone.
            if let Some(Call::Watch(watched)) = self.open.remove(&call) {
                watched.notify();
            }
            return Ok(());
        }
        // Answers on their way to a call that was closed meanwhile are none of anybody's business.
        let Some(open) = self.open.get_mut(&call) else {
            return Ok(());
        };
        if let Call::Watch(watched) = open {
            return watched.accept(body);
        }
        if let Some(Call::Once(wants, answer)) = self.open.remove(&call) {
            // Whoever asked may have gone.
            let _ = answer.send(answered(&wants, body)?);
        }
        Ok(())
    }
}

fn answered(wants: &Wants, body: Body) -> Result<Answered, Violation> {
    Ok(Ok(match (wants, body) {
        (_, Body::Refused(refused)) => return Ok(Err(check::refusal(&refused))),
        (Wants::Started(id), Body::Started(started)) if started.execution_id == *id => {
            Answer::Started(started)
        }
        (Wants::Stdin, Body::StdinAccepted(accepted)) => Answer::Stdin(accepted),
        (Wants::Delivered, Body::Done(done)) => Answer::Delivered(done.delivered),
        (Wants::Execution(id), Body::Execution(mut execution)) if execution.execution_id == *id => {
            check::execution(&mut execution)?;
            Answer::Execution(Box::new(execution))
        }
        (Wants::Listed { before }, Body::Listed(mut listed)) => {
            check::listed(&mut listed, *before)?;
            Answer::Listed(listed)
        }
        _ => return Err(Violation::Unexpected),
    }))
}
