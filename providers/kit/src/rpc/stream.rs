//! The stream that a caller reads: `started` first, keep-alives in silence, one end, last. Nothing
//! is read of the execution while the caller does not read.
//!
//! A caller who goes away ends the observation, and with `cancel_on_disconnect` the runner then
//! ends the execution. It cannot tell a caller from a provider: a provider that drains or dies
//! takes its calls with it, and such executions too. All others run on.

use std::time::Duration;

use futures::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::{
    Provider,
    executions::{Follow, Message},
};

/// Silence after which a caller is told that the stream lives.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

enum State<P> {
    First(Follow<P>),
    On(Follow<P>),
    Over,
}

/// The messages of one execution. One that stops without an end is an error, never a clean end.
pub(super) fn stream<P: Provider, T: From<Message> + Send>(
    follow: Follow<P>,
    provider: &'static str,
    sandbox_id: String,
) -> impl Stream<Item = Result<T, Status>> + Send {
    stream::unfold(State::First(follow), move |state| {
        let sandbox_id = sandbox_id.clone();
        async move {
            let (item, state) = match state {
                State::First(follow) => (Ok(Message::Started(follow.started())), State::On(follow)),
                State::On(mut follow) => match next(&mut follow).await {
                    Ok(last @ (Message::Ended(_) | Message::SnapshotEnd(_))) => {
                        (Ok(last), State::Over)
                    }
                    Ok(message) => (Ok(message), State::On(follow)),
                    Err(error) => (
                        Err(error.into_problem(provider, &sandbox_id).into()),
                        State::Over,
                    ),
                },
                State::Over => return None,
            };
            Some((item.map(T::from), state))
        }
    })
}

async fn next<P: Provider>(follow: &mut Follow<P>) -> Result<Message, crate::ProviderError> {
    let silence = Instant::now() + KEEP_ALIVE;
    tokio::select! {
        biased;
        message = follow.next() => message,
        () = sleep_until(silence) => Ok(Message::KeepAlive),
    }
}
