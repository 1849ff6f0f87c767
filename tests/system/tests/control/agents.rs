//! Agents and harnesses: kept for the organisation, and what their sessions get.

use prost_types::FieldMask;
use sandgate_gateway::FeatureArgs;
use sandgate_proto::{
    Reason,
    v1::{
        Agent, AgentKind, CreateAgentRequest, CreateSessionRequest, DeleteAgentRequest,
        GetAgentRequest, ListAgentsRequest, SandboxSpec, Session, UpdateAgentRequest,
    },
};
use sandgate_system::{Client, Fake, Plan, World, assert_reason, fact, uuid};
use tonic::Status;

use crate::capabilities::{capability, refs};

const HARNESS: &str = "coding-container";

fn named(agent_id: &str) -> CreateAgentRequest {
    CreateAgentRequest {
        agent_id: agent_id.to_owned(),
        ..Default::default()
    }
}

async fn create(client: &Client, request: CreateAgentRequest) -> Result<(Agent, bool), Status> {
    let made = client.agents().create_agent(request).await?.into_inner();
    Ok((made.agent.unwrap(), made.replayed))
}

async fn get(client: &Client, agent_id: &str) -> Result<Agent, Status> {
    let request = GetAgentRequest {
        agent_id: agent_id.to_owned(),
        ..Default::default()
    };
    let found = client.agents().get_agent(request).await?.into_inner();
    Ok(found.agent.unwrap())
}

async fn update(client: &Client, request: UpdateAgentRequest) -> Result<Agent, Status> {
    let changed = client.agents().update_agent(request).await?.into_inner();
    Ok(changed.agent.unwrap())
}

async fn delete(client: &Client, agent_id: &str, allow_missing: bool) -> Result<(), Status> {
    let request = DeleteAgentRequest {
        agent_id: agent_id.to_owned(),
        allow_missing,
        ..Default::default()
    };
    client.agents().delete_agent(request).await.map(drop)
}

async fn list(client: &Client, request: ListAgentsRequest) -> Vec<String> {
    let found = client.agents().list_agents(request).await.unwrap();
    let agents = found.into_inner().agents;
    agents.into_iter().map(|agent| agent.agent_id).collect()
}

async fn session(client: &Client, request: CreateSessionRequest) -> Result<Session, Status> {
    let made = client
        .sessions()
        .create_session(request)
        .await?
        .into_inner();
    Ok(made.session.unwrap())
}

/// A gateway that has every preset.
fn with_harness() -> Plan {
    Plan {
        features: FeatureArgs {
            feature_docker_capability: Some(true),
            ..Default::default()
        },
        ..Plan::default()
    }
}

#[tokio::test]
async fn one_is_made_and_deleted() {
    let world = World::start().await;
    let client = world.client().await;
    let request = CreateAgentRequest {
        request_id: uuid(),
        title: "Coder".to_owned(),
        capabilities: vec![capability(Fake::ID)],
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..Default::default()
    };
    let (made, replayed) = create(&client, request.clone()).await.unwrap();
    assert!(!replayed && !made.agent_id.is_empty() && made.kind() == AgentKind::Agent);
    assert_eq!(
        create(&client, request.clone()).await.unwrap(),
        (made.clone(), true)
    );
    let other = CreateAgentRequest {
        title: "Another".to_owned(),
        ..request
    };
    let refused = create(&client, other).await.unwrap_err();
    assert_reason(&refused, Reason::RequestIdReused, "choose a new one");
    assert_eq!(get(&client, &made.agent_id).await.unwrap(), made);

    delete(&client, &made.agent_id, false).await.unwrap();
    let refused = get(&client, &made.agent_id).await.unwrap_err();
    assert_reason(&refused, Reason::AgentNotFound, "ListAgents");
    let refused = delete(&client, &made.agent_id, false).await.unwrap_err();
    assert_reason(&refused, Reason::AgentNotFound, "ListAgents");
    delete(&client, &made.agent_id, true).await.unwrap();
}

#[tokio::test]
async fn it_is_changed_field_by_field() {
    let world = World::start().await;
    let client = world.client().await;
    let request = CreateAgentRequest {
        title: "Coder".to_owned(),
        capabilities: vec![capability(Fake::ID)],
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..Default::default()
    };
    let (made, _) = create(&client, request).await.unwrap();
    let change = UpdateAgentRequest {
        agent_id: made.agent_id.clone(),
        if_match: made.etag.clone(),
        update_mask: Some(FieldMask {
            paths: vec!["title".to_owned(), "labels".to_owned()],
        }),
        title: "Renamed".to_owned(),
        capabilities: vec![capability("session_storage")],
        ..Default::default()
    };
    let changed = update(&client, change.clone()).await.unwrap();
    assert_eq!(
        (changed.title.as_str(), changed.labels.len()),
        ("Renamed", 0)
    );
    assert_eq!(changed.capabilities, made.capabilities, "it was not named");
    assert_ne!(changed.etag, made.etag);
    let refused = update(&client, change.clone()).await.unwrap_err();
    assert_reason(&refused, Reason::EtagMismatch, "read it again");
    let change = UpdateAgentRequest {
        if_match: String::new(),
        update_mask: None,
        title: String::new(),
        ..change
    };
    let changed = update(&client, change).await.unwrap();
    assert_eq!(refs(&changed.capabilities), ["session_storage"]);
    assert_eq!(changed.title, "Renamed", "it was empty");
}

#[tokio::test]
async fn a_callers_own_id_is_taken_once() {
    let world = World::start().await;
    let client = world.client().await;
    create(&client, named("my.coder-1")).await.unwrap();
    assert!(create(&client, named("my.coder-1")).await.unwrap().1);
    let other = CreateAgentRequest {
        kind: AgentKind::Harness.into(),
        ..named("my.coder-1")
    };
    let refused = create(&client, other).await.unwrap_err();
    assert_reason(&refused, Reason::AgentIdReused, "choose another");
    let reserved = create(&client, named(HARNESS)).await.unwrap_err();
    assert_reason(&reserved, Reason::AgentIdReused, "choose another");
    let refused = create(&client, named("no spaces")).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "agent_id");
    let unknown = CreateAgentRequest {
        capabilities: vec![capability("e2b")],
        ..Default::default()
    };
    let refused = create(&client, unknown).await.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "it has: fake");
}

#[tokio::test]
async fn those_that_come_with_sandgate_are_listed_last() {
    let world = World::with(with_harness()).await;
    let client = world.client().await;
    create(&client, named("z")).await.unwrap();
    create(&client, named("a")).await.unwrap();
    let all = list(&client, ListAgentsRequest::default()).await;
    assert_eq!(all[2..], ["daytona-coder", HARNESS]);
    let mut paged = Vec::new();
    let mut page_token = String::new();
    for _ in 0..4 {
        let request = ListAgentsRequest {
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = client.agents().list_agents(request).await.unwrap();
        let page = page.into_inner();
        paged.extend(page.agents.into_iter().map(|agent| agent.agent_id));
        page_token = page.next_page_token;
    }
    assert_eq!((paged, page_token.as_str()), (all, ""));
    let harnesses = ListAgentsRequest {
        kind: AgentKind::Harness.into(),
        ..Default::default()
    };
    assert_eq!(list(&client, harnesses).await, [HARNESS]);
}

#[tokio::test]
async fn those_that_come_with_sandgate_stay_as_they_are() {
    let world = World::with(with_harness()).await;
    let client = world.client().await;
    let harness = get(&client, HARNESS).await.unwrap();
    assert_eq!(harness.title, "Coding (Container)");
    let wanted = [
        "container_sandbox",
        "session_storage",
        "session_file_system",
    ];
    assert_eq!(refs(&harness.capabilities), wanted);
    let change = UpdateAgentRequest {
        agent_id: HARNESS.to_owned(),
        title: "Mine".to_owned(),
        ..Default::default()
    };
    let refused = update(&client, change).await.unwrap_err();
    assert_reason(&refused, Reason::AgentBuiltIn, "CreateAgent");
    let refused = delete(&client, "daytona-coder", true).await.unwrap_err();
    assert_reason(&refused, Reason::AgentBuiltIn, "CreateAgent");
}

#[tokio::test]
async fn the_harness_for_containers_is_not_everywhere() {
    let world = World::start().await;
    let client = world.client().await;
    let refused = get(&client, HARNESS).await.unwrap_err();
    assert_reason(&refused, Reason::AgentNotFound, "ListAgents");
    assert_eq!(
        get(&client, "daytona-coder").await.unwrap().title,
        "Daytona Coder"
    );
}

fn titled(title: &str) -> Option<SandboxSpec> {
    Some(SandboxSpec {
        title: title.to_owned(),
        ..Default::default()
    })
}

/// An agent, and a harness with a default sandbox.
async fn make_coder_and_frame(client: &Client) {
    let agent = CreateAgentRequest {
        capabilities: vec![capability("local"), capability(Fake::ID)],
        ..named("coder")
    };
    create(client, agent).await.unwrap();
    let harness = CreateAgentRequest {
        kind: AgentKind::Harness.into(),
        capabilities: vec![capability("local"), capability("session_file_system")],
        default_sandbox: titled("of the harness"),
        ..named("frame")
    };
    create(client, harness).await.unwrap();
}

#[tokio::test]
async fn a_session_gets_what_agent_and_harness_have() {
    let plan = Plan {
        also: vec!["local", "e2b"],
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let client = world.client().await;
    make_coder_and_frame(&client).await;
    let request = CreateSessionRequest {
        request_id: uuid(),
        agent_id: "coder".to_owned(),
        harness_id: "frame".to_owned(),
        capabilities: vec![capability("e2b")],
        ..Default::default()
    };
    let made = session(&client, request.clone()).await.unwrap();
    let wanted = [
        "e2b",
        "local",
        "fake",
        "session_file_system",
        "session_storage",
    ];
    assert_eq!(refs(&made.capabilities), wanted);
    assert_eq!(made.default_sandbox, titled("of the harness"));
    assert_eq!(
        (made.agent_id.as_str(), made.harness_id.as_str()),
        ("coder", "frame")
    );

    // An agent that changes changes neither its sessions nor their replays.
    let change = UpdateAgentRequest {
        agent_id: "coder".to_owned(),
        default_sandbox: titled("of the agent"),
        ..Default::default()
    };
    update(&client, change).await.unwrap();
    assert_eq!(session(&client, request.clone()).await.unwrap(), made);
    let later = CreateSessionRequest {
        request_id: String::new(),
        ..request.clone()
    };
    let later = session(&client, later).await.unwrap();
    assert_eq!(later.default_sandbox, titled("of the agent"));
    delete(&client, "coder", false).await.unwrap();
    assert_eq!(session(&client, request).await.unwrap(), made);
}

#[tokio::test]
async fn a_session_names_agents_that_are_there_and_of_their_kind() {
    let world = World::start().await;
    let client = world.client().await;
    create(&client, named("coder")).await.unwrap();
    for (agent_id, harness_id, wrong) in [
        ("nobody", "", "nobody"),
        ("coder", "nothing", "nothing"),
        ("", "coder", "coder"),
    ] {
        let request = CreateSessionRequest {
            agent_id: agent_id.to_owned(),
            harness_id: harness_id.to_owned(),
            ..Default::default()
        };
        let refused = session(&client, request).await.unwrap_err();
        assert_reason(&refused, Reason::AgentNotFound, "ListAgents");
        assert_eq!(fact(&refused, "agent_id").as_deref(), Some(wrong));
    }
    let request = CreateSessionRequest {
        agent_id: "coder".to_owned(),
        ..Default::default()
    };
    let bare = session(&client, request).await.unwrap();
    assert!(bare.capabilities.is_empty(), "its agent has none");
    let request = CreateSessionRequest {
        agent_id: "daytona-coder".to_owned(),
        ..Default::default()
    };
    let refused = session(&client, request).await.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "daytona");
}
