//! `sandgate quickstart`: from nothing to a command's output in one step.

use std::{
    io::{IsTerminal as _, Write as _, stdin, stdout},
    net::SocketAddr,
};

use sandgate_proto::v1::{
    CreateSandboxRequest, CreateSessionRequest, DeleteSessionRequest, ExecRequest, SandboxSpec,
    exec_response::Event, execution_ended::Outcome, sandbox_service_client::SandboxServiceClient,
    session_service_client::SessionServiceClient,
};
use secrecy::ExposeSecret as _;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    all_in_one::{AllInOne, Failure},
    config::{Choice, ServeArgs},
};

/// What the first command is: it shows that output arrives as it is written.
const COMMAND: &str = "echo \"Hello from a sandbox on $(uname -s), as $(id -un) in $(pwd).\"
for line in 1 2 3; do sleep 0.3; echo \"line $line, as it is written\"; done";

/// Starts everything, runs a command, and goes on serving where somebody is there to use it.
pub(crate) async fn run(mut args: ServeArgs) -> Result<(), Failure> {
    if args.gateway.process.log == "info" {
        "warn".clone_into(&mut args.gateway.process.log);
    }
    args.gateway.process.init_log();
    choose_port(&mut args).await;
    let grace = args.gateway.process.drain_grace();
    let key = args.gateway.admin_key.clone();
    let provider = args.providers.first().map(Choice::id).unwrap_or_default();

    println!("Starting a gateway and the provider {provider} on this machine …");
    let running = AllInOne::start(args).await?;
    let address = running.address();
    let bearer = key.and_then(|key| format!("Bearer {}", key.expose_secret()).parse().ok());
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let client = Client { channel, bearer };

    let session_id = client.session().await?;
    let outcome = client.show(&session_id, &provider).await;
    let serve_on = stdin().is_terminal();
    match outcome {
        Ok(sandbox_id) if serve_on => {
            print_next_steps(address, &session_id, &sandbox_id);
            let ended = sandgate_service::process::end_signal().await;
            client.clean_up(&session_id).await?;
            running.end(grace).await;
            ended.map_err(Failure::from)
        }
        outcome => {
            client.clean_up(&session_id).await?;
            running.end(grace).await;
            outcome.map(|_| println!("The sandbox is deleted. Run this in a terminal, or run `sandgate serve`, to go on."))
        }
    }
}

/// A taken default port is no reason to fail the first command that somebody tries.
async fn choose_port(args: &mut ServeArgs) {
    let default = sandgate_gateway::DEFAULT_LISTEN.parse::<SocketAddr>();
    if default.is_ok_and(|default| default == args.gateway.listen)
        && tokio::net::TcpListener::bind(args.gateway.listen)
            .await
            .is_err()
    {
        println!(
            "Port {} is taken, so this takes a free one.",
            args.gateway.listen.port()
        );
        args.gateway.listen.set_port(0);
    }
}

/// A caller of the gateway like any other.
struct Client {
    channel: Channel,
    bearer: Option<MetadataValue<Ascii>>,
}

impl Client {
    fn request<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        request
    }

    async fn session(&self) -> Result<String, Failure> {
        let body = CreateSessionRequest {
            title: "quickstart".into(),
            ..Default::default()
        };
        let reply = SessionServiceClient::new(self.channel.clone())
            .create_session(self.request(body))
            .await?;
        let session = reply.into_inner().session.unwrap_or_default();
        println!("Session {} is made.", session.session_id);
        Ok(session.session_id)
    }

    /// Makes a sandbox and streams a command's output; answers with the sandbox's id.
    async fn show(&self, session_id: &str, provider: &str) -> Result<String, Failure> {
        let body = CreateSandboxRequest {
            session_id: session_id.into(),
            spec: Some(SandboxSpec {
                provider: provider.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut client = SandboxServiceClient::new(self.channel.clone());
        let reply = client
            .create_sandbox(self.request(body))
            .await?
            .into_inner();
        let sandbox_id = reply.sandbox.unwrap_or_default().sandbox_id;
        println!("Sandbox {sandbox_id} runs. A command in it says:\n");
        let body = ExecRequest {
            session_id: session_id.into(),
            sandbox_id: sandbox_id.clone(),
            command: COMMAND.into(),
            ..Default::default()
        };
        let mut events = client.exec(self.request(body)).await?.into_inner();
        while let Some(message) = events.message().await? {
            match message.event {
                Some(Event::Output(chunk)) => {
                    let mut out = stdout().lock();
                    out.write_all(&chunk.data)?;
                    out.flush()?;
                }
                Some(Event::Ended(ended)) => {
                    return match ended.outcome {
                        Some(Outcome::ExitCode(0)) => {
                            println!("\nIt ended with exit code 0.\n");
                            Ok(sandbox_id)
                        }
                        other => Err(Failure::Other(format!(
                            "the first command did not succeed: {other:?}; `sandgate doctor` may say why"
                        ))),
                    };
                }
                _ => {}
            }
        }
        Err(Failure::Other(
            "the stream ended without an outcome; see the log above".into(),
        ))
    }

    /// Leaves nothing behind.
    async fn clean_up(&self, session_id: &str) -> Result<(), Failure> {
        let body = DeleteSessionRequest {
            session_id: session_id.into(),
            ..Default::default()
        };
        SessionServiceClient::new(self.channel.clone())
            .delete_session(self.request(body))
            .await?;
        Ok(())
    }
}

fn print_next_steps(address: SocketAddr, session_id: &str, sandbox_id: &str) {
    println!(
        "The gateway listens on {address}. Go on in another terminal:

  grpcurl -plaintext {address} list

  grpcurl -plaintext -d '{{\"session_id\":\"{session_id}\",\"sandbox_id\":\"{sandbox_id}\",\"command\":\"ls -la /\"}}' \\
    {address} sandbox.v1.SandboxService/Exec

Press Ctrl-C to end; the sandbox is deleted then."
    );
}
