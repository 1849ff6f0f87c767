//! Answers to requests: a body, nothing, or a refusal.

use sandgate_runner_proto::v1::{Channel, Done, FromRunner, Refused, from_runner::Body};

/// What a request comes to; nothing: it was answered already, or never is.
pub(crate) type Answer = Result<Option<Body>, Refused>;

/// Refuses a request.
pub(crate) fn refused(reason: &str, message: &str) -> Refused {
    Refused {
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Refused::default()
    }
}

/// Refuses a request that breaks the rules of the protocol.
pub(crate) fn malformed(message: &str) -> Refused {
    refused("MALFORMED", message)
}

/// Refuses an offset; `highest` is what could be asked for.
pub(crate) fn out_of_range(highest: u64, channel: Channel) -> Refused {
    let message =
        format!("there is nothing past byte {highest}; ask for that byte or an earlier one");
    Refused {
        offset: highest,
        channel: channel.into(),
        ..refused("OFFSET_OUT_OF_RANGE", &message)
    }
}

/// Refuses an execution that is not there.
pub(crate) fn not_found() -> Refused {
    refused(
        "NOT_FOUND",
        "there is no such execution; the newest 1,000 that ended are kept",
    )
}

/// Says whether something reached a process.
pub(crate) fn done(delivered: bool) -> Answer {
    Ok(Some(Body::Done(Done { delivered })))
}

/// A frame with this body.
pub(crate) fn frame(call: u64, body: Body) -> FromRunner {
    FromRunner {
        call,
        body: Some(body),
    }
}
