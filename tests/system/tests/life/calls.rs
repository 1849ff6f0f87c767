//! The calls of a sandbox's life that a client has no short form of.

use prost_types::Duration;
use sandgate_proto::v1::{
    CreateSandboxRequest, Lifecycle, PauseSandboxRequest, RenewSandboxRequest,
    RenewSandboxResponse, ResumeSandboxRequest, Sandbox, SandboxSpec, SandboxState,
    StartSandboxRequest,
};
use sandgate_system::Client;
use tonic::Status;

/// A sandbox, and the client that asks about it.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) client: Client,
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
}

impl Named {
    /// A new one that runs.
    pub(crate) async fn running(client: &Client) -> Self {
        Self::living(client, None).await
    }

    /// A new one that lives like this.
    pub(crate) async fn living(client: &Client, lifecycle: Option<Lifecycle>) -> Self {
        let session_id = client.session().await;
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            spec: lifecycle.map(|lifecycle| SandboxSpec {
                lifecycle: Some(lifecycle),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = client.create(request).await.unwrap().sandbox.unwrap();
        assert_eq!(made.state(), SandboxState::Running);
        Self {
            client: client.clone(),
            session_id,
            sandbox_id: made.sandbox_id,
        }
    }

    /// The same, asked about elsewhere.
    pub(crate) fn at(&self, client: &Client) -> Self {
        Self {
            client: client.clone(),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self) -> Result<Sandbox, Status> {
        self.client.get(&self.session_id, &self.sandbox_id).await
    }

    /// Its state, as GetSandbox tells it.
    pub(crate) async fn state(&self) -> SandboxState {
        self.get().await.unwrap().state()
    }

    /// Waits until it is in this state.
    pub(crate) async fn reaches(&self, wanted: SandboxState) -> Sandbox {
        for _ in 0..1000 {
            let seen = self.get().await.unwrap();
            if seen.state() == wanted {
                return seen;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} does not reach {wanted:?}", self.sandbox_id);
    }

    pub(crate) async fn start(&self) -> Result<Sandbox, Status> {
        self.client.start(&self.session_id, &self.sandbox_id).await
    }

    pub(crate) async fn start_within(&self, wait: Duration) -> Result<Sandbox, Status> {
        let request = StartSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            wait_timeout: Some(wait),
            ..Default::default()
        };
        let answer = self.client.sandboxes().start_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    pub(crate) async fn stop(&self) -> Result<Sandbox, Status> {
        self.client.stop(&self.session_id, &self.sandbox_id).await
    }

    pub(crate) async fn delete(&self) -> Result<Sandbox, Status> {
        self.client.delete(&self.session_id, &self.sandbox_id).await
    }

    pub(crate) async fn pause(&self, hibernate: bool) -> Result<Sandbox, Status> {
        let request = PauseSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            hibernate,
            ..Default::default()
        };
        let answer = self.client.sandboxes().pause_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    pub(crate) async fn resume(&self) -> Result<Sandbox, Status> {
        self.resume_as(None, None).await
    }

    pub(crate) async fn resume_as(
        &self,
        wait_timeout: Option<Duration>,
        idle_timeout: Option<Duration>,
    ) -> Result<Sandbox, Status> {
        let request = ResumeSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            wait_timeout,
            idle_timeout,
            ..Default::default()
        };
        let answer = self.client.sandboxes().resume_sandbox(request).await?;
        Ok(answer.into_inner().sandbox.unwrap())
    }

    pub(crate) async fn renew(&self, cursor: &str) -> Result<RenewSandboxResponse, Status> {
        let request = RenewSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            ended_cursor: cursor.to_owned(),
            ..Default::default()
        };
        let answer = self.client.sandboxes().renew_sandbox(request).await?;
        Ok(answer.into_inner())
    }

    /// What a command printed.
    pub(crate) async fn exec(&self, command: &str) -> Result<Vec<u8>, Status> {
        let ran = self
            .client
            .exec(&self.session_id, &self.sandbox_id, command);
        Ok(ran.await?.stdout)
    }
}

/// So many seconds.
pub(crate) fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

/// So many milliseconds, less than a second.
pub(crate) fn millis(millis: i32) -> Duration {
    Duration {
        seconds: 0,
        nanos: millis * 1_000_000,
    }
}
