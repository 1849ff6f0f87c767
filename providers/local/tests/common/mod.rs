//! A provider behind its gRPC server, and a client that sends it what a gateway would.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod data;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use clap::Parser;
pub use data::Data;
use prost::Message as _;
use sandgate_kit::KitArgs;
use sandgate_proto::{
    CONTEXT_METADATA,
    provider::v1::ProviderContext,
    v1::{
        self, ExecRequest, ExecResponse, OutputChannel, Sandbox, SandboxSpec, exec_response::Event,
        execution_ended::Outcome, execution_service_client::ExecutionServiceClient,
        sandbox_service_client::SandboxServiceClient,
    },
};
use sandgate_provider_local::{Config, Local};
use tonic::{Code, Request, Status, Streaming, metadata::MetadataValue, transport::Channel};
use uuid::Uuid;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    kit: KitArgs,
}

pub struct Provider {
    pub data: Data,
    running: Option<sandgate_kit::Running>,
}

impl Provider {
    pub async fn start() -> Self {
        Self::start_in(Data::new()).await
    }

    pub async fn start_in(data: Data) -> Self {
        let config = Config::new(data.path());
        Self::start_with(data, config).await
    }

    pub async fn start_with(data: Data, config: Config) -> Self {
        let local = Local::open(config).await.unwrap();
        let kit = Flags::parse_from(["test"]).kit;
        let running = sandgate_kit::start(local, &kit, SocketAddr::from(([127, 0, 0, 1], 0))).await;
        Self {
            data,
            running: Some(running.unwrap()),
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.running.as_ref().unwrap().address()).await
    }

    /// Ends it and gives back its folder. Sandboxes end when that is dropped.
    pub async fn stop(mut self) -> Data {
        self.running
            .take()
            .unwrap()
            .stop(Duration::from_secs(5))
            .await;
        self.data
    }

    pub fn folder(&self, sandbox: &str) -> std::path::PathBuf {
        self.data.path().join("local").join(sandbox)
    }
}

#[derive(Clone)]
pub struct Client {
    channel: SandboxServiceClient<Channel>,
    executions: ExecutionServiceClient<Channel>,
    pub context: ProviderContext,
}

/// All that a stream said.
#[derive(Debug, Default)]
pub struct Run {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub outcome: Option<Outcome>,
}

impl Run {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    pub fn code(&self) -> i32 {
        match &self.outcome {
            Some(Outcome::ExitCode(code)) => *code,
            other => panic!("{other:?}: {}", self.errors()),
        }
    }

    pub fn signal(&self) -> (i32, bool) {
        match &self.outcome {
            Some(Outcome::Signaled(signaled)) => (signaled.signal, signaled.oom_killed),
            other => panic!("{other:?}: {}", self.errors()),
        }
    }

    pub fn start_failed(&self) -> &str {
        match &self.outcome {
            Some(Outcome::StartFailed(failed)) => &failed.reason,
            other => panic!("{other:?}: {}", self.errors()),
        }
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = channel.connect().await.unwrap();
        let context = ProviderContext {
            gateway_id: "gateway".into(),
            session_id: Uuid::new_v4().to_string(),
            sandbox_id: Uuid::new_v4().to_string(),
            generation: 1,
            ..ProviderContext::default()
        };
        Self {
            channel: SandboxServiceClient::new(channel.clone()),
            executions: ExecutionServiceClient::new(channel),
            context,
        }
    }

    /// The same session, another sandbox.
    pub fn sibling(&self) -> Self {
        let mut other = self.clone();
        other.context.sandbox_id = Uuid::new_v4().to_string();
        other
    }

    pub fn id(&self) -> &str {
        &self.context.sandbox_id
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(60));
        let value = MetadataValue::from_bytes(&self.context.encode_to_vec());
        request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
        request
    }

    /// What the provider made, without what was asked for.
    pub async fn try_create(&self, spec: SandboxSpec) -> Result<Sandbox, Status> {
        let body = v1::CreateSandboxRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let reply = self
            .channel
            .clone()
            .create_sandbox(self.request(body))
            .await?;
        Ok(Sandbox {
            spec: None,
            ..reply.into_inner().sandbox.unwrap()
        })
    }

    pub async fn create(&self) -> Sandbox {
        self.try_create(SandboxSpec::default()).await.unwrap()
    }

    pub async fn get(&self) -> Result<Sandbox, Status> {
        let reply = self
            .channel
            .clone()
            .get_sandbox(self.request(Default::default()))
            .await?;
        Ok(reply.into_inner().sandbox.unwrap())
    }

    pub async fn start(&self) -> Result<Sandbox, Status> {
        let reply = self
            .channel
            .clone()
            .start_sandbox(self.request(Default::default()))
            .await?;
        Ok(reply.into_inner().sandbox.unwrap())
    }

    pub async fn stop(&self) -> Result<Sandbox, Status> {
        let reply = self
            .channel
            .clone()
            .stop_sandbox(self.request(Default::default()))
            .await?;
        Ok(reply.into_inner().sandbox.unwrap())
    }

    pub async fn delete(&self) -> Result<(), Status> {
        self.channel
            .clone()
            .delete_sandbox(self.request(Default::default()))
            .await?;
        Ok(())
    }

    pub async fn list(&self, page_size: u32, page_token: &str) -> v1::ListSandboxesResponse {
        let body = v1::ListSandboxesRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        self.channel
            .clone()
            .list_sandboxes(self.request(body))
            .await
            .unwrap()
            .into_inner()
    }

    pub async fn capabilities(&self) -> v1::Capabilities {
        let body = v1::GetCapabilitiesRequest::default();
        let reply = self
            .channel
            .clone()
            .get_capabilities(self.request(body))
            .await
            .unwrap();
        reply.into_inner().capabilities.unwrap()
    }

    pub async fn stream(&self, request: ExecRequest) -> Result<Streaming<ExecResponse>, Status> {
        Ok(self
            .channel
            .clone()
            .exec(self.request(request))
            .await?
            .into_inner())
    }

    /// Starts a shell line and watches nothing; its id.
    pub async fn begin(&self, line: &str) -> String {
        let body = v1::StartExecutionRequest {
            command: line.to_owned(),
            ..Default::default()
        };
        let mut executions = self.executions.clone();
        let reply = executions.start_execution(self.request(body)).await;
        reply.unwrap().into_inner().execution.unwrap().execution_id
    }

    pub async fn execution(&self, id: &str) -> Result<v1::Execution, Status> {
        let body = v1::GetExecutionRequest {
            execution_id: id.to_owned(),
            ..Default::default()
        };
        let reply = self
            .executions
            .clone()
            .get_execution(self.request(body))
            .await?;
        Ok(reply.into_inner().execution.unwrap())
    }

    /// Follows an execution from this byte of stdout on.
    pub async fn watch(
        &self,
        id: &str,
        stdout_offset: u64,
    ) -> Result<Streaming<v1::StreamExecutionResponse>, Status> {
        let body = v1::StreamExecutionRequest {
            execution_id: id.to_owned(),
            stdout_offset: Some(stdout_offset),
            follow: true,
            ..Default::default()
        };
        let mut executions = self.executions.clone();
        Ok(executions
            .stream_execution(self.request(body))
            .await?
            .into_inner())
    }

    pub async fn exec(&self, request: ExecRequest) -> Run {
        read(self.stream(request).await.unwrap()).await
    }

    /// Runs a shell line.
    pub async fn sh(&self, line: &str) -> Run {
        self.exec(line_of(line)).await
    }
}

pub fn line_of(line: &str) -> ExecRequest {
    ExecRequest {
        command: line.to_owned(),
        ..Default::default()
    }
}

/// Reads a stream to its end and checks the rules that hold for every one.
pub async fn read(mut stream: Streaming<ExecResponse>) -> Run {
    let mut run = Run::default();
    let mut first = true;
    while let Some(message) = stream.message().await.unwrap() {
        assert!(run.outcome.is_none(), "something after ended");
        match message.event.unwrap() {
            Event::Started(_) => assert!(first),
            Event::Output(chunk) => {
                let all = match chunk.channel() {
                    OutputChannel::Stdout => &mut run.stdout,
                    _ => &mut run.stderr,
                };
                assert_eq!(chunk.offset, all.len() as u64);
                all.extend_from_slice(&chunk.data);
            }
            Event::Ended(ended) => {
                assert_eq!(ended.stdout.unwrap().bytes, run.stdout.len() as u64);
                assert_eq!(ended.stderr.unwrap().bytes, run.stderr.len() as u64);
                run.outcome = ended.outcome;
            }
            _ => {}
        }
        first = false;
    }
    assert!(run.outcome.is_some(), "no ended");
    run
}

/// Reads until stdout holds `text`.
pub async fn read_until(stream: &mut Streaming<ExecResponse>, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let message = stream
            .message()
            .await
            .unwrap()
            .expect("the stream ended early");
        match message.event.unwrap() {
            Event::Output(chunk) => seen.push_str(&String::from_utf8_lossy(&chunk.data)),
            Event::Ended(ended) => panic!("{ended:?} after {seen}"),
            _ => {}
        }
    }
}

pub fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> Code {
    result.unwrap_err().code()
}

/// Pids of processes on the host whose command line has `mark` in it.
pub fn processes(mark: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() && line.windows(mark.len()).any(|part| part == mark.as_bytes())
        {
            found.push(pid);
        }
    }
    found
}

/// Waits until no process has `mark` in its command line.
pub async fn gone(mark: &str) {
    for _ in 0..100 {
        if processes(mark).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still there: {:?}", processes(mark));
}

/// A number of seconds to sleep that nobody else sleeps, to find a process by.
pub fn mark() -> String {
    format!("1{:09}", Uuid::new_v4().as_u128() % 1_000_000_000)
}

pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
