//! One call to a runner, repeated over new links where that is safe.

use std::{future::Future, sync::Arc};

use super::{Executions, Patience, Stop};
use crate::{
    CallContext, Kind, Provider,
    runner::{Link, LinkError},
};

/// Which start of a runner answered.
pub(crate) type Boot = String;

/// What a loss of the link means for a call.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// It may be sent again.
    repeat: bool,
    /// Sent again it must meet the same boot.
    pinned: bool,
    /// The only boot that it may meet.
    boot: Option<Boot>,
}

impl Terms {
    /// A look, or what the runner makes idempotent within the execution: may be repeated.
    pub(super) const fn read() -> Self {
        Self {
            repeat: true,
            pinned: false,
            boot: None,
        }
    }

    /// May be repeated only in this boot.
    pub(super) fn read_in(boot: Boot) -> Self {
        Self {
            boot: Some(boot),
            ..Self::read()
        }
    }

    /// A start: a runner that got it knows its id, and another boot of it does not.
    pub(super) fn start() -> Self {
        Self {
            pinned: true,
            ..Self::read()
        }
    }

    /// Has effect each time.
    pub(super) fn once() -> Self {
        Self {
            repeat: false,
            ..Self::read()
        }
    }
}

impl<P: Provider> Executions<P> {
    /// Makes the call, and makes it again over new links as the terms and `patience` allow.
    pub(super) async fn call<T, F, C>(
        &self,
        context: &CallContext,
        mut terms: Terms,
        patience: &mut Patience,
        call: F,
    ) -> Result<(T, Boot), Stop>
    where
        F: Fn(Arc<Link>) -> C,
        C: Future<Output = Result<T, LinkError>>,
    {
        let mut sent = false;
        loop {
            let link = match self.links.get(context).await {
                Ok(link) => link,
                Err(none) => {
                    let stop = Stop::no_link(none, sent && terms.pinned);
                    if stop.is_passing(sent) && patience.pause().await {
                        continue;
                    }
                    return Err(stop);
                }
            };
            let boot = link.welcome().boot_id.clone();
            if terms.boot.as_ref().is_some_and(|only| *only != boot) {
                return Err(Stop::OtherBoot);
            }
            if terms.pinned {
                terms.boot = Some(boot.clone());
            }
            match call(link).await {
                Ok(done) => return Ok((done, boot)),
                Err(error) => {
                    let lost = matches!(error, LinkError::Lost);
                    let outcome_known = terms.repeat && !terms.pinned;
                    let stop = Stop::link(error, outcome_known);
                    if !(lost && terms.repeat && patience.pause().await) {
                        return Err(stop);
                    }
                    sent = true;
                }
            }
        }
    }

    /// Why nobody can ever say how an execution of this sandbox ended; none while it may live.
    pub(super) async fn fate(&self, context: &CallContext) -> Option<&'static str> {
        use sandgate_proto::v1::SandboxState as State;
        match tokio::time::timeout(super::FATE, self.provider.get(context)).await {
            Ok(Ok(instance)) => match instance.state {
                State::Stopped => Some("SANDBOX_STOPPED"),
                State::Deleting | State::Deleted | State::Failed => Some("SANDBOX_GONE"),
                _ => None,
            },
            Ok(Err(error)) if *error.kind() == Kind::SandboxGone => Some("SANDBOX_GONE"),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}
