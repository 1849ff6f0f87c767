//! Makes a container fit for work: before its start its working folder and the runner are put
//! there, and after it the runner has to answer.

use std::{ffi::OsStr, path::Path, time::Duration};

use bollard::{
    Docker, body_full,
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status},
    query_parameters::{LogsOptionsBuilder, UploadToContainerOptionsBuilder},
};
use bytes::Bytes;
use futures::StreamExt as _;
use sandgate_kit::{Kind, ProviderError, greet};
use sandgate_proto::Outcome;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    archive::{Archive, Entry, Rights},
    call,
    container::status,
    fault::Fault,
    find, images,
    link::{bridge, socket},
    people::Person,
    runner,
    way::Way,
};

/// How long a runner may take to answer; it takes milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long one greeting over a bridge may take.
const GREETING: Duration = Duration::from_secs(5);
/// Between two looks at a runner that does not answer: the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at its container.
const LOOK: Duration = Duration::from_millis(300);
/// The head of an archive, with the longest name, bytes.
const HEAD: usize = 16 * 1024;
/// What a runner that ended has said, bytes.
const SAID: usize = 4096;
const ROOT: Rights = Rights {
    uid: 0,
    gid: 0,
    mode: 0o700,
};

/// Why a runner does not answer.
#[derive(Debug, Error)]
pub(crate) enum NotReady {
    /// Its container runs, but nobody can be reached there.
    #[error("nobody answers: {0}")]
    Silent(String),
    /// All else.
    #[error(transparent)]
    Failed(#[from] ProviderError),
}

impl From<Fault> for NotReady {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault.into())
    }
}

/// Puts the runner into a container that a bridge leads to, with the secret for its callers.
pub(crate) async fn upload(docker: &Docker, id: &str, secret: &str) -> Result<(), ProviderError> {
    let program = Rights {
        mode: 0o555,
        ..ROOT
    };
    let archive = Archive::default()
        .add(
            inside(runner::PROGRAM),
            program,
            Entry::File(sandgate_runner_bundle::RUNNER),
        )
        .and_then(|archive| archive.add(inside(runner::FOLDER), ROOT, Entry::Folder));
    put_secret(docker, id, archive, secret).await
}

/// Takes away the secret that the runner has read by now.
pub(crate) async fn forget_secret(docker: &Docker, id: &str) -> Result<(), ProviderError> {
    put_secret(docker, id, Some(Archive::default()), "").await
}

async fn put_secret(
    docker: &Docker,
    id: &str,
    archive: Option<Archive>,
    secret: &str,
) -> Result<(), ProviderError> {
    let rights = Rights {
        mode: 0o600,
        ..ROOT
    };
    let file = Entry::File(secret.as_bytes());
    let archive = archive.and_then(|archive| archive.add(inside(runner::SECRET), rights, file));
    put(docker, id, "/", archive.unwrap_or_default()).await
}

/// A path as archives have it.
fn inside(path: &str) -> &str {
    path.trim_start_matches('/')
}

async fn put(docker: &Docker, id: &str, path: &str, archive: Archive) -> Result<(), ProviderError> {
    let options = UploadToContainerOptionsBuilder::new().path(path).build();
    let body = body_full(archive.finish().into());
    Ok(call::UPLOAD
        .run(docker.upload_to_container(id, Some(options), body))
        .await?)
}

/// Hands the working folder to the user unless that one may write there. The engine made it, and
/// made it root's.
pub(crate) async fn give(
    docker: &Docker,
    id: &str,
    workdir: &str,
    person: &Person,
) -> Result<(), ProviderError> {
    let found = images::entry(docker, id, workdir, HEAD).await?;
    if found.is_some_and(|found| found.is_folder && person.may_write(&found.rights)) {
        return Ok(());
    }
    let path = Path::new(workdir);
    let parts = path
        .parent()
        .and_then(Path::to_str)
        .zip(path.file_name().and_then(OsStr::to_str));
    let rights = Rights {
        uid: person.uid,
        gid: person.gid,
        mode: 0o755,
    };
    let archive = parts.and_then(|(parent, name)| {
        let archive = Archive::default().add(name, rights, Entry::Folder)?;
        Some((parent, archive))
    });
    let Some((parent, archive)) = archive else {
        let message = "choose a folder below the root whose own name is at most 99 bytes";
        return Err(ProviderError::new(
            Kind::InvalidField("spec.workdir"),
            message,
        ));
    };
    put(docker, id, parent, archive).await
}

/// Waits until the runner of a container that was started answers.
pub(crate) async fn wait(
    docker: &Docker,
    container: &ContainerInspectResponse,
    secret: &str,
    patience: Duration,
) -> Result<(), NotReady> {
    let id = container.id.as_deref().unwrap_or_default();
    let way = Way::of(container);
    let (end, mut pause) = (Instant::now() + patience, FIRST_PAUSE);
    let mut looked = Instant::now();
    loop {
        let why = match answers(docker, container, &way, secret).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        if looked.elapsed() >= LOOK || Instant::now() >= end {
            looked = Instant::now();
            let found = find::inspect(docker, id).await?.ok_or_else(find::gone)?;
            if status(&found) != Some(Status::RUNNING) {
                return Err(ended(docker, id).await.into());
            }
        }
        if Instant::now() >= end {
            return Err(NotReady::Silent(why));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the runner of a container answers now.
pub(crate) async fn once(
    docker: &Docker,
    container: &ContainerInspectResponse,
    secret: &str,
) -> Result<(), String> {
    answers(docker, container, &Way::of(container), secret).await
}

async fn answers(
    docker: &Docker,
    container: &ContainerInspectResponse,
    way: &Way,
    secret: &str,
) -> Result<(), String> {
    match way {
        Way::Socket { folder, .. } => {
            let found = socket::connect(folder, pid(container)).await;
            found.map(drop).map_err(|error| error.to_string())
        }
        Way::Bridge => {
            let id = container.id.as_deref().unwrap_or_default();
            let bridge = bridge::open(docker, id).await;
            let mut bridge = bridge.map_err(|error| error.to_string())?;
            let secret = Bytes::copy_from_slice(secret.as_bytes());
            match timeout(GREETING, greet(&mut bridge, secret)).await {
                Ok(answer) => answer.map(drop).map_err(|error| error.to_string()),
                Err(_) => Err("no answer in time".to_owned()),
            }
        }
    }
}

/// The container's PID 1 as its host numbers it; 0: none.
pub(crate) fn pid(container: &ContainerInspectResponse) -> i32 {
    let pid = container.state.as_ref().and_then(|state| state.pid);
    pid.and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0)
}

/// The runner ended as soon as it was started. What it said goes into the log.
async fn ended(docker: &Docker, id: &str) -> ProviderError {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail("5")
        .build();
    let lines = docker
        .logs(id, Some(options))
        .map(|line| line.map(bollard::container::LogOutput::into_bytes));
    let said = timeout(PATIENCE, call::LOGS.read(lines, SAID)).await;
    let said = said.ok().and_then(Result::ok).unwrap_or_default();
    let message = "the sandbox's first process ended at once; this provider's log says why. Choose another image, or more memory";
    ProviderError::new(Kind::Unavailable(Outcome::Ambiguous), message)
        .caused_by(String::from_utf8_lossy(&said).into_owned())
}
