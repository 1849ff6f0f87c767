//! How a sandbox starts: a namespace that waits, limits put on it, then its runner let go.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use sandgate_kit::{Kind, ProviderError, greet};
use sandgate_proto::Outcome;
use sandgate_runner_proto::v1::{KillGuarantee, Welcome};
use tokio::time::{Instant, sleep};

use super::{Inner, blocking, internal};
use crate::{
    bwrap::{self, LaunchError, Launched, Program, UserNamespace, View, complaint},
    control::{NoWay, SOCKET, connect},
    init::Init,
    limits::{Group, Limits},
    step,
    store::{CONTROL, Meta, SPOOL},
};

/// How long a runner may take to answer.
const READY: Duration = Duration::from_secs(10);
/// Between TERM and KILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// Name of the file with what bwrap and the runner complain about, in the sandbox's folder.
const LOG: &str = "runner.log";

impl Inner {
    /// Starts the runner of a sandbox that has none, and waits until it answers. A failure leaves
    /// the sandbox stopped.
    pub(super) async fn bring_up(self: &Arc<Self>, meta: &mut Meta) -> Result<(), ProviderError> {
        let Err(error) = self.brought_up(meta).await else {
            return Ok(());
        };
        let ended = self.end(meta.sandbox_id, meta.init.as_ref()).await;
        if let Err(error) = ended {
            tracing::warn!(sandbox_id = %meta.sandbox_id, %error, "not all of a failed start could be taken back");
        }
        meta.stopped();
        self.write(meta).await?;
        Err(error)
    }

    async fn brought_up(self: &Arc<Self>, meta: &mut Meta) -> Result<(), ProviderError> {
        let (id, user) = (meta.sandbox_id, self.identity.of(meta.sandbox_id));
        step::reached("local.start.begin")?;
        let inner = self.clone();
        blocking(move || inner.store.renew_control(id, user))
            .await
            .map_err(internal(
                "the runner's folder cannot be made; look at the free space of the data folder",
            ))?;
        let limits = Limits::from(&*meta);
        let limited =
            internal("the sandbox's limits could not be set; the provider's log says why");
        let mut group = self.limiter.prepare(id, &limits, user).map_err(&limited)?;
        step::reached("local.start.groups")?;
        let launched = self.launch(meta, &mut group).await.map_err(not_launched)?;
        step::reached("local.start.launched")?;
        self.limiter
            .apply(&group, &limits, launched.pid())
            .map_err(&limited)?;
        // Noted before it begins, so that whoever comes after a crash finds it.
        meta.started(launched.init().clone());
        self.write(meta).await?;
        step::reached("local.start.noted")?;
        let init = launched.init().clone();
        launched.release().map_err(internal(
            "the sandbox could not be started; the provider's log says why",
        ))?;
        step::reached("local.start.released")?;
        let welcome = self.ready(meta, &init).await?;
        step::reached("local.start.answered")?;
        if group_was_refused(self.limiter.kills(), &welcome) {
            tracing::warn!(sandbox_id = %id, guarantee = ?welcome.kill_guarantee(), "the runner cannot use its control group");
        }
        if user.is_some() {
            let inner = self.clone();
            blocking(move || inner.store.seal_control(id))
                .await
                .map_err(internal("the runner's folder cannot be sealed"))?;
        }
        Ok(())
    }

    async fn launch(&self, meta: &Meta, group: &mut Group) -> Result<Launched, LaunchError> {
        let users = match self.identity.of(meta.sandbox_id) {
            None => None,
            Some(user) => Some(UserNamespace::make(user).await?),
        };
        let (folder, etc) = (self.store.folder(meta.sandbox_id), self.store.etc());
        let view = View {
            folder: &folder,
            etc: &etc,
            network: meta.network,
            joins: users.is_some(),
            runner: &self.runner,
            oom: group.oom.as_deref(),
            env: &meta.env,
        };
        let program = Program {
            options: self.options(meta, view.oom.is_some()),
            view,
            users: users.as_ref(),
            groups: group.kills.take(),
            log: &self.log(meta),
        };
        self.launcher.launch(program).await
    }

    fn options(&self, meta: &Meta, oom: bool) -> Vec<OsString> {
        let limit = self.config.output_limit.0;
        let mut options: Vec<(&str, String)> = vec![
            ("--socket", format!("{}/{SOCKET}", bwrap::CONTROL)),
            ("--spool-dir", format!("{}/{SPOOL}", bwrap::CONTROL)),
            ("--cwd", meta.workdir.clone()),
            ("--grace", GRACE.as_millis().to_string()),
            ("--output-limit", limit.to_string()),
            ("--total-limit", limit.saturating_mul(4).to_string()),
            ("--sandbox", meta.sandbox_id.to_string()),
            ("--generation", meta.generation.to_string()),
        ];
        if oom {
            options.push(("--oom-file", bwrap::OOM.to_owned()));
        }
        options
            .into_iter()
            .flat_map(|(name, value)| [name.into(), value.into()])
            .collect()
    }

    fn log(&self, meta: &Meta) -> PathBuf {
        self.store.folder(meta.sandbox_id).join(LOG)
    }

    /// Waits until the runner answers, as long as it lives.
    async fn ready(&self, meta: &Meta, init: &Init) -> Result<Welcome, ProviderError> {
        let control = self.store.folder(meta.sandbox_id).join(CONTROL);
        let until = Instant::now() + READY;
        let mut pause = Duration::from_millis(1);
        loop {
            let answer = async {
                let mut stream = connect(&control, init).await?;
                Ok(greet(&mut stream, Bytes::new()).await?)
            };
            let error = match tokio::time::timeout_at(until, answer).await {
                Ok(Ok(welcome)) => return Ok(welcome),
                Ok(Err(error)) => error,
                Err(_) => NoWay::Io(std::io::ErrorKind::TimedOut.into()),
            };
            if !init.is_alive() || Instant::now() >= until {
                let words = complaint(&self.log(meta));
                return Err(unavailable(format!("{error}; {words}")));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

fn group_was_refused(given: bool, welcome: &Welcome) -> bool {
    given && welcome.kill_guarantee() != KillGuarantee::Cgroup
}

fn not_launched(error: LaunchError) -> ProviderError {
    let invalid =
        |message: &str| ProviderError::new(Kind::InvalidField("spec.env"), message.to_owned());
    match error {
        LaunchError::TooLong => {
            invalid("has more variables than a sandbox can take; keep it below 2,900")
        }
        LaunchError::Nul => invalid("must not contain a NUL byte"),
        error => unavailable(error),
    }
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::new(
        Kind::Unavailable(Outcome::Rejected),
        "the sandbox could not be started; look at the provider's log, and run `sandgate doctor`",
    )
    .caused_by(cause)
}
