//! The scripted provider itself, asked without a gateway: what other tests rely on.

use std::time::Duration;

use prost::Message as _;
use sandgate_kit::{CallContext, Instance, Kind, Page, Provider as _, Spec};
use sandgate_proto::{
    CONTEXT_METADATA,
    provider::v1::ProviderContext,
    v1::{
        EndExecutions, ExecRequest, RenewSandboxRequest, RenewSandboxResponse, SandboxState,
        execution_ended::Outcome, sandbox_service_client::SandboxServiceClient,
    },
};
use sandgate_system::{Fake, Op, World, uuid};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

/// A sandbox of the scripted provider, by its own service.
struct Direct {
    fake: Fake,
    client: SandboxServiceClient<Channel>,
    context: ProviderContext,
}

impl Direct {
    async fn new(world: &World) -> Self {
        let context = ProviderContext {
            session_id: uuid(),
            sandbox_id: uuid(),
            generation: 1,
            ..Default::default()
        };
        let made = CallContext::from(context.clone());
        world.fake.create(&made, Spec::default()).await.unwrap();
        let url = format!("http://{}", world.provider);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self {
            fake: world.fake.clone(),
            client: SandboxServiceClient::new(channel),
            context,
        }
    }

    fn context(&self) -> CallContext {
        CallContext::from(self.context.clone())
    }

    fn about<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = MetadataValue::from_bytes(&self.context.encode_to_vec());
        request.metadata_mut().insert_bin(CONTEXT_METADATA, value);
        request
    }

    async fn exec(&self, command: &str) -> Result<(), Status> {
        let request = ExecRequest {
            command: command.to_owned(),
            ..Default::default()
        };
        let stream = self.client.clone().exec(self.about(request)).await?;
        stream.into_inner().message().await.map(drop)
    }

    async fn end(&self, only_if_idle: Option<i64>) -> RenewSandboxResponse {
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let request = RenewSandboxRequest {
            end_executions: Some(EndExecutions {
                by: "SANDBOX_STOPPED".to_owned(),
                only_if_idle_for: only_if_idle.map(seconds),
                ..Default::default()
            }),
            keep_for: Some(seconds(90)),
            ..Default::default()
        };
        let answer = self.client.clone().renew_sandbox(self.about(request)).await;
        answer.unwrap().into_inner()
    }
}

#[tokio::test]
async fn its_runner_ends_executions_and_tells_them() {
    let world = World::start().await;
    let direct = Direct::new(&world).await;
    direct.exec("print hi; hang").await.unwrap();
    assert!(!direct.end(Some(0)).await.closed, "something runs");
    let closed = direct.end(None).await;
    assert!(closed.closed);
    assert_eq!(closed.ended.len(), 1);
    assert_eq!(&closed.ended[0].tails[0].data[..], b"hi");
    let execution = closed.ended[0].execution.clone().unwrap();
    let outcome = execution.ended.unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::Cancelled(by) if by.by == "SANDBOX_STOPPED"));
    let refused = direct.exec("print hi").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let keep_for = direct.fake.calls(Op::Renew)[0].keep_for;
    assert_eq!(keep_for, Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn its_time_can_be_let_pass() {
    let world = World::start().await;
    let direct = Direct::new(&world).await;
    direct.exec("print hi").await.unwrap();
    assert!(!direct.end(Some(600)).await.closed);
    direct.fake.age(Duration::from_secs(600));
    direct.exec("print hi").await.unwrap();
    assert!(!direct.end(Some(600)).await.closed, "something happened");
    direct.fake.age(Duration::from_secs(601));
    assert!(direct.end(Some(600)).await.closed);
}

#[tokio::test]
async fn it_pauses_where_a_test_says_so() {
    let world = World::start().await;
    let direct = Direct::new(&world).await;
    let (fake, context) = (&direct.fake, direct.context());
    for hibernate in [true, false] {
        let refused = fake.pause(&context, hibernate).await.unwrap_err();
        assert!(matches!(refused.kind(), Kind::Unsupported(_)));
    }
    fake.can_pause(true);
    let paused = fake.pause(&context, true).await.unwrap();
    assert_eq!(paused.state, SandboxState::Paused);
    assert!(fake.calls(Op::Pause)[0].hibernate);
    let refused = fake.reach(&context).await.err().unwrap();
    assert_eq!(*refused.kind(), Kind::NotRunning);
    let resumed = fake.resume(&context).await.unwrap();
    assert_eq!(resumed.state, SandboxState::Running);
    direct.exec("print hi").await.unwrap();
    fake.set_state(&context.sandbox_id, SandboxState::Stopped);
    let refused = fake.pause(&context, false).await.unwrap_err();
    assert_eq!(*refused.kind(), Kind::NotRunning);
}

#[tokio::test]
async fn its_upstream_changes_behind_its_back() {
    let world = World::start().await;
    let direct = Direct::new(&world).await;
    let (fake, context) = (&direct.fake, direct.context());
    fake.set_state(&context.sandbox_id, SandboxState::Stopped);
    let seen = fake.get(&context).await.unwrap();
    assert_eq!(seen.state, SandboxState::Stopped);
    assert!(fake.reach(&context).await.is_err());
    let stranger = Instance {
        sandbox_id: uuid(),
        session_id: uuid(),
        ..seen
    };
    fake.add(stranger.clone());
    let listed = async |session_id: &str| {
        let mut context = context.clone();
        session_id.clone_into(&mut context.owner.session_id);
        let page = Page {
            after: String::new(),
            size: 9,
        };
        let found = fake.list(&context, page).await.unwrap();
        found
            .into_iter()
            .map(|one| one.sandbox_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("").await.len(), 2);
    assert_eq!(listed(&stranger.session_id).await, [stranger.sandbox_id]);
}
