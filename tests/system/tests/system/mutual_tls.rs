//! Mutual TLS between gateway and provider.

use sandgate_kit::KitArgs;
use sandgate_proto::{
    Reason,
    v1::{GetCapabilitiesRequest, sandbox_service_client::SandboxServiceClient},
};
use sandgate_service::{TlsFiles, Wire, WirePeer};
use sandgate_system::{Certificates, Fake, Plan, World, assert_reason, kit_args};
use tokio::runtime::Handle;

#[tokio::test]
async fn it_lets_the_gateway_in_and_nobody_else() {
    let certificates = Certificates::new();
    let world = World::with(Plan {
        provider_tls: certificates.side("server"),
        access_tls: certificates.side("client"),
        ..Plan::default()
    })
    .await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let ran = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"x");

    let call = |scheme: &str, tls: TlsFiles| {
        let peer = WirePeer {
            url: format!("{scheme}://{}", world.provider),
            tls,
        };
        let mut client = SandboxServiceClient::new(Wire::new(&peer, Handle::current()).unwrap());
        async move {
            client
                .get_capabilities(GetCapabilitiesRequest::default())
                .await
        }
    };
    call("https", certificates.side("client")).await.unwrap();
    call("https", certificates.nobody()).await.unwrap_err();
    call("https", certificates.stranger()).await.unwrap_err();
    call("http", TlsFiles::default()).await.unwrap_err();
}

#[tokio::test]
async fn a_gateway_without_a_certificate_says_that_the_provider_does_not_answer() {
    let certificates = Certificates::new();
    for access_tls in [certificates.nobody(), certificates.stranger()] {
        let world = World::with(Plan {
            provider_tls: certificates.side("server"),
            access_tls,
            ..Plan::default()
        })
        .await;
        let client = world.client().await;
        let session_id = client.session().await;
        let refused = client.exec(&session_id, "", "print x").await.unwrap_err();
        assert_reason(&refused, Reason::ProviderUnavailable, "fake");
    }
}

#[tokio::test]
async fn with_it_a_provider_may_listen_off_loopback() {
    let certificates = Certificates::new();
    let args = |tls: TlsFiles| KitArgs {
        listen: Some(([0, 0, 0, 0], 0).into()),
        tls_cert: tls.cert,
        tls_key: tls.key,
        tls_ca: tls.ca,
        ..kit_args()
    };
    let default = ([127, 0, 0, 1], 0).into();
    let mutual = certificates.side("server");
    sandgate_kit::start(Fake::default(), &args(mutual.clone()), default)
        .await
        .unwrap();
    // Encrypted, but open to everybody.
    let one_sided = TlsFiles { ca: None, ..mutual };
    assert!(
        sandgate_kit::start(Fake::default(), &args(one_sided), default)
            .await
            .is_err()
    );
}
