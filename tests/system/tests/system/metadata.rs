//! Metadata in both directions: what is on the list passes, everything else stays where it is.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message as _;
use sandgate_proto::{
    CONTEXT_METADATA, STATE_METADATA,
    provider::v1::ProviderContext,
    v1::{ExecRequest, IssueApiKeyRequest, admin_service_client::AdminServiceClient},
};
use sandgate_service::timeout_of;
use sandgate_system::{Plan, Seen, World, framed};

const EXEC: &str = "/sandbox.v1.SandboxService/Exec";

async fn exec_with(
    world: &World,
    headers: &[(&str, &str)],
) -> (Seen, sandgate_system::Reply, String) {
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let request = ExecRequest {
        session_id,
        sandbox_id: sandbox_id.clone(),
        command: "print x".to_owned(),
        ..Default::default()
    };
    let reply = world
        .raw()
        .await
        .call(EXEC, headers, framed(&request))
        .await;
    (world.tap().seen("Exec").remove(0), reply, sandbox_id)
}

/// A key of the world's own caller.
async fn key(world: &World) -> String {
    let issued = AdminServiceClient::new(world.client().await.channel)
        .issue_api_key(IssueApiKeyRequest::default())
        .await
        .unwrap();
    issued.into_inner().secret
}

fn context(seen: &Seen) -> ProviderContext {
    let values: Vec<_> = seen.request.get_all(CONTEXT_METADATA).iter().collect();
    assert_eq!(values.len(), 1, "{values:?}");
    let encoded = values[0].to_str().unwrap().trim_end_matches('=');
    ProviderContext::decode(STANDARD_NO_PAD.decode(encoded).unwrap().as_slice()).unwrap()
}

#[tokio::test]
async fn a_callers_own_copies_of_internal_entries_are_replaced() {
    let world = World::tapped().await;
    let forged = ProviderContext {
        sandbox_id: "forged".to_owned(),
        ..Default::default()
    };
    let forged = STANDARD_NO_PAD.encode(forged.encode_to_vec());
    let headers = [
        (CONTEXT_METADATA, forged.as_str()),
        (CONTEXT_METADATA, "AAAA"),
        (STATE_METADATA, "AAAA"),
    ];
    let (seen, reply, sandbox_id) = exec_with(&world, &headers).await;
    assert_eq!(reply.status().code(), tonic::Code::Ok);
    assert_eq!(context(&seen).sandbox_id, sandbox_id);
    assert!(!seen.request.contains_key(STATE_METADATA));
}

#[tokio::test]
async fn only_what_is_on_the_list_goes_to_the_provider() {
    let world = World::with(Plan {
        tap: true,
        provider_token: Some("between us"),
        gateway_token: Some("between us"),
        ..Plan::default()
    })
    .await;
    let own = format!("Bearer {}", key(&world).await);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("traceparent", traceparent),
        ("tracestate", "a=b"),
        ("x-request-id", "r1"),
        ("authorization", &own),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("grpc-encoding", "identity"),
    ];
    let (seen, reply, _) = exec_with(&world, &headers).await;
    assert_eq!(reply.status().code(), tonic::Code::Ok);
    assert_eq!(seen.request["traceparent"], traceparent);
    assert_eq!(seen.request["tracestate"], "a=b");
    assert_eq!(seen.request["x-request-id"], "r1");
    assert_eq!(seen.request["authorization"], "Bearer between us");
    for name in ["cookie", "x-forwarded-for"] {
        assert!(!seen.request.contains_key(name), "{name} was forwarded");
    }
}

#[tokio::test]
async fn only_what_is_on_the_list_comes_back() {
    let world = World::tapped().await;
    world.tap().add("x-engine-host", "10.0.0.1");
    world.tap().add("set-cookie", "a=b");
    let (_, reply, _) = exec_with(&world, &[]).await;
    for headers in [&reply.headers, &reply.trailers] {
        assert!(!headers.contains_key("x-engine-host"), "{headers:?}");
        assert!(!headers.contains_key("set-cookie"), "{headers:?}");
    }
    assert_eq!(reply.status().code(), tonic::Code::Ok);
}

#[tokio::test]
async fn the_provider_is_told_what_is_left_of_the_deadline() {
    let world = World::tapped().await;
    let (seen, _, _) = exec_with(&world, &[("grpc-timeout", "20S")]).await;
    let left = timeout_of(&seen.request)
        .unwrap()
        .expect("no deadline for the provider");
    assert!(left <= Duration::from_secs(20), "{left:?}");
    assert!(left > Duration::from_secs(10), "{left:?}");
}

#[tokio::test]
async fn a_stream_without_a_deadline_gets_none() {
    let world = World::tapped().await;
    let (seen, _, _) = exec_with(&world, &[]).await;
    assert_eq!(timeout_of(&seen.request).unwrap(), None);
}

#[tokio::test]
async fn too_much_to_forward_is_refused() {
    let world = World::tapped().await;
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let request = ExecRequest {
        session_id,
        sandbox_id,
        command: "print x".to_owned(),
        ..Default::default()
    };
    let long = "a=".repeat(3000);
    let reply = world
        .raw()
        .await
        .call(EXEC, &[("tracestate", &long)], framed(&request))
        .await;
    sandgate_system::assert_reason(
        &reply.status(),
        sandgate_proto::Reason::InvalidField,
        "4 KiB",
    );
}
