//! What a session may use, and the options that it brings to its sandboxes.

use prost_types::{Struct, Value, value::Kind};
use sandgate_gateway::FeatureArgs;
use sandgate_proto::{
    Reason,
    v1::{
        self, CapabilityRef, CreateSandboxRequest, CreateSessionRequest, SandboxSpec, Session,
        sandbox_spec::Source,
    },
};
use sandgate_system::{Client, Fake, Op, Plan, World, assert_reason, fact};
use tonic::Status;

/// A capability without options.
pub(crate) fn capability(name: &str) -> CapabilityRef {
    CapabilityRef {
        r#ref: name.to_owned(),
        config: None,
    }
}

/// The names of capabilities.
pub(crate) fn refs(capabilities: &[CapabilityRef]) -> Vec<&str> {
    let names = capabilities.iter().map(|capability| &*capability.r#ref);
    names.collect()
}

fn with(name: &str, options: &[(&str, Kind)]) -> CapabilityRef {
    let value = |kind: &Kind| Value {
        kind: Some(kind.clone()),
    };
    let fields = options
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), value(kind)));
    CapabilityRef {
        config: Some(Struct {
            fields: fields.collect(),
        }),
        ..capability(name)
    }
}

async fn session(client: &Client, capabilities: Vec<CapabilityRef>) -> Result<Session, Status> {
    let request = CreateSessionRequest {
        capabilities,
        ..Default::default()
    };
    let made = client.sessions().create_session(request).await?;
    Ok(made.into_inner().session.unwrap())
}

async fn container_world(feature: Option<bool>) -> World {
    let plan = Plan {
        also: vec!["container"],
        features: FeatureArgs {
            feature_container_sandbox: feature,
            ..Default::default()
        },
        ..Plan::default()
    };
    World::with(plan).await
}

fn sandbox(session: &Session, provider: &str, alias: &str) -> CreateSandboxRequest {
    CreateSandboxRequest {
        session_id: session.session_id.clone(),
        alias: alias.to_owned(),
        spec: Some(SandboxSpec {
            provider: provider.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_session_that_names_none_gets_all_that_there_are() {
    let world = container_world(None).await;
    let client = world.client().await;
    let all = session(&client, Vec::new()).await.unwrap();
    let plain = ["session_storage", "session_file_system"];
    let wanted = [&["container_sandbox", "docker", Fake::ID][..], &plain].concat();
    assert_eq!(refs(&all.capabilities), wanted);
    let request = v1::GetSessionRequest {
        session_id: all.session_id.clone(),
    };
    let seen = client.sessions().get_session(request).await.unwrap();
    assert_eq!(seen.into_inner().session, Some(all));
}

#[tokio::test]
async fn a_capability_can_be_switched_off() {
    let world = container_world(Some(false)).await;
    let client = world.client().await;
    let refused = session(&client, vec![capability("container_sandbox")]).await;
    let refused = refused.unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "it has: docker");
    assert_eq!(
        fact(&refused, "capability").as_deref(),
        Some("container_sandbox")
    );
    let made = session(&client, vec![capability("docker")]).await.unwrap();
    assert_eq!(refs(&made.capabilities), ["docker", "session_storage"]);
    for unknown in ["container", "never heard of", ""] {
        let refused = session(&client, vec![capability(unknown)]).await;
        assert_reason(
            &refused.unwrap_err(),
            Reason::CapabilityNotEnabled,
            "it has",
        );
    }
}

#[tokio::test]
async fn a_list_that_is_malformed_is_refused() {
    let world = container_world(None).await;
    let client = world.client().await;
    let number = |number| Kind::NumberValue(number);
    for (list, field) in [
        (
            vec![capability("fake"), capability("fake")],
            "capabilities[1].ref",
        ),
        (
            vec![
                capability("fake"),
                with("docker", &[("colour", number(1.0))]),
            ],
            "capabilities[1].config.colour",
        ),
        (
            vec![with("docker", &[("image", number(1.0))])],
            "capabilities[0].config.image",
        ),
    ] {
        let refused = session(&client, list).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, field);
        assert_eq!(fact(&refused, "field").as_deref(), Some(field));
    }
}

#[tokio::test]
async fn a_provider_needs_a_capability_of_its_own() {
    let world = container_world(None).await;
    let client = world.client().await;
    let only = session(&client, vec![capability("docker")]).await.unwrap();
    let refused = client
        .create(sandbox(&only, Fake::ID, ""))
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::CapabilityNotEnabled, "UpdateSession");
    assert_eq!(fact(&refused, "capability").as_deref(), Some("fake"));
    let made = client.create(sandbox(&only, "", "")).await.unwrap();
    assert_eq!(made.sandbox.unwrap().provider, "container");
    let none = vec![capability("session_storage")];
    let none = session(&client, none).await.unwrap();
    let refused = client
        .exec(&none.session_id, "", "print x")
        .await
        .unwrap_err();
    assert_reason(
        &refused,
        Reason::CapabilityNotEnabled,
        "container_sandbox or docker",
    );
}

#[tokio::test]
async fn options_are_defaults_for_the_face_that_is_used() {
    let world = container_world(None).await;
    let client = world.client().await;
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let list = vec![
        capability(Fake::ID),
        with(
            "container_sandbox",
            &[("image", text("debian:13")), ("memory_limit", text("1GiB"))],
        ),
        with("docker", &[("image", text("alpine:3"))]),
    ];
    let session = session(&client, list).await.unwrap();
    client
        .create(sandbox(&session, "container", ""))
        .await
        .unwrap();
    // The alias of a face makes that face, where several providers could be meant.
    client
        .create(sandbox(&session, "", "docker"))
        .await
        .unwrap();
    let mut own = sandbox(&session, "container", "");
    own.spec.as_mut().unwrap().source = Some(Source::Image("mine".to_owned()));
    client.create(own).await.unwrap();
    client
        .create(sandbox(&session, Fake::ID, ""))
        .await
        .unwrap();
    let calls = world.fake.calls(Op::Create).into_iter();
    let seen = calls.map(|call| {
        let spec = call.spec.unwrap();
        let memory = spec.limits.memory_bytes;
        (spec.source, memory.unwrap_or_default())
    });
    let image = |name: &str| Some(Source::Image(name.to_owned()));
    let wanted = [
        (image("debian:13"), 1 << 30),
        (image("alpine:3"), 0),
        (image("mine"), 1 << 30),
        (None, 0),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn a_provider_says_what_a_session_needs_for_it() {
    let plan = Plan {
        also: vec!["container", "daytona", "e2b"],
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let client = world.client().await;
    let request = v1::ListProvidersRequest::default();
    let found = client.providers().list_providers(request).await.unwrap();
    let found = found.into_inner().providers;
    let said: Vec<_> = found
        .iter()
        .map(|one| (one.capability_refs.join(" "), &*one.connection_provider))
        .collect();
    let wanted = [
        ("container_sandbox docker", ""),
        ("daytona", "daytona"),
        ("e2b", "e2b"),
        ("fake", ""),
    ];
    let wanted = wanted.map(|(refs, connection)| (refs.to_owned(), connection));
    assert_eq!(said, wanted);
}
