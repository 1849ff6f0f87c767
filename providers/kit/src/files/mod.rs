//! Work on files in sandboxes: each call has a connection to the runner of its own, which hands it to
//! a process in the sandbox. Nothing that comes from there is believed before it is checked.

mod facts;
mod line;
mod refused;
mod room;

use std::{sync::Arc, time::Duration};

use sandgate_proto::Outcome;
use tokio::time::timeout;

pub(crate) use self::{
    facts::{entries, info, summary},
    line::{Answer, Line},
    room::Rooms,
};
use crate::{CallContext, Kind, Provider, ProviderError};

/// How long a sandbox may take to be reached.
const REACH: Duration = Duration::from_secs(20);

/// What work on files is to the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// No use of it.
    Look,
    /// Keeps it awake.
    Use,
}

/// A way to the files of one sandbox.
pub(crate) async fn open<P: Provider>(
    provider: &Arc<P>,
    rooms: &Rooms,
    context: &CallContext,
    purpose: Purpose,
) -> Result<Line<P::Link>, ProviderError> {
    let place = rooms.take(&context.sandbox_id)?;
    let opened = async {
        let reached = provider.reach(context).await?;
        Line::open(reached, context, purpose, place).await
    };
    let late = || {
        ProviderError::new(
            Kind::Unavailable(Outcome::Rejected),
            "the sandbox could not be reached in time; repeat the call",
        )
    };
    timeout(REACH, opened).await.map_err(|_| late())?
}
