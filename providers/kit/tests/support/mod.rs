//! A provider whose sandboxes have a runner that the test plays itself, frame by frame.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses its part"
)]

pub mod says;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use clap::Parser;
use prost::Message as _;
use sandgate_kit::{
    CallContext, Instance, Kind, KitArgs, Page, Provider, ProviderError, Reached, Running, Spec,
};
use sandgate_proto::{
    CONTEXT_METADATA, Outcome,
    provider::v1::ProviderContext,
    v1::{
        Capabilities, SandboxState, execution_service_client::ExecutionServiceClient,
        sandbox_service_client::SandboxServiceClient,
    },
};
use sandgate_runner_proto::{
    FrameReader, HIGHEST_VERSION, TO_RUNNER_BYTES, put_frame,
    v1::{FromRunner, ToRunner, Welcome, from_runner, to_runner},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc,
    time::timeout,
};
use tonic::{Request, metadata::MetadataValue, transport::Channel};

pub const SESSION: &str = "11111111-1111-4111-8111-111111111111";
pub const SANDBOX: &str = "22222222-2222-4222-8222-222222222222";
pub const BOOT: &str = "33333333-3333-4333-8333-333333333333";
pub const OTHER_BOOT: &str = "44444444-4444-4444-8444-444444444444";

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    kit: KitArgs,
}

/// What the provider says of its one sandbox.
pub struct Facts {
    pub state: Mutex<SandboxState>,
    pub reachable: Mutex<Option<Kind>>,
    pub reached: AtomicUsize,
    pub stops: AtomicUsize,
    pub kept_for: Mutex<Option<Duration>>,
}

impl Facts {
    pub fn set(&self, state: SandboxState, reachable: Option<Kind>) {
        *self.state.lock().unwrap() = state;
        *self.reachable.lock().unwrap() = reachable;
    }
}

struct Fake {
    facts: Arc<Facts>,
    links: mpsc::UnboundedSender<DuplexStream>,
}

impl Fake {
    fn instance(&self) -> Instance {
        Instance {
            sandbox_id: SANDBOX.into(),
            session_id: SESSION.into(),
            provider_sandbox_id: "upstream".into(),
            instance_id: String::new(),
            state: *self.facts.state.lock().unwrap(),
            reason: None,
            generation: 1,
            workspace_path: "/workspace".into(),
            home_path: "/root".into(),
            create_time: None,
            start_time: None,
            expire_time: None,
            state_data: Bytes::new(),
        }
    }
}

impl Provider for Fake {
    type Link = DuplexStream;

    fn id(&self) -> &'static str {
        "fake"
    }

    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        Ok(Capabilities::default())
    }

    async fn health(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn create(&self, _: &CallContext, _: Spec) -> Result<Instance, ProviderError> {
        Ok(self.instance())
    }

    async fn get(&self, _: &CallContext) -> Result<Instance, ProviderError> {
        Ok(self.instance())
    }

    async fn list(&self, _: &CallContext, _: Page) -> Result<Vec<Instance>, ProviderError> {
        Ok(vec![self.instance()])
    }

    async fn start(&self, _: &CallContext) -> Result<Instance, ProviderError> {
        self.facts.set(SandboxState::Running, None);
        Ok(self.instance())
    }

    async fn stop(&self, _: &CallContext) -> Result<Instance, ProviderError> {
        self.facts.stops.fetch_add(1, Ordering::SeqCst);
        self.facts
            .set(SandboxState::Stopped, Some(Kind::NotRunning));
        Ok(self.instance())
    }

    async fn pause(&self, _: &CallContext, _: bool) -> Result<Instance, ProviderError> {
        self.facts.set(SandboxState::Paused, Some(Kind::NotRunning));
        Ok(self.instance())
    }

    async fn resume(&self, _: &CallContext) -> Result<Instance, ProviderError> {
        self.facts.set(SandboxState::Running, None);
        Ok(self.instance())
    }

    async fn renew(
        &self,
        _: &CallContext,
        keep_for: Option<Duration>,
    ) -> Result<Instance, ProviderError> {
        *self.facts.kept_for.lock().unwrap() = keep_for;
        let expire_time = keep_for.map(|time| UNIX_EPOCH + time);
        Ok(Instance {
            expire_time,
            ..self.instance()
        })
    }

    async fn delete(&self, _: &CallContext) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn reach(&self, _: &CallContext) -> Result<Reached<DuplexStream>, ProviderError> {
        self.facts.reached.fetch_add(1, Ordering::SeqCst);
        if let Some(kind) = self.facts.reachable.lock().unwrap().clone() {
            return Err(ProviderError::new(kind, "the test says so"));
        }
        let (link, runner) = duplex(1024 * 1024);
        self.links
            .send(runner)
            .map_err(|_| ProviderError::new(Kind::Unavailable(Outcome::Rejected), "over"))?;
        let secret = Bytes::from_static(b"secret");
        Ok(Reached { link, secret })
    }
}

/// A kit that serves the provider, and the other ends of its links.
pub struct World {
    pub sandboxes: SandboxServiceClient<Channel>,
    pub executions: ExecutionServiceClient<Channel>,
    pub facts: Arc<Facts>,
    pub links: mpsc::UnboundedReceiver<DuplexStream>,
    pub running: Running,
}

impl World {
    pub async fn new() -> Self {
        let (links, received) = mpsc::unbounded_channel();
        let facts = Arc::new(Facts {
            state: Mutex::new(SandboxState::Running),
            reachable: Mutex::default(),
            reached: AtomicUsize::default(),
            stops: AtomicUsize::default(),
            kept_for: Mutex::default(),
        });
        let fake = Fake {
            facts: facts.clone(),
            links,
        };
        let args = Args::parse_from(["fake"]);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = sandgate_kit::start(fake, &args.kit, address).await.unwrap();
        let url = format!("http://{}", running.address());
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self {
            sandboxes: SandboxServiceClient::new(channel.clone()),
            executions: ExecutionServiceClient::new(channel),
            facts,
            links: received,
            running,
        }
    }

    /// The runner's end of the next link, greeted.
    pub async fn runner(&mut self, boot: &str) -> Runner {
        let mut runner = self.stranger().await;
        runner.welcome(boot).await;
        runner
    }

    /// The runner's end of the next link.
    pub async fn stranger(&mut self) -> Runner {
        let link = timeout(Duration::from_secs(20), self.links.recv());
        Runner {
            link: link.await.expect("the runner is reached").unwrap(),
            frames: FrameReader::new(TO_RUNNER_BYTES),
        }
    }

    /// Plays the runner on every link from now on.
    pub fn play(
        &mut self,
        mut runner: impl FnMut(u64, to_runner::Body) -> Vec<from_runner::Body> + Send + 'static,
    ) {
        let (_, none) = mpsc::unbounded_channel();
        let mut links = std::mem::replace(&mut self.links, none);
        let (requests, mut asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(link) = links.recv().await {
                let mut end = Runner {
                    link,
                    frames: FrameReader::new(TO_RUNNER_BYTES),
                };
                let requests = requests.clone();
                tokio::spawn(async move {
                    end.welcome(BOOT).await;
                    while let Some(request) = end.next().await {
                        let (answer, answered) = tokio::sync::oneshot::channel();
                        let _ = requests.send((request.call, request.body.unwrap(), answer));
                        let bodies: Vec<from_runner::Body> = answered.await.unwrap();
                        for body in bodies {
                            end.send(request.call, body).await;
                        }
                    }
                });
            }
        });
        tokio::spawn(async move {
            while let Some((call, body, answer)) = asked.recv().await {
                let _ = answer.send(runner(call, body));
            }
        });
    }
}

/// The runner's end of a link.
pub struct Runner {
    pub link: DuplexStream,
    frames: FrameReader,
}

impl Runner {
    async fn welcome(&mut self, boot: &str) {
        self.welcome_as(boot, HIGHEST_VERSION).await;
    }

    /// Greets as a runner of some release.
    pub async fn welcome_as(&mut self, boot: &str, version: u32) {
        let hello = self.next().await.unwrap();
        let Some(to_runner::Body::Hello(said)) = hello.body else {
            panic!("{hello:?}")
        };
        assert_eq!((&said.sandbox_id[..], said.generation), (SANDBOX, 1));
        assert_eq!(&said.secret[..], b"secret");
        let welcome = Welcome {
            version: said.highest_version.min(version),
            sandbox_id: said.sandbox_id,
            generation: said.generation,
            boot_id: boot.into(),
            running: 3,
            idle_ms: 5000,
            ..Welcome::default()
        };
        self.send(hello.call, from_runner::Body::Welcome(welcome))
            .await;
    }

    /// The next request; none once the kit has gone.
    pub async fn next(&mut self) -> Option<ToRunner> {
        loop {
            if let Some(frame) = self.frames.next().unwrap() {
                return Some(frame);
            }
            match self.link.read_buf(self.frames.buffer()).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next request, which must come.
    pub async fn request(&mut self) -> (u64, to_runner::Body) {
        let next = timeout(Duration::from_secs(20), self.next());
        let request = next
            .await
            .expect("a request comes")
            .expect("the link is up");
        (request.call, request.body.unwrap())
    }

    pub async fn send(&mut self, call: u64, body: from_runner::Body) {
        let mut bytes = Vec::new();
        let body = Some(body);
        put_frame(&FromRunner { call, body }, &mut bytes);
        // The kit may have gone.
        let _ = self.link.write_all(&bytes).await;
    }
}

/// A request with the context of the one sandbox.
pub fn call<T>(message: T) -> Request<T> {
    let context = ProviderContext {
        session_id: SESSION.into(),
        sandbox_id: SANDBOX.into(),
        generation: 1,
        ..ProviderContext::default()
    };
    let mut request = Request::new(message);
    let value = MetadataValue::from_bytes(&context.encode_to_vec());
    request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
    request
}
