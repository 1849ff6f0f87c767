//! Connections of a user: a key is tried before it is kept, and never given back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sandgate_gateway::ConnectionArgs;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{
        Connection, DeleteConnectionRequest, GetConnectionRequest, ListConnectionsRequest,
        SetConnectionRequest,
    },
};
use sandgate_system::{
    Act, Client, Fake, Op, Plan, World, assert_reason, fact, gateway_for, has_retry,
};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tonic::Status;

const OLD: &str = "key-that-was-first-1111";
const NEW: &str = "key-that-came-later-2222";

fn key(provider: &str, api_key: &str) -> SetConnectionRequest {
    SetConnectionRequest {
        provider: provider.to_owned(),
        api_key: api_key.to_owned(),
        ..Default::default()
    }
}

/// SetConnection; an error never holds the key.
async fn set(client: &Client, request: SetConnectionRequest) -> Result<Connection, Status> {
    let api_key = request.api_key.clone();
    let answer = client.connections().set_connection(request).await;
    if let Err(status) = &answer {
        let said = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(api_key.is_empty() || !said.contains(&api_key), "{said}");
    }
    Ok(answer?.into_inner().connection.unwrap())
}

async fn get(client: &Client, provider: &str) -> Connection {
    let request = GetConnectionRequest {
        provider: provider.to_owned(),
        ..Default::default()
    };
    let answer = client.connections().get_connection(request).await;
    answer.unwrap().into_inner().connection.unwrap()
}

async fn list(client: &Client, user_id: &str) -> Vec<String> {
    let request = ListConnectionsRequest {
        user_id: user_id.to_owned(),
        ..Default::default()
    };
    let answer = client.connections().list_connections(request).await;
    let connections = answer.unwrap().into_inner().connections;
    connections.into_iter().map(|one| one.provider).collect()
}

/// The keys that the provider was asked to try.
fn tried(fake: &Fake) -> Vec<String> {
    let credential = |call: sandgate_system::Call| {
        // The gateway lists by itself, too, and then for nobody.
        if call.context.owner.user_id.is_empty() {
            return None;
        }
        let (kind, value) = call.context.credential?;
        assert_eq!(kind, Fake::ID);
        Some(value.expose_secret().to_owned())
    };
    let calls = fake.calls(Op::List).into_iter();
    calls.filter_map(credential).collect()
}

#[tokio::test]
async fn a_key_is_tried_kept_and_only_hinted_at() {
    let world = World::start().await;
    let client = world.client().await;
    assert_eq!(
        get(&client, Fake::ID).await,
        Connection {
            provider: Fake::ID.to_owned(),
            org_id: "dev".to_owned(),
            user_id: "dev".to_owned(),
            ..Default::default()
        }
    );
    let made = set(&client, key(Fake::ID, OLD)).await.unwrap();
    assert!(made.api_key_set && made.update_time.is_some() && made.validate_time.is_some());
    assert_eq!(made.hint, "1111");
    assert_eq!(tried(&world.fake), [OLD]);
    let owner = &world.fake.calls(Op::List)[0].context.owner;
    assert_eq!((&owner.org_id[..], &owner.user_id[..]), ("dev", "dev"));
    assert_eq!(get(&client, Fake::ID).await, made);
    assert_eq!(list(&client, "").await, [Fake::ID]);
    assert!(!format!("{made:?}").contains(OLD));

    let unseen = SetConnectionRequest {
        skip_validation: true,
        ..key(Fake::ID, "short-key")
    };
    let unseen = set(&client, unseen).await.unwrap();
    assert_eq!((unseen.validate_time, &unseen.hint[..]), (None, ""));
    assert_eq!(tried(&world.fake), [OLD]);
}

#[tokio::test]
async fn after_an_error_the_old_key_is_still_in_use() {
    let world = World::start().await;
    let client = world.client().await;
    let made = set(&client, key(Fake::ID, OLD)).await.unwrap();
    for (kind, reason) in [
        (Kind::CredentialRejected, Reason::CredentialRejected),
        (
            Kind::Unavailable(Outcome::Ambiguous),
            Reason::UpstreamUnavailable,
        ),
    ] {
        world.fake.set(Op::List, Act::Fail(kind));
        let status = set(&client, key(Fake::ID, NEW)).await.unwrap_err();
        assert_reason(&status, reason, "");
        assert_eq!(get(&client, Fake::ID).await, made);
    }
    world.fake.mend(Op::List);
    let replaced = set(&client, key(Fake::ID, NEW)).await.unwrap();
    assert_eq!(get(&client, Fake::ID).await, replaced);
    assert_eq!(replaced.hint, "2222");
    assert_eq!(tried(&world.fake), [OLD, NEW, NEW, NEW]);
}

#[tokio::test]
async fn keys_are_deleted() {
    let world = World::start().await;
    let client = world.client().await;
    set(&client, key(Fake::ID, OLD)).await.unwrap();
    let request = DeleteConnectionRequest {
        provider: Fake::ID.to_owned(),
        ..Default::default()
    };
    let delete = async |request| client.connections().delete_connection(request).await;
    delete(request.clone()).await.unwrap();
    assert!(!get(&client, Fake::ID).await.api_key_set);
    assert_eq!(list(&client, "").await, [""; 0]);
    let missing = delete(request.clone()).await.unwrap_err();
    assert_reason(&missing, Reason::ConnectionNotFound, "ListConnections");
    assert_eq!(fact(&missing, "provider").unwrap(), Fake::ID);
    let allowed = DeleteConnectionRequest {
        allow_missing: true,
        ..request
    };
    delete(allowed).await.unwrap();
}

#[tokio::test]
async fn what_takes_no_such_key_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let (invalid, unknown) = (Reason::InvalidField, Reason::ProviderNotConfigured);
    for (provider, reason, hint) in [
        ("container", invalid, "takes no key"),
        ("local", invalid, "takes no key"),
        ("codesandbox", invalid, "CSB_API_KEY"),
        ("", invalid, "required"),
        ("e2b", unknown, "it has: fake"),
        ("nonsense", unknown, "it has: fake"),
    ] {
        for skip_validation in [false, true] {
            let request = SetConnectionRequest {
                skip_validation,
                ..key(provider, OLD)
            };
            let status = set(&client, request).await.unwrap_err();
            assert_reason(&status, reason, hint);
        }
    }
    for api_key in [String::new(), "x".repeat((4 << 10) + 1)] {
        let status = set(&client, key(Fake::ID, &api_key)).await.unwrap_err();
        assert_reason(&status, invalid, "4 KiB");
        assert_eq!(fact(&status, "field").unwrap(), "api_key");
    }
    assert_eq!(tried(&world.fake), [""; 0]);
    set(&client, key(Fake::ID, &"x".repeat(4 << 10)))
        .await
        .unwrap();
}

#[tokio::test]
async fn each_user_has_connections_of_its_own() {
    let world = World::start().await;
    let client = world.client().await;
    let anns = SetConnectionRequest {
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        ..key(Fake::ID, OLD)
    };
    let made = set(&client, anns).await.unwrap();
    assert_eq!((&made.org_id[..], &made.user_id[..]), ("acme", "ann"));
    let owner = &world.fake.calls(Op::List)[0].context.owner;
    assert_eq!((&owner.org_id[..], &owner.user_id[..]), ("acme", "ann"));
    assert_eq!(list(&client, "").await, [""; 0]);
    assert_eq!(list(&client, "ann").await, [""; 0]);
    assert!(!get(&client, Fake::ID).await.api_key_set);
    let request = ListConnectionsRequest {
        org_id: "acme".to_owned(),
        user_id: "ann".to_owned(),
        ..Default::default()
    };
    let listed = client.connections().list_connections(request).await;
    assert_eq!(listed.unwrap().into_inner().connections, [made]);
}

#[tokio::test]
async fn a_provider_that_is_away_leaves_the_old_key() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (running, _data) = gateway_for("e2b", address).await;
    let client = Client::connect(running.address()).await;
    let status = set(&client, key("e2b", NEW)).await.unwrap_err();
    assert_reason(&status, Reason::ProviderUnavailable, "e2b");
    assert!(!get(&client, "e2b").await.api_key_set);
}

/// A server that answers every request with one status, and keeps what it was asked.
struct GitHub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl GitHub {
    async fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let asks = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                asks.lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let body = r#"{"login":"ann"}"#;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nlocation: http://{address}/elsewhere\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked }
    }

    /// A gateway that asks this server.
    async fn world(&self) -> World {
        World::with(Plan {
            connections: ConnectionArgs {
                github_api_url: Some(format!("http://{}/api/v3/", self.address)),
                github_hosts: None,
            },
            ..Plan::default()
        })
        .await
    }
}

#[tokio::test]
async fn a_token_for_git_is_tried_at_github() {
    let github = GitHub::answering("200 OK").await;
    let world = github.world().await;
    let client = world.client().await;
    let made = set(&client, key("github", OLD)).await.unwrap();
    assert!(made.api_key_set && made.validate_time.is_some());
    let asked = github.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    let request = asked[0].to_lowercase();
    assert!(
        request.starts_with("get /api/v3/user http/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains(&format!("authorization: bearer {OLD}\r\n")));
    assert!(request.contains("user-agent: sandgate\r\n"));

    let odd = set(&client, key("github", "token\r\nx: y"))
        .await
        .unwrap_err();
    assert_reason(&odd, Reason::InvalidField, "api_key");
    assert_eq!(get(&client, "github").await, made);
    assert_eq!(github.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_that_github_does_not_take_is_not_kept() {
    let rejected = Reason::CredentialRejected;
    let unavailable = Reason::UpstreamUnavailable;
    for (answer, reason) in [
        ("401 Unauthorized", rejected),
        ("403 Forbidden", rejected),
        ("302 Found", unavailable),
        ("404 Not Found", unavailable),
        ("500 Oh", unavailable),
        ("nonsense", unavailable),
    ] {
        let github = GitHub::answering(answer).await;
        let world = github.world().await;
        let client = world.client().await;
        let status = set(&client, key("github", NEW)).await.unwrap_err();
        assert_reason(&status, reason, "GitHub");
        assert_eq!(fact(&status, "provider").unwrap(), "github");
        assert_eq!(has_retry(&status), reason == unavailable);
        assert!(!get(&client, "github").await.api_key_set, "{answer}");
        assert_eq!(github.asked.lock().unwrap().len(), 1, "{answer}");
    }
}
