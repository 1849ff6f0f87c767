//! Which rpcs of the contract are not built yet. The committed lists can only shrink.

use std::{collections::BTreeSet, fs, path::PathBuf};

use prost::Message as _;
use sandgate_proto::{
    CONTEXT_METADATA, Reason, methods, provider::v1::ProviderContext, v1::ExecRequest,
};
use sandgate_system::{Raw, World, frame, reason, uuid};

/// Calls every rpc; the paths of those that are not built.
async fn unbuilt(
    raw: &Raw,
    headers: &[(&str, &str)],
    session_id: &str,
    sandbox_id: &str,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for method in methods::ALL {
        // Only ids: enough to get past every check that comes before.
        let ids = ExecRequest {
            session_id: if method.has_session_id {
                session_id.to_owned()
            } else {
                String::new()
            },
            sandbox_id: if method.has_sandbox_id {
                sandbox_id.to_owned()
            } else {
                String::new()
            },
            ..Default::default()
        };
        // What deletes is asked about something else, so that the rest still finds its sandbox;
        // and a watch, which would not end.
        let ids = match method.name {
            "DeleteSession" | "WatchSession" => ExecRequest {
                session_id: uuid(),
                ..ids
            },
            "DeleteSandbox" => ExecRequest {
                sandbox_id: uuid(),
                ..ids
            },
            _ => ids,
        };
        let answer = raw.call(method.path, headers, frame(0, &ids.encode_to_vec()));
        let status = tokio::time::timeout(std::time::Duration::from_secs(10), answer)
            .await
            .unwrap_or_else(|_| panic!("{} does not answer", method.path))
            .status();
        if status.code() == tonic::Code::Ok {
            continue;
        }
        let (_, why) = reason(&status);
        assert_ne!(why, Reason::MethodUnknown.name(), "{}", method.path);
        // The runner of the scripted provider knows no files, which is not the server's fault.
        let is_built = status.message().starts_with("the runner in this sandbox");
        if why == Reason::CapabilityUnsupported.name() && !is_built {
            assert!(
                status.message().contains("GetCapabilities"),
                "{}: {status:?}",
                method.path
            );
            found.insert(method.path.to_owned());
        }
    }
    found
}

fn compare(list: &str, found: &BTreeSet<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("not_built")
        .join(list);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let listed: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let lost: Vec<_> = found.difference(&listed).collect();
    assert!(
        lost.is_empty(),
        "built before and not any more, or new in the contract: build {lost:#?}"
    );
    let built: Vec<_> = listed.difference(found).collect();
    assert!(
        built.is_empty(),
        "built now: take them out of tests/system/not_built/{list}: {built:#?}"
    );
}

#[tokio::test]
async fn of_the_gateway() {
    let world = World::start().await;
    world.fake.can_pause(true);
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let found = unbuilt(&world.raw().await, &[], &session_id, &sandbox_id).await;
    compare("gateway.txt", &found);
}

#[tokio::test]
async fn of_a_provider() {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

    let world = World::start().await;
    world.fake.can_pause(true);
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let context = ProviderContext {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        generation: 1,
        ..Default::default()
    };
    let context = STANDARD_NO_PAD.encode(context.encode_to_vec());
    let raw = Raw::connect(world.provider).await;
    let found = unbuilt(
        &raw,
        &[(CONTEXT_METADATA, &context)],
        &session_id,
        &sandbox_id,
    )
    .await;
    // A provider never serves what is the gateway's alone.
    let shared = |path: &String| SHARED.iter().any(|service| path.starts_with(service));
    compare("provider.txt", &found.into_iter().filter(shared).collect());
}

/// The services that providers have too.
const SHARED: [&str; 5] = [
    "/sandbox.v1.SandboxService/",
    "/sandbox.v1.ExecutionService/",
    "/sandbox.v1.FileService/",
    "/sandbox.v1.GitService/",
    "/sandbox.v1.PortService/",
];
