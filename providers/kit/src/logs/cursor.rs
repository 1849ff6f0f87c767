//! Where a reader of logs is: the provider's own words, and a place in the output of executions.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sandgate_proto::v1::LogSource;

use crate::{Kind, ProviderError};

/// Longest cursor that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The whole of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Cursor {
    #[prost(string, tag = "1")]
    system: String,
    #[prost(string, tag = "2")]
    main: String,
    #[prost(message, optional, tag = "3")]
    pub(super) executions: Option<Place>,
}

/// A place in the output of the executions of one life of a runner.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Place {
    /// Which life.
    #[prost(string, tag = "1")]
    pub(super) boot: String,
    /// Executions up to this number are done, but for those in `open`.
    #[prost(uint64, tag = "2")]
    pub(super) up_to: u64,
    /// Executions with lines still to come.
    #[prost(message, repeated, tag = "3")]
    pub(super) open: Vec<Open>,
}

/// How far one execution was read.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Open {
    #[prost(uint64, tag = "1")]
    pub(super) number: u64,
    #[prost(uint64, tag = "2")]
    pub(super) stdout: u64,
    #[prost(uint64, tag = "3")]
    pub(super) stderr: u64,
    #[prost(uint64, tag = "4")]
    pub(super) terminal: u64,
}

impl Cursor {
    pub(super) fn read(text: &str) -> Result<Self, ProviderError> {
        let refused = || {
            ProviderError::new(
                Kind::InvalidField("cursor"),
                "is not the cursor of an entry; send it as it came, or leave it empty",
            )
        };
        if text.len() > LONGEST {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        Self::decode(&bytes[..]).map_err(|_| refused())
    }

    pub(super) fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.encode_to_vec())
    }

    pub(super) fn of(&self, source: LogSource) -> &str {
        match source {
            LogSource::System => &self.system,
            LogSource::Main => &self.main,
            LogSource::Unspecified | LogSource::Executions => "",
        }
    }

    pub(super) fn set(&mut self, source: LogSource, cursor: String) {
        match source {
            LogSource::System => self.system = cursor,
            LogSource::Main => self.main = cursor,
            LogSource::Unspecified | LogSource::Executions => {}
        }
    }
}

impl Place {
    /// Notes how far an execution was read.
    pub(super) fn set(&mut self, number: u64, offsets: [u64; 3]) {
        let [stdout, stderr, terminal] = offsets;
        let open = Open {
            number,
            stdout,
            stderr,
            terminal,
        };
        self.up_to = self.up_to.max(number);
        match self.open.iter_mut().find(|open| open.number == number) {
            Some(known) => *known = open,
            None => self.open.push(open),
        }
    }

    /// Notes that an execution has no more lines.
    pub(super) fn done(&mut self, number: u64) {
        self.up_to = self.up_to.max(number);
        self.open.retain(|open| open.number != number);
    }

    /// How far an execution was read; none: it is done.
    pub(super) fn of(&self, number: u64) -> Option<[u64; 3]> {
        if number > self.up_to {
            return Some([0; 3]);
        }
        let open = self.open.iter().find(|open| open.number == number)?;
        Some([open.stdout, open.stderr, open.terminal])
    }
}
