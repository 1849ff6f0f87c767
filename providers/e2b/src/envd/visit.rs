//! Visits to the runner: each is a process that envd starts and streams.

use std::{io, time::Duration};

use bytes::Bytes;
use connectrpc::client::ServerStream;
use sandgate_e2b_envd::process::{
    ListRequest, ProcessConfig, ProcessSelector, SendSignalRequest, Signal, StartRequest,
    StartResponseView, process_event, process_selector,
};
use sandgate_kit::{Reader, Upload, Uploaded, Visit, Visitor};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Envd, EnvdFault, files::ROOT};

/// Begins the names of files that are there for a moment, on the disk that most are for.
const UPLOADS: &str = "/var/tmp/.sandgate";
/// Longest silence of a stream: envd says every fifteen seconds that it lives.
const SILENCE: Duration = Duration::from_secs(50);
/// How long a process may take to be started, and one to be ended.
const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);
/// Before each try to remove a file.
const REMOVALS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];
/// Most that is kept of what a visit says on standard error, bytes.
const STDERR: usize = 4096;
/// The shell's, for a program that is not there, or is none.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// A process that is followed.
pub(crate) struct Running {
    envd: Envd,
    pid: u32,
    stream: ServerStream<reqwest::Body, StartResponseView<'static>>,
    pub(super) exit_code: Option<i32>,
    pub(super) stderr: Vec<u8>,
}

impl Running {
    /// Starts a process. One that may have been started unseen is looked for and killed.
    pub(super) async fn start(envd: &Envd, mut request: StartRequest) -> Result<Self, EnvdFault> {
        let tag = Uuid::new_v4().to_string();
        request.tag = Some(tag.clone());
        let mut unseen = Unseen(Some((envd.clone(), tag)));
        let started = Self::seen(envd, request).await;
        // What was refused is not there.
        if matches!(
            &started,
            Ok(_)
                | Err(EnvdFault::Gone
                    | EnvdFault::Closed
                    | EnvdFault::Token
                    | EnvdFault::Refused { .. })
        ) {
            unseen.0 = None;
        }
        started
    }

    async fn seen(envd: &Envd, request: StartRequest) -> Result<Self, EnvdFault> {
        let late = |_| EnvdFault::Garbage("envd does not start it in time".to_owned());
        let processes = envd.processes()?;
        let started = processes.start_with_options(request, Envd::streaming());
        let stream = timeout(START, started).await.map_err(late)?;
        let mut running = Self {
            envd: envd.clone(),
            pid: 0,
            stream: stream.map_err(|error| EnvdFault::of(&error))?,
            exit_code: None,
            stderr: Vec::new(),
        };
        // The first event is its number.
        timeout(START, running.event()).await.map_err(late)??;
        Ok(running)
    }

    /// What it printed next on standard output; none: it has ended, or the stream has.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, EnvdFault> {
        loop {
            let event = timeout(SILENCE, self.event()).await;
            let event = event.map_err(|_| EnvdFault::Garbage("envd is silent".to_owned()))??;
            match event {
                Event::Stdout(bytes) => return Ok(Some(bytes)),
                Event::Ended => return Ok(None),
                Event::Other => {}
            }
        }
    }

    async fn event(&mut self) -> Result<Event, EnvdFault> {
        let message = self
            .stream
            .message()
            .await
            .map_err(|error| EnvdFault::of(&error))?;
        let Some(message) = message else {
            return match self.exit_code {
                Some(_) => Ok(Event::Ended),
                None => Err(EnvdFault::Garbage("its end was not told".to_owned())),
            };
        };
        let message = message.to_owned_message();
        let event = message.event.into_option().and_then(|event| event.event);
        Ok(match event {
            Some(process_event::Event::Start(start)) => {
                self.pid = start.pid;
                Event::Other
            }
            Some(process_event::Event::Data(data)) => match data.output {
                Some(process_event::data_event::Output::Stdout(bytes)) => {
                    Event::Stdout(bytes.into())
                }
                Some(process_event::data_event::Output::Stderr(bytes)) => {
                    let room = STDERR.saturating_sub(self.stderr.len());
                    self.stderr
                        .extend_from_slice(&bytes[..bytes.len().min(room)]);
                    Event::Other
                }
                _ => Event::Other,
            },
            Some(process_event::Event::End(end)) => {
                self.exit_code = Some(end.exit_code);
                Event::Other
            }
            _ => Event::Other,
        })
    }
}

/// A process that may be there, and whose number nobody knows.
struct Unseen(Option<(Envd, String)>);

impl Drop for Unseen {
    fn drop(&mut self) {
        let Some((envd, tag)) = self.0.take() else {
            return;
        };
        tokio::spawn(async move {
            match timeout(END, envd.kill_tagged(&tag)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a visit that began unseen is left"),
                Err(_) => tracing::debug!("a visit that began unseen is left: envd is silent"),
            }
        });
    }
}

impl Envd {
    /// Kills the process with this tag, if there is one. By its number: envd's own look for tags stops at
    /// the first other one.
    async fn kill_tagged(&self, tag: &str) -> Result<(), EnvdFault> {
        let listed = self.processes()?.list(ListRequest::default()).await;
        let listed = listed.map_err(|error| EnvdFault::of(&error))?.into_owned();
        let found = listed
            .processes
            .iter()
            .find(|one| one.tag.as_deref() == Some(tag));
        match found {
            Some(found) => self.kill(found.pid).await,
            None => Ok(()),
        }
    }

    async fn kill(&self, pid: u32) -> Result<(), EnvdFault> {
        let request = SendSignalRequest {
            process: ProcessSelector {
                selector: Some(process_selector::Selector::Pid(pid)),
                ..ProcessSelector::default()
            }
            .into(),
            signal: Signal::SIGNAL_SIGKILL.into(),
            ..SendSignalRequest::default()
        };
        let sent = self.processes()?.send_signal(request).await;
        sent.map(drop).map_err(|error| EnvdFault::of(&error))
    }
}

enum Event {
    Stdout(Bytes),
    Ended,
    Other,
}

/// Visits to the runner of one sandbox.
pub(crate) struct Visits {
    pub(crate) envd: Envd,
    /// Who files are for.
    pub(crate) user: String,
    /// Where frames are put that variables should not hold, without the end of the name.
    pub(crate) frames: &'static str,
    /// Path of the runner.
    pub(crate) program: String,
    /// What comes after `visit`.
    pub(crate) args: Vec<String>,
    /// Environment that a runner is started with, should this visit have to.
    pub(crate) env: Vec<(String, String)>,
}

impl Visitor for Visits {
    type Visit = Running;

    async fn visit(&self, variables: Vec<(String, String)>) -> io::Result<Running> {
        let mut args = vec!["visit".to_owned()];
        args.extend(self.args.iter().cloned());
        let envs = self.env.iter().cloned().chain(variables).collect();
        let request = StartRequest {
            process: ProcessConfig {
                cmd: self.program.clone(),
                args,
                envs,
                // The template's own may be gone.
                cwd: Some("/".to_owned()),
                ..ProcessConfig::default()
            }
            .into(),
            stdin: Some(false),
            ..StartRequest::default()
        };
        Ok(Running::start(&self.envd, request).await?)
    }

    async fn upload(&self, content: Upload, reader: Reader) -> io::Result<Uploaded> {
        let (start, user) = match reader {
            Reader::Runner => (self.frames, ROOT),
            Reader::User => (UPLOADS, self.user.as_str()),
        };
        let path = format!("{start}.{}", Uuid::new_v4());
        let (envd, name) = (self.envd.clone(), path.clone());
        let file = Uploaded::new(path, move || drop(tokio::spawn(remove(envd, name))));
        self.envd.upload_all(file.path(), user, content).await?;
        Ok(file)
    }
}

/// Removes a file, unless the sandbox is gone; a fault of the moment does not keep it there.
async fn remove(envd: Envd, path: String) {
    for pause in REMOVALS {
        sleep(pause).await;
        match timeout(END, envd.remove(&path)).await {
            Ok(Ok(()) | Err(EnvdFault::Gone)) => return,
            Ok(Err(error)) => tracing::debug!(%error, "an upload is not removed from a sandbox"),
            Err(_) => tracing::debug!("an upload is not removed: envd is silent"),
        }
    }
    tracing::warn!("an upload that nobody took may be left in a sandbox: envd does not remove it");
}

impl Visit for Running {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = Self::next(self).await? {
            return Ok(Some(bytes));
        }
        match self.exit_code {
            Some(0) => Ok(None),
            Some(code) if NO_PROGRAM.contains(&code) => Err(io::ErrorKind::NotFound.into()),
            code => Err(io::Error::other(format!(
                "a visit to the runner ended with {code:?}: {}",
                String::from_utf8_lossy(&self.stderr)
            ))),
        }
    }

    async fn end(self) {
        match timeout(END, self.envd.kill(self.pid)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a visit could not be ended"),
            Err(_) => tracing::debug!("a visit was not ended in time"),
        }
    }
}
