//! Tokens of an issuer, whose keys come and go.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sandgate_gateway::{IdentityArgs, StartError};
use sandgate_proto::{Reason, v1::CreateSessionResponse};
use sandgate_system::{
    Issuer, Plan, Raw, Shown, TokenKey, World, assert_reason, fact, framed, has_retry,
};
use serde_json::{Value, json};
use tonic::Status;

const CREATE: &str = "/sandbox.v1.SessionService/CreateSession";

fn identity(issuer: &Issuer) -> IdentityArgs {
    IdentityArgs {
        jwt_issuer: Some(issuer.url()),
        jwt_audience: Some("sandgate".to_owned()),
        ..IdentityArgs::default()
    }
}

async fn world(shown: Shown) -> (World, Issuer) {
    let issuer = Issuer::start(shown).await;
    let world = World::with(Plan {
        identity: identity(&issuer),
        ..Plan::default()
    })
    .await;
    (world, issuer)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(issuer: &Issuer, user: &str) -> Value {
    json!({"iss": issuer.url(), "aud": "sandgate", "exp": now() + 300, "sub": user, "org_id": "acme"})
}

async fn call(raw: &Raw, token: &str) -> Result<CreateSessionResponse, Status> {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let reply = raw.call(CREATE, &headers, framed(&())).await;
    match reply.status() {
        status if status.code() == tonic::Code::Ok => Ok(reply.message()),
        status => Err(status),
    }
}

async fn refused(raw: &Raw, token: &str) {
    let status = call(raw, token).await.unwrap_err();
    assert_reason(
        &status,
        Reason::AuthenticationRequired,
        "authorization: Bearer",
    );
}

#[tokio::test]
async fn a_token_calls_for_its_user() {
    let key = TokenKey::new("a");
    let (world, issuer) = world(Shown::Keys(vec![key.jwk.clone()])).await;
    let raw = world.raw().await;
    for _ in 0..2 {
        let made = call(&raw, &key.sign(&claims(&issuer, "ann")))
            .await
            .unwrap();
        let session = made.session.unwrap();
        assert_eq!((&session.org_id[..], &session.user_id[..]), ("acme", "ann"));
    }
    let without = raw.call(CREATE, &[], framed(&())).await.status();
    assert_reason(&without, Reason::AuthenticationRequired, "Bearer");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn what_is_not_for_us_is_refused() {
    let key = TokenKey::new("a");
    let (world, issuer) = world(Shown::Keys(vec![key.jwk.clone()])).await;
    let raw = world.raw().await;
    for (claim, wrong) in [
        ("iss", json!("https://other")),
        ("aud", json!("other")),
        ("exp", json!(now() - 60)),
        ("nbf", json!(now() + 60)),
        ("org_id", json!("")),
    ] {
        let mut claims = claims(&issuer, "ann");
        claims[claim] = wrong;
        refused(&raw, &key.sign(&claims)).await;
    }
    let good = claims(&issuer, "ann");
    refused(&raw, &TokenKey::new("a").sign(&good)).await;

    let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = json!({"alg": "none", "kid": "a"});
    refused(&raw, &format!("{}.{}.", b64(&unsigned), b64(&good))).await;
    let header = Header {
        kid: Some("a".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    for secret in [
        key.jwk.to_string(),
        key.jwk["x"].as_str().unwrap().to_owned(),
    ] {
        let shared = EncodingKey::from_secret(secret.as_bytes());
        refused(&raw, &encode(&header, &good, &shared).unwrap()).await;
    }
    call(&raw, &key.sign(&good)).await.unwrap();
}

#[tokio::test]
async fn keys_are_rotated() {
    let (old, new) = (TokenKey::new("old"), TokenKey::new("new"));
    let (world, issuer) = world(Shown::Keys(vec![old.jwk.clone()])).await;
    let raw = world.raw().await;
    let old_token = old.sign(&claims(&issuer, "ann"));
    call(&raw, &old_token).await.unwrap();

    issuer.show(Shown::Keys(vec![new.jwk.clone()]));
    call(&raw, &old_token).await.unwrap();
    // The first token with the new key has the keys fetched, for all who wait; the old one is gone.
    let tokens = ["ann", "bob", "cy"].map(|user| new.sign(&claims(&issuer, user)));
    for made in join_all(tokens.iter().map(|token| call(&raw, token))).await {
        made.unwrap();
    }
    assert_eq!(issuer.fetches(), 2);
    refused(&raw, &old_token).await;

    // Keys that there never were cause no more than this.
    for number in 0..20 {
        let unknown = TokenKey::new(&number.to_string());
        refused(&raw, &unknown.sign(&claims(&issuer, "ann"))).await;
    }
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn keys_outlive_their_endpoint() {
    let key = TokenKey::new("a");
    let (world, issuer) = world(Shown::Keys(vec![key.jwk.clone()])).await;
    let raw = world.raw().await;
    call(&raw, &key.sign(&claims(&issuer, "ann")))
        .await
        .unwrap();
    for shown in [Shown::Nothing, Shown::Text("x".repeat(300_000))] {
        issuer.show(shown);
        refused(&raw, &TokenKey::new("b").sign(&claims(&issuer, "ann"))).await;
        call(&raw, &key.sign(&claims(&issuer, "bob")))
            .await
            .unwrap();
    }
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn without_any_keys_the_caller_is_told_to_come_back() {
    let key = TokenKey::new("a");
    for shown in [
        Shown::Nothing,
        Shown::Text("no keys".to_owned()),
        Shown::Text(format!("{{\"keys\": []{}}}", " ".repeat(300_000))),
    ] {
        let (world, issuer) = world(shown).await;
        let raw = world.raw().await;
        let token = key.sign(&claims(&issuer, "ann"));
        let status = call(&raw, &token).await.unwrap_err();
        assert_reason(&status, Reason::UpstreamUnavailable, "SANDGATE_JWT_ISSUER");
        assert!(has_retry(&status));
        assert_eq!(fact(&status, "outcome").as_deref(), Some("rejected"));
        // What can be no good token needs no keys to be refused.
        refused(&raw, "a.b.c").await;

        issuer.show(Shown::Keys(vec![key.jwk.clone()]));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        call(&raw, &token).await.unwrap();
    }
}

#[tokio::test]
async fn half_a_configuration_is_no_start() {
    for (identity, missing) in [
        (
            IdentityArgs {
                jwt_issuer: Some("https://issuer".to_owned()),
                ..IdentityArgs::default()
            },
            "SANDGATE_JWT_AUDIENCE",
        ),
        (
            IdentityArgs {
                jwt_jwks_url: Some("https://issuer/keys".to_owned()),
                jwt_audience: Some("sandgate".to_owned()),
                ..IdentityArgs::default()
            },
            "SANDGATE_JWT_ISSUER",
        ),
    ] {
        let plan = Plan {
            identity,
            ..Plan::default()
        };
        let refused = plan.start_alone().await.unwrap_err();
        assert!(matches!(refused, StartError::Identity(_)), "{refused}");
        assert!(refused.to_string().contains(missing), "{refused}");
    }
}
