//! Finds out which executions there are to read: at the beginning, and while a reader follows.

use std::time::SystemTime;

use sandgate_proto::v1::OutputChannel;
use tokio::time::Instant;

use super::{ExecutionLogs, LOOK, TAIL_LINES};
use crate::{
    Kind, Provider, ProviderError,
    logs::{
        cursor::Place,
        known::{Known, above},
        tail::{first_for, start},
    },
};

impl<P: Provider> ExecutionLogs<P> {
    /// Finds out what there is to read.
    pub(in crate::logs) async fn begin(
        mut self,
        tail: Option<u32>,
        since: Option<SystemTime>,
    ) -> Result<Self, ProviderError> {
        let (known, boot) = above(&self.executions, &self.context, 0).await?;
        let fresh = self.place.boot.is_empty();
        if self.place.boot != boot {
            self.place = Place {
                boot,
                ..Place::default()
            };
            if !fresh {
                self.push_gap(String::new(), OutputChannel::Unspecified);
            }
        }
        self.note_dropped(&known);
        let first = match tail {
            None => 0,
            Some(lines) => {
                let lines = usize::try_from(lines).unwrap_or(TAIL_LINES).min(TAIL_LINES);
                self.tail = Some(lines);
                first_for(&self.executions, &self.context, &known, lines).await?
            }
        };
        for execution in known {
            let old = since.is_some_and(|since| execution.end.is_some_and(|end| end < since));
            let skipped = old || execution.number < first;
            match self.place.of(execution.number) {
                Some(_) if skipped && execution.end.is_some() => self.place.done(execution.number),
                Some(_) if skipped => self.place.set(execution.number, execution.totals),
                Some(_) if self.tail.is_some() => {
                    let offsets = start(&execution);
                    self.waiting.push_back((execution, offsets, true));
                }
                Some(offsets) => self.waiting.push_back((execution, offsets, false)),
                None => {}
            }
        }
        Ok(self)
    }

    /// Says of executions that the runner has dropped since that their rest is lost.
    fn note_dropped(&mut self, known: &[Known]) {
        let gone = |number: u64| !known.iter().any(|known| known.number == number);
        let dropped: Vec<_> = self.place.open.iter().map(|open| open.number).collect();
        for number in dropped.into_iter().filter(|number| gone(*number)) {
            self.place.done(number);
            self.push_gap(String::new(), OutputChannel::Unspecified);
        }
    }

    /// Looks for new executions, and for those that were read as far as they had come; false once
    /// the sandbox is gone.
    pub(super) async fn look_again(&mut self) -> Result<bool, ProviderError> {
        let oldest = self.place.open.iter().map(|open| open.number - 1).min();
        let after = oldest.unwrap_or(self.place.up_to).min(self.place.up_to);
        let (known, boot) = match above(&self.executions, &self.context, after).await {
            Ok(known) => known,
            Err(error) if matches!(error.kind(), Kind::NotRunning | Kind::SandboxGone) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if boot != self.place.boot {
            self.place = Place {
                boot,
                ..Place::default()
            };
            self.push_gap(String::new(), OutputChannel::Unspecified);
            return Ok(true);
        }
        for execution in known {
            let number = execution.number;
            let read = self.active.iter().any(|reading| reading.number == number)
                || self
                    .waiting
                    .iter()
                    .any(|(known, ..)| known.number == number);
            if let Some(offsets) = self.place.of(number)
                && !read
            {
                self.waiting.push_back((execution, offsets, false));
            }
        }
        self.look = Instant::now() + LOOK;
        Ok(true)
    }
}
