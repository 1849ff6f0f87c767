//! The way to the runner in a sandbox, and why there is none.

use std::io;

use sandgate_kit::{CallContext, GreetError, Greeted, Kind, ProviderError};
use sandgate_proto::Outcome;

use crate::{
    E2b,
    api::body::State,
    envd::{Envd, EnvdFault, Visits},
    kept::Kept,
    prepare::{prepare, visits},
};

/// What a caller is told of a runner that cannot be greeted.
const SILENT: &str = "the runner in the sandbox does not answer just now; try again";

/// What can be done about a runner that does not answer.
enum Remedy {
    /// Ask E2B for the token, which is another one by now.
    Token,
    /// Put the runner there.
    Prepare,
    /// Nothing: what E2B says of the sandbox explains it.
    None,
}

impl E2b {
    /// Greets the runner of the context's sandbox, with what is known of it; if that is too old, with
    /// what E2B says, and if it is not there, once it is.
    pub(crate) async fn greet(
        &self,
        context: &CallContext,
    ) -> Result<Greeted<Visits>, ProviderError> {
        let mut kept = self.kept(context);
        let mut id = context.provider_sandbox_id.clone();
        // Not all is known of one that was adopted.
        let mut fresh = id.is_empty() || kept.token.is_none();
        if fresh {
            id = self.refresh(context, &mut kept).await?;
        }
        loop {
            let envd = self.envd(&id, &kept).map_err(unheard)?;
            let error = match self.greet_at(envd.clone(), context, &kept).await {
                Ok(greeted) => return Ok(greeted),
                Err(error) => error,
            };
            match remedy(&error) {
                Remedy::Prepare if !fresh || kept.home.is_empty() => {
                    prepare(&envd, &mut kept, None).await?;
                    fresh = true;
                }
                Remedy::Token if !fresh => {
                    id = self.refresh(context, &mut kept).await?;
                    fresh = true;
                }
                _ => {
                    // Says so where it is gone, or does not run.
                    self.refresh(context, &mut kept).await?;
                    return Err(unreached(error));
                }
            }
        }
    }

    async fn greet_at(
        &self,
        envd: Envd,
        context: &CallContext,
        kept: &Kept,
    ) -> Result<Greeted<Visits>, GreetError> {
        if kept.home.is_empty() || kept.workdir.is_empty() {
            // Nobody has prepared it, as far as is known.
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        let visits = visits(envd, kept, self.config.output_limit);
        Greeted::by(visits, context).await
    }

    /// Asks E2B; its id of the sandbox. Fails where that does not run.
    async fn refresh(
        &self,
        context: &CallContext,
        kept: &mut Kept,
    ) -> Result<String, ProviderError> {
        let found = self.find(context).await?;
        if found.state != State::Running {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is paused; resume it, or start it if it was stopped",
            ));
        }
        kept.take(&found.access);
        Ok(found.access.sandbox_id)
    }
}

fn remedy(error: &GreetError) -> Remedy {
    let GreetError::Io(error) = error else {
        return Remedy::None;
    };
    if error.kind() == io::ErrorKind::NotFound {
        return Remedy::Prepare;
    }
    match of_envd(error) {
        Some(EnvdFault::Token) => Remedy::Token,
        // What an older envd says of a program that is not there.
        Some(EnvdFault::Refused { status: 400, .. }) => Remedy::Prepare,
        _ => Remedy::None,
    }
}

fn of_envd(error: &io::Error) -> Option<&EnvdFault> {
    error.get_ref()?.downcast_ref()
}

fn unreached(error: GreetError) -> ProviderError {
    if let GreetError::Io(cause) = &error
        && let Some(fault) = of_envd(cause)
    {
        return unheard(fault.copied());
    }
    ProviderError::new(Kind::Unavailable(Outcome::Rejected), SILENT).caused_by(error)
}

fn unheard(fault: EnvdFault) -> ProviderError {
    fault.told(Outcome::Rejected, SILENT)
}
