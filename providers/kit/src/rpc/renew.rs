//! RenewSandbox: what a sandbox does, how long it is kept, and the end of all that runs in it.

use std::time::Duration;

use sandgate_proto::{
    Outcome,
    v1::{RenewSandboxRequest, RenewSandboxResponse, SandboxState},
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::{Service, answer, context};
use crate::{
    CallContext, Instance, Kind, Provider, ProviderError,
    executions::{Activity, Close, Executions, not_negative},
};

/// How long the upstream may take. Bounded here, since the stop or delete that follows waits for its
/// turn, also where the caller has long given up.
const UPSTREAM: Duration = Duration::from_secs(8);

/// What is asked for, checked.
struct Renewal {
    cursor: String,
    keep_for: Option<Duration>,
    close: Option<Close>,
}

impl TryFrom<RenewSandboxRequest> for Renewal {
    type Error = ProviderError;

    fn try_from(request: RenewSandboxRequest) -> Result<Self, ProviderError> {
        Ok(Self {
            cursor: request.ended_cursor,
            keep_for: not_negative("keep_for", request.keep_for)?,
            close: request.end_executions.map(Close::try_from).transpose()?,
        })
    }
}

/// What came of it.
struct Renewed {
    instance: Instance,
    closed: bool,
    activity: Activity,
}

impl<P: Provider> Service<P> {
    pub(super) async fn renew(
        &self,
        request: Request<RenewSandboxRequest>,
    ) -> Result<Response<RenewSandboxResponse>, Status> {
        let body = request.get_ref();
        let context = context(&request, &body.session_id, &body.sandbox_id)?;
        let failed = |error: ProviderError| self.problem(error, &context.sandbox_id);
        let version = context.state_version;
        let renewal = Renewal::try_from(request.into_inner()).map_err(failed)?;
        let renewed = if renewal.close.is_some() {
            let executions = self.executions.clone();
            self.to_the_end(context, |provider, context| async move {
                renewed(&*provider, &executions, &context, renewal).await
            })
            .await?
        } else {
            let found = renewed(&*self.provider, &self.executions, &context, renewal).await;
            found.map_err(failed)?
        };
        let Renewed {
            instance,
            closed,
            activity,
        } = renewed;
        let reply = RenewSandboxResponse {
            sandbox: Some(self.sandbox(&instance)),
            running_executions: activity.running,
            last_activity_time: activity.last.map(Into::into),
            ended: activity.ended,
            ended_cursor: activity.cursor,
            more_ended: activity.more,
            closed,
        };
        Ok(answer::with_state(reply, &instance, version))
    }
}

async fn renewed<P: Provider>(
    provider: &P,
    executions: &Executions<P>,
    context: &CallContext,
    renewal: Renewal,
) -> Result<Renewed, ProviderError> {
    let asked = timeout(UPSTREAM, provider.renew(context, renewal.keep_for)).await;
    let instance = asked.unwrap_or_else(|_| {
        let kind = Kind::Unavailable(Outcome::Ambiguous);
        let message = "the upstream did not say in time what the sandbox does; try again";
        Err(ProviderError::new(kind, message))
    })?;
    // The runner of any other cannot be asked, or there is none.
    if instance.state != SandboxState::Running {
        let closed = renewal.close.is_some() && instance.state == SandboxState::Stopped;
        return Ok(Renewed {
            instance,
            closed,
            activity: Activity::default(),
        });
    }
    let closed = match &renewal.close {
        Some(close) => executions.close(context, close).await?,
        None => false,
    };
    let activity = executions.activity(context, &renewal.cursor).await?;
    Ok(Renewed {
        instance,
        closed,
        activity,
    })
}
