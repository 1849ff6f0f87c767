//! Requests that are well-formed and wrong.

use sandgate_proto::{
    Reason,
    v1::{
        self, CreateSandboxRequest, CreateSessionRequest, ExecRequest, SandboxSpec,
        admin_service_client::AdminServiceClient,
    },
};
use sandgate_system::{Client, Op, World, assert_reason, fact, framed, uuid};
use tonic::{Request, Status};

async fn exec(client: &Client, request: ExecRequest) -> Status {
    client.sandboxes().exec(request).await.unwrap_err()
}

#[tokio::test]
async fn a_command_is_a_line_or_arguments_and_not_both() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let base = || ExecRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    let refused = exec(&client, base()).await;
    assert_reason(&refused, Reason::InvalidField, "command");
    let both = ExecRequest {
        command: "a".to_owned(),
        argv: vec!["b".to_owned()],
        ..base()
    };
    assert_reason(&exec(&client, both).await, Reason::InvalidField, "argv");
    let empty = ExecRequest {
        argv: vec![String::new()],
        ..base()
    };
    assert_reason(&exec(&client, empty).await, Reason::InvalidField, "argv");
    let relative = ExecRequest {
        command: "print x".to_owned(),
        cwd: "here".to_owned(),
        ..base()
    };
    assert_reason(&exec(&client, relative).await, Reason::InvalidField, "cwd");
    assert_eq!(world.fake.count(Op::Exec), 0);
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_execution_id_is_checked_and_means_one_command() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let request = |id: &str| ExecRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        execution_id: id.to_owned(),
        command: "print x".to_owned(),
        ..Default::default()
    };
    for wrong in ["a b", "ü", &"x".repeat(129)] {
        assert_reason(
            &exec(&client, request(wrong)).await,
            Reason::InvalidField,
            "execution_id",
        );
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
    client.sandboxes().exec(request("build.1")).await.unwrap();
    let other = ExecRequest {
        command: "print y".to_owned(),
        ..request("build.1")
    };
    assert_reason(
        &exec(&client, other).await,
        Reason::ExecutionIdReused,
        "choose another execution_id",
    );
}

#[tokio::test]
async fn the_gateways_own_field_is_refused_from_a_client() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for payload in ["x", ""] {
        let request = ExecRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            command: "print x".to_owned(),
            ..Default::default()
        };
        let mut bytes = framed(&request)[5..].to_vec();
        bytes.extend([0xc2, 0x3e, payload.len() as u8]);
        bytes.extend(payload.as_bytes());
        let reply = world
            .raw()
            .await
            .call(
                "/sandbox.v1.SandboxService/Exec",
                &[],
                sandgate_system::frame(0, &bytes),
            )
            .await;
        assert_reason(&reply.status(), Reason::InvalidField, "gateway_payload");
    }
    assert_eq!(world.fake.count(Op::Exec), 0);
}

#[tokio::test]
async fn an_unknown_secret_is_named() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let secret_env = [("TOKEN".to_owned(), "my-token".to_owned())];
    let request = ExecRequest {
        session_id: session_id.clone(),
        sandbox_id,
        command: "print x".to_owned(),
        secret_env: secret_env.clone().into(),
        ..Default::default()
    };
    let refused = exec(&client, request).await;
    assert_reason(&refused, Reason::SecretNotFound, "SetSecret");
    assert_eq!(fact(&refused, "name").as_deref(), Some("my-token"));
    let spec = Some(SandboxSpec {
        secret_env: secret_env.into(),
        ..Default::default()
    });
    let request = CreateSandboxRequest {
        session_id,
        spec,
        ..Default::default()
    };
    assert_reason(
        &client.create(request).await.unwrap_err(),
        Reason::SecretNotFound,
        "SetSecret",
    );
    assert_eq!(world.fake.count(Op::Exec), 0);
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn an_unknown_provider_is_refused_with_those_there_are() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let spec = Some(SandboxSpec {
        provider: "nobody".to_owned(),
        ..Default::default()
    });
    let request = CreateSandboxRequest {
        session_id,
        spec,
        ..Default::default()
    };
    let refused = client.create(request).await.unwrap_err();
    assert_reason(&refused, Reason::ProviderNotConfigured, "it has: fake");
    let request = v1::GetCapabilitiesRequest {
        provider: "nobody".to_owned(),
        ..Default::default()
    };
    let refused = client
        .sandboxes()
        .get_capabilities(request)
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::ProviderNotConfigured, "it has: fake");
    let request = v1::GetProviderRequest {
        provider: "nobody".to_owned(),
    };
    let refused = client.providers().get_provider(request).await.unwrap_err();
    assert_reason(&refused, Reason::ProviderNotConfigured, "it has: fake");
    let capabilities = vec![v1::CapabilityRef {
        r#ref: "daytona".to_owned(),
        config: None,
    }];
    let request = CreateSessionRequest {
        capabilities,
        ..Default::default()
    };
    let refused = client.sessions().create_session(request).await.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "it has: fake");
}

#[tokio::test]
async fn a_page_token_of_elsewhere_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    client.pair().await;
    let list = |page_token: &str, session_id: &str| v1::ListSandboxesRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let page = client
        .sandboxes()
        .list_sandboxes(list("", ""))
        .await
        .unwrap()
        .into_inner();
    let token = page.next_page_token;
    let next = client
        .sandboxes()
        .list_sandboxes(list(&token, ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next.sandboxes.len(), 1);
    assert_ne!(next.sandboxes[0].sandbox_id, page.sandboxes[0].sandbox_id);
    for (token, session_id) in [("rubbish", ""), (token.as_str(), session_id.as_str())] {
        let refused = client
            .sandboxes()
            .list_sandboxes(list(token, session_id))
            .await
            .unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "page_token");
    }
    let request = v1::ListSessionsRequest {
        page_token: "rubbish".to_owned(),
        ..Default::default()
    };
    let refused = client.sessions().list_sessions(request).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "page_token");
}

#[tokio::test]
async fn acting_for_others_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let issued = AdminServiceClient::new(client.channel.clone())
        .issue_api_key(v1::IssueApiKeyRequest::default())
        .await
        .unwrap();
    let mut request = Request::new(CreateSessionRequest {
        user_id: "somebody".to_owned(),
        ..Default::default()
    });
    let key = format!("Bearer {}", issued.into_inner().secret);
    request
        .metadata_mut()
        .insert("authorization", key.parse().unwrap());
    let refused = client.sessions().create_session(request).await.unwrap_err();
    assert_reason(&refused, Reason::ScopeRequired, "act_as");
    let request = CreateSessionRequest {
        session_id: uuid(),
        title: "x".repeat(300),
        ..Default::default()
    };
    let refused = client.sessions().create_session(request).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "title");
}
