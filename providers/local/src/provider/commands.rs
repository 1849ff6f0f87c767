//! How a command starts.

use std::{collections::BTreeMap, io, sync::Arc};

use sandgate_kit::{CallContext, Command, Kind, ProviderError};
use sandgate_proto::Outcome;

use super::{Inner, internal};
use crate::{
    bwrap::{LaunchError, Launched, UserNamespace, View},
    exec::Running,
    identity::HostUser,
    limits::Limits,
    live::Slot,
    request::{check_user, sandbox_id},
    store::{Meta, State},
};

impl Inner {
    /// Starts a command: a bwrap that waits, limits put on it, then let go.
    pub(super) async fn exec(
        self: &Arc<Self>,
        context: &CallContext,
        command: Command,
    ) -> Result<Running, ProviderError> {
        check_user(&command.user)?;
        let id = sandbox_id(context)?;
        let slot = self.slot(id)?;
        // Until the command is counted in, the sandbox stays as it is.
        let _life = slot.life.read().await;
        let meta = self.find(context).await?;
        if meta.state == State::Stopped {
            return Err(ProviderError::new(
                Kind::NotRunning,
                "the sandbox is stopped; start it with StartSandbox, then run the command again",
            ));
        }
        let launched = match self.launch(&meta, &slot, &command).await {
            Ok(launched) => launched,
            Err(LaunchError::TooLong) => return Ok(Running::too_long()),
            Err(LaunchError::Nul) => {
                return Err(ProviderError::new(
                    Kind::InvalidField("cwd"),
                    "must not contain a NUL byte",
                ));
            }
            Err(error) => {
                return Err(ProviderError::new(
                    Kind::Unavailable(Outcome::Rejected),
                    "the sandbox could not be entered; the provider's log says why, and `sandgate doctor` what to do",
                )
                .caused_by(error));
            }
        };
        let group = self
            .limiter
            .apply(id, &Limits::from(&meta), launched.init())
            .map_err(internal(
                "the sandbox's limits could not be set; the provider's log says why",
            ))?;
        let registration = slot.register(launched.namespace().clone());
        Running::begin(launched, group, registration).map_err(internal(
            "the command could not be started; the provider's log says why",
        ))
    }

    async fn launch(
        &self,
        meta: &Meta,
        slot: &Slot,
        command: &Command,
    ) -> Result<Launched, LaunchError> {
        let users = match self.identity.of(meta.sandbox_id) {
            None => None,
            Some(user) => Some(users(slot, user).await?),
        };
        let mut env: BTreeMap<String, String> = meta.env.clone();
        env.extend(command.env.clone());
        let cwd = if command.cwd.is_empty() {
            &meta.workdir
        } else {
            &command.cwd
        };
        let (folder, etc) = (self.store.folder(meta.sandbox_id), self.store.etc());
        let view = View {
            folder: &folder,
            etc: &etc,
            network: meta.network,
            joins: users.is_some(),
            cwd,
            env: &env,
        };
        self.launcher.launch(&view, users, command).await
    }
}

async fn users(slot: &Slot, user: HostUser) -> io::Result<&UserNamespace> {
    slot.users
        .get_or_try_init(|| UserNamespace::make(user))
        .await
}
