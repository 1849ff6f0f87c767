//! Client certificates as identities.

use sandgate_gateway::{IdentityArgs, StartError};
use sandgate_proto::{
    Reason,
    v1::{CreateSessionRequest, Session, session_service_client::SessionServiceClient},
};
use sandgate_service::{TlsFiles, Wire, WirePeer};
use sandgate_system::{Certificates, Plan, World, assert_reason};
use tokio::runtime::Handle;
use tonic::{Request, Status};

fn identity() -> IdentityArgs {
    IdentityArgs {
        tls_client_identity: Some(true),
        ..IdentityArgs::default()
    }
}

async fn session(
    world: &World,
    tls: TlsFiles,
    authorization: Option<&str>,
) -> Result<Session, Status> {
    let peer = WirePeer {
        url: format!("https://{}", world.gateway),
        tls,
    };
    let wire = Wire::new(&peer, Handle::current()).unwrap();
    let mut request = Request::new(CreateSessionRequest::default());
    if let Some(value) = authorization {
        request
            .metadata_mut()
            .insert("authorization", value.parse().unwrap());
    }
    let made = SessionServiceClient::new(wire)
        .create_session(request)
        .await?;
    Ok(made.into_inner().session.unwrap())
}

#[tokio::test]
async fn a_certificate_is_its_subject() {
    let certificates = Certificates::new();
    let world = World::with(Plan {
        admin_key: Some("the admin key"),
        tls: certificates.side("server"),
        identity: identity(),
        ..Plan::default()
    })
    .await;
    let ann = certificates.person("acme", "ann");
    for _ in 0..2 {
        let made = session(&world, ann.clone(), None).await.unwrap();
        assert_eq!((&made.org_id[..], &made.user_id[..]), ("acme", "ann"));
    }
    // A credential that is sent counts, and has to be good.
    let made = session(&world, ann.clone(), Some("Bearer the admin key")).await;
    assert_eq!(made.unwrap().user_id, "admin");
    let refused = session(&world, ann, Some("Bearer wrong"))
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::AuthenticationRequired, "Bearer");
    for half in [("acme", ""), ("", "ann"), ("", "")] {
        let refused = session(&world, certificates.person(half.0, half.1), None)
            .await
            .unwrap_err();
        assert_reason(&refused, Reason::AuthenticationRequired, "(O)");
    }
    assert!(
        session(&world, certificates.stranger(), None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn unless_it_is_configured_certificates_say_nothing() {
    let certificates = Certificates::new();
    let world = World::with(Plan {
        admin_key: Some("the admin key"),
        tls: certificates.side("server"),
        ..Plan::default()
    })
    .await;
    let refused = session(&world, certificates.person("acme", "ann"), None)
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::AuthenticationRequired, "Bearer");
}

#[tokio::test]
async fn it_needs_an_authority() {
    let certificates = Certificates::new();
    let one_sided = TlsFiles {
        ca: None,
        ..certificates.side("server")
    };
    for tls in [TlsFiles::default(), one_sided] {
        let refused = Plan {
            tls,
            identity: identity(),
            ..Plan::default()
        }
        .start_alone()
        .await
        .unwrap_err();
        assert!(matches!(refused, StartError::Identity(_)), "{refused}");
        assert!(refused.to_string().contains("SANDGATE_TLS_CA"), "{refused}");
    }
}
