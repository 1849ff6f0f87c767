//! A sandbox on an engine of the test's own, behind a provider that serves, and what counts in it.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser as _;
use prost::Message as _;
use sandgate_kit::{CallContext, Instance, Kind, Provider as _, ProviderError, Running, Spec};
use sandgate_proto::{
    CONTEXT_METADATA, Outcome as Certainty, Problem, Reason,
    provider::v1::ProviderContext,
    v1::{
        ExecutionEnded, GetExecutionRequest, RunCommandRequest, StartExecutionRequest,
        StreamExecutionRequest, StreamExecutionResponse, execution_ended::Outcome,
        execution_service_client::ExecutionServiceClient,
        sandbox_service_client::SandboxServiceClient, stream_execution_response::Event,
    },
};
use sandgate_provider_container::{Args, Container, Transport};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::{Request, Status, Streaming, metadata::MetadataValue, transport::Channel};

use super::{PATIENCE, config, engine::Engine, id, know};

const EXECUTION: &str = "count";
/// Numbers, until somebody has had enough of them.
const COUNT: &str = "i=0; while [ ! -e enough ]; do echo $i; i=$((i+1)); sleep 0.02; done; exit 7";
pub(crate) const EXIT_CODE: i32 = 7;

/// A sandbox of a provider that serves.
pub(crate) struct Guest {
    pub(crate) provider: Container,
    running: Running,
    channel: Channel,
    pub(crate) context: CallContext,
    _data: TempDir,
}

impl Guest {
    async fn new(engine: &Engine, transport: Transport) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(data.path());
        config.transport = transport;
        engine.configure(&mut config);
        let provider = Container::connect(config).await.unwrap();
        let kit = Args::parse_from(["test"]).kit;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = sandgate_kit::start(provider.clone(), &kit, any)
            .await
            .unwrap();
        let url = format!("http://{}", running.address());
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let mut context = CallContext::from(ProviderContext {
            gateway_id: id(),
            session_id: id(),
            sandbox_id: id(),
            generation: 1,
            ..ProviderContext::default()
        });
        let made = provider.create(&context, Spec::default()).await.unwrap();
        know(&mut context, &made);
        Self {
            provider,
            running,
            channel,
            context,
            _data: data,
        }
    }

    /// One for each way to a runner.
    pub(crate) async fn both(engine: &Engine) -> [Self; 2] {
        [
            Self::new(engine, Transport::Socket).await,
            Self::new(engine, Transport::Bridge).await,
        ]
    }

    fn about<T>(&self, message: T) -> Request<T> {
        let context = ProviderContext {
            gateway_id: self.context.owner.gateway_id.clone(),
            session_id: self.context.owner.session_id.clone(),
            sandbox_id: self.context.sandbox_id.clone(),
            generation: self.context.generation,
            provider_sandbox_id: self.context.provider_sandbox_id.clone(),
            state: self.context.state.expose_secret().to_vec().into(),
            ..ProviderContext::default()
        };
        let mut request = Request::new(message);
        let value = MetadataValue::from_bytes(&context.encode_to_vec());
        request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
        request
    }

    fn executions(&self) -> ExecutionServiceClient<Channel> {
        ExecutionServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn start_counting(&self) {
        let start = StartExecutionRequest {
            execution_id: EXECUTION.to_owned(),
            command: COUNT.to_owned(),
            ..StartExecutionRequest::default()
        };
        let started = self.executions().start_execution(self.about(start)).await;
        assert!(!started.unwrap().into_inner().attached);
    }

    /// Follows what counts, from this byte of its output.
    pub(crate) async fn follow(&self, offset: u64) -> Result<Reader, Status> {
        let stream = StreamExecutionRequest {
            execution_id: EXECUTION.to_owned(),
            stdout_offset: Some(offset),
            follow: true,
            ..StreamExecutionRequest::default()
        };
        let stream = self.executions().stream_execution(self.about(stream)).await;
        Ok(Reader {
            stream: stream?.into_inner(),
            next: offset,
            text: String::new(),
            ended: None,
        })
    }

    /// Runs a shell line that succeeds, and gives its output.
    pub(crate) async fn sh(&self, line: &str) -> String {
        let command = RunCommandRequest {
            command: line.to_owned(),
            ..RunCommandRequest::default()
        };
        let mut client = SandboxServiceClient::new(self.channel.clone());
        let done = client.run_command(self.about(command)).await;
        let done = done.unwrap().into_inner();
        assert_eq!(done.ended.unwrap().outcome, Some(Outcome::ExitCode(0)));
        String::from_utf8(done.stdout.to_vec()).unwrap()
    }

    pub(crate) async fn get(&self) -> Result<Instance, ProviderError> {
        self.provider.get(&self.context).await
    }

    /// What ran before is not to be had any more, for this reason.
    pub(crate) async fn forgot(&self, reason: Reason) {
        let get = GetExecutionRequest {
            execution_id: EXECUTION.to_owned(),
            ..GetExecutionRequest::default()
        };
        let told = self.executions().get_execution(self.about(get)).await;
        let told = told.expect_err("it is still known");
        assert_eq!(Problem::from_status(&told).unwrap().reason(), reason);
    }

    /// Nothing is said of a sandbox whose engine is away.
    pub(crate) async fn is_unreachable(&self) {
        let error = self.get().await.expect_err("the engine is away");
        assert_eq!(*error.kind(), Kind::Unavailable(Certainty::Rejected));
    }

    pub(crate) async fn end(self) {
        self.provider.delete(&self.context).await.unwrap();
        let error = self.get().await.expect_err("deleted");
        assert_eq!(*error.kind(), Kind::SandboxGone);
        drop(self.channel);
        self.running.stop(PATIENCE).await;
    }
}

/// A stream of what counts, which brings each byte once.
pub(crate) struct Reader {
    stream: Streaming<StreamExecutionResponse>,
    next: u64,
    pub(crate) text: String,
    ended: Option<ExecutionEnded>,
}

impl Reader {
    /// Takes one event; false at the end of the stream.
    async fn step(&mut self) -> bool {
        let message = timeout(PATIENCE, self.stream.message()).await;
        let Some(message) = message.expect("a silent stream").unwrap() else {
            return false;
        };
        assert_eq!(self.ended, None, "{message:?} after the end");
        match message.event.unwrap() {
            Event::Output(output) => {
                assert_eq!(output.offset, self.next);
                self.next += output.data.len() as u64;
                self.text += std::str::from_utf8(&output.data).unwrap();
            }
            Event::Ended(ended) => self.ended = Some(ended),
            Event::Started(_) | Event::KeepAlive(_) => {}
            other => panic!("{other:?}"),
        }
        true
    }

    /// Reads so many bytes more.
    pub(crate) async fn read(&mut self, bytes: usize) {
        let enough = self.text.len() + bytes;
        while self.text.len() < enough {
            assert!(self.step().await, "{:?}", self.ended);
        }
    }

    /// Reads all, and gives it with the outcome.
    pub(crate) async fn finish(mut self) -> (String, Outcome) {
        while self.step().await {}
        let ended = self.ended.expect("the stream ended first");
        (self.text, ended.outcome.unwrap())
    }
}
