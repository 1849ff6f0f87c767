//! The stream that a caller reads. One that stops without `ended` is an error, never a clean end.

use futures::{Stream, stream};
use sandgate_proto::{
    Problem, Reason,
    v1::{ExecResponse, exec_response::Event},
};
use tokio::sync::mpsc::Receiver;
use tonic::Status;

/// The messages of one execution.
pub(crate) fn stream(
    messages: Receiver<ExecResponse>,
) -> impl Stream<Item = Result<ExecResponse, Status>> + Send {
    stream::unfold(Some(messages), |messages| async move {
        let mut messages = messages?;
        match messages.recv().await {
            Some(message) if matches!(message.event, Some(Event::Ended(_))) => {
                Some((Ok(message), None))
            }
            Some(message) => Some((Ok(message), Some(messages))),
            None => Some((Err(interrupted().into()), None)),
        }
    })
}

fn interrupted() -> Problem {
    Problem::new(
        Reason::Draining,
        "the provider is shutting down and the command's outcome was not seen; look at the sandbox before running it again",
    )
}
