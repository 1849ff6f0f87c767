//! An answer in a form that two of them can be compared in, and searched.

use std::{collections::BTreeMap, fmt};

use sandgate_system::{Fields, Reply};
use tonic::Code;
use tonic_types::{ErrorDetail, StatusExt as _};

/// All that a caller can see of an answer, but its time.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// None: it had not ended, so it is a stream that goes on.
    pub(crate) code: Option<Code>,
    /// Empty where it is no error.
    pub(crate) reason: String,
    /// Message, details and the names of all headers.
    text: String,
    body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, text, .. } = self;
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{code:?} {text} {body:.200?}")
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn of(reply: &Reply) -> Self {
        let mut headers: Vec<_> = reply.headers.keys().chain(reply.trailers.keys()).collect();
        headers.sort_by_key(|name| name.as_str());
        let body = reply.body.to_vec();
        let Some(status) = reply.ended() else {
            return Self {
                code: None,
                reason: String::new(),
                text: format!("{headers:?}"),
                body,
            };
        };
        let reason = if status.code() == Code::Ok {
            String::new()
        } else {
            sandgate_system::reason(&status).1
        };
        let details = status.get_error_details_vec();
        let details: Vec<String> = details.iter().map(detail).collect();
        Self {
            code: Some(status.code()),
            reason,
            text: format!("{} {details:?} {headers:?}", status.message()),
            body,
        }
    }

    /// Whether it tells of nothing but that the call was well-formed.
    pub(crate) fn is_empty_list(&self) -> bool {
        // Flag and length of a message without fields.
        self.code == Some(Code::Ok) && self.body == [0; 5]
    }

    /// Whether it is no error.
    pub(crate) fn is_fine(&self) -> bool {
        matches!(self.code, None | Some(Code::Ok))
    }

    /// The same with the ids that the request held replaced by their names.
    pub(crate) fn without(mut self, ids: &Fields) -> Self {
        for (name, id) in ids.iter() {
            self.text = self.text.replace(id, name);
            while let Some(at) = find(&self.body, id.as_bytes()) {
                self.body.splice(at..at + id.len(), name.bytes());
            }
        }
        self
    }

    /// Which of these texts is somewhere in it.
    pub(crate) fn told<'a>(&self, marks: &'a [String]) -> Option<&'a String> {
        marks.iter().find(|mark| {
            self.text.contains(mark.as_str()) || find(&self.body, mark.as_bytes()).is_some()
        })
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Maps have no order, so those of an `ErrorInfo` are given one.
fn detail(detail: &ErrorDetail) -> String {
    match detail {
        ErrorDetail::ErrorInfo(info) => {
            let metadata: BTreeMap<_, _> = info.metadata.iter().collect();
            format!("{} {} {metadata:?}", info.reason, info.domain)
        }
        other => format!("{other:?}"),
    }
}
