//! The token between gateway and provider.

use sandgate_kit::{KitArgs, StartError};
use sandgate_proto::{Reason, v1::GetCapabilitiesRequest};
use sandgate_system::{Fake, Plan, Raw, World, assert_reason, framed, kit_args};

const CAPABILITIES: &str = "/sandbox.v1.SandboxService/GetCapabilities";

#[tokio::test]
async fn a_provider_serves_only_who_has_it() {
    let world = World::with(Plan {
        provider_token: Some("between us"),
        gateway_token: Some("between us"),
        ..Plan::default()
    })
    .await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    let direct = Raw::connect(world.provider).await;
    let request = framed(&GetCapabilitiesRequest::default());
    for headers in [
        vec![],
        vec![("authorization", "Bearer wrong")],
        vec![("authorization", "between us")],
    ] {
        let refused = direct
            .call(CAPABILITIES, &headers, request.clone())
            .await
            .status();
        assert_reason(
            &refused,
            Reason::AuthenticationRequired,
            "SANDGATE_PROVIDER_TOKEN",
        );
    }
    let headers = [("authorization", "Bearer between us")];
    assert_eq!(
        direct
            .call(CAPABILITIES, &headers, request)
            .await
            .status()
            .code(),
        tonic::Code::Ok
    );
}

/// UNAUTHENTICATED is about our callers' own keys; they can do nothing about this one.
#[tokio::test]
async fn a_gateway_without_it_reports_a_problem_of_the_provider() {
    for gateway_token in [None, Some("wrong")] {
        let world = World::with(Plan {
            provider_token: Some("between us"),
            gateway_token,
            ..Plan::default()
        })
        .await;
        let client = world.client().await;
        let session_id = client.session().await;
        let refused = client.exec(&session_id, "", "print x").await.unwrap_err();
        assert_reason(
            &refused,
            Reason::ProviderUnavailable,
            "SANDGATE_PROVIDER_TOKEN",
        );
    }
}

#[tokio::test]
async fn off_loopback_a_provider_does_not_start_without_it() {
    let open = KitArgs {
        listen: Some(([0, 0, 0, 0], 0).into()),
        ..kit_args()
    };
    let default = ([127, 0, 0, 1], 0).into();
    let refused = sandgate_kit::start(Fake::default(), &open, default)
        .await
        .err()
        .expect("it started, open to all");
    assert!(matches!(refused, StartError::Open(_)), "{refused}");
    assert!(
        refused.to_string().contains("SANDGATE_PROVIDER_TOKEN"),
        "{refused}"
    );
    let closed = KitArgs {
        provider_token: Some("token".into()),
        ..open
    };
    sandgate_kit::start(Fake::default(), &closed, default)
        .await
        .unwrap();
}
