//! The state of a provider at rest: sealed, and bound to its own sandbox.

use std::{fs, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sandgate_proto::{
    Reason,
    v1::{CreateSessionRequest, SandboxState},
};
use sandgate_system::{Op, Plan, World, assert_reason};
use sqlx::Executor as _;

use crate::database;

const STATE: &str = "a token of the upstream, which nobody may read";

/// A gateway whose provider has such a state.
async fn world() -> World {
    let world = World::with(Plan::default()).await;
    world.fake.state(STATE);
    world
}

/// All bytes that the database has on the disk: the file, and what is not yet moved into it.
fn on_disk(world: &World) -> Vec<u8> {
    let database = world.database();
    let name = database.file_name().unwrap().to_str().unwrap().to_owned();
    let files = fs::read_dir(database.parent().unwrap()).unwrap();
    let mut bytes = Vec::new();
    for file in files.map(Result::unwrap) {
        if file.file_name().to_str().unwrap().starts_with(&name) {
            bytes.extend(fs::read(file.path()).unwrap());
        }
    }
    bytes
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// The text, and what stays of it in base64 wherever it begins.
fn faces(text: &str) -> Vec<Vec<u8>> {
    let mut faces = vec![text.as_bytes().to_vec()];
    for skipped in 0..3 {
        let whole = &text.as_bytes()[skipped..];
        let whole = &whole[..whole.len() / 3 * 3];
        faces.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        faces.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    let hex = text.bytes().map(|byte| format!("{byte:02x}"));
    faces.push(hex.collect::<String>().into_bytes());
    faces
}

#[tokio::test]
async fn it_is_never_on_the_disk_in_clear() {
    let world = world().await;
    let client = world.client().await;
    let request = CreateSessionRequest {
        title: "a title that is on the disk".to_owned(),
        ..Default::default()
    };
    client.sessions().create_session(request).await.unwrap();
    let (session_id, sandbox_id) = client.pair().await;
    let check = |world: &World, when: &str| {
        let bytes = on_disk(world);
        assert!(holds(&bytes, b"a title that is on the disk"), "{when}");
        for face in faces(STATE) {
            let face = String::from_utf8(face).unwrap();
            assert!(!holds(&bytes, face.as_bytes()), "{when}: {face}");
        }
    };
    check(&world, "made");
    client.stop(&session_id, &sandbox_id).await.unwrap();
    client.start(&session_id, &sandbox_id).await.unwrap();
    check(&world, "started");
    let world = world.restarted(Duration::ZERO).await;
    check(&world, "restarted");
    let client = world.client().await;
    client.delete(&session_id, &sandbox_id).await.unwrap();
    check(&world, "deleted");
    let query = "SELECT COUNT(*) FROM sandboxes WHERE sandbox_id = ? AND provider_state = x''";
    assert_eq!(database::number(&world, query, &sandbox_id).await, 1);
}

#[tokio::test]
async fn it_opens_after_a_restart() {
    let world = world().await;
    let (session_id, sandbox_id) = world.client().await.pair().await;
    let world = world.restarted(Duration::ZERO).await;
    let client = world.client().await;
    client.get(&session_id, &sandbox_id).await.unwrap();
    let seen = world.fake.calls(Op::Get).pop().unwrap();
    assert_eq!(seen.state, format!("{STATE}s").into_bytes());
    client.delete(&session_id, &sandbox_id).await.unwrap();
    let seen = world.fake.calls(Op::Delete).pop().unwrap();
    assert_eq!(seen.state, format!("{STATE}s").into_bytes());
}

#[tokio::test]
async fn it_does_not_open_in_another_row_nor_cut_nor_changed() {
    let world = world().await;
    let client = world.client().await;
    let (session_id, good) = client.pair().await;
    let moved = client.sandbox(&session_id).await;
    let cut = client.sandbox(&session_id).await;
    let changed = client.sandbox(&session_id).await;
    let mut file = database::open(&world).await;
    let update = sqlx::query(
        "UPDATE sandboxes SET provider_state =
             (SELECT provider_state FROM sandboxes WHERE sandbox_id = ?) WHERE sandbox_id = ?",
    );
    let update = update.bind(&good).bind(&moved);
    file.execute(update).await.unwrap();
    let update = sqlx::query(
        "UPDATE sandboxes SET provider_state = substr(provider_state, 1, length(provider_state) - 1)
         WHERE sandbox_id = ?",
    );
    file.execute(update.bind(&cut)).await.unwrap();
    let update = sqlx::query("UPDATE sandboxes SET provider_state = x'00ff' WHERE sandbox_id = ?");
    file.execute(update.bind(&changed)).await.unwrap();
    for bad in [&moved, &cut, &changed] {
        let status = client.exec(&session_id, bad, "print x").await.unwrap_err();
        assert_reason(&status, Reason::Internal, "");
        assert!(!status.message().contains(STATE));
        let status = client.stop(&session_id, bad).await.unwrap_err();
        assert_reason(&status, Reason::Internal, "");
    }
    assert_eq!(world.fake.count(Op::Stop), 0);
    let run = client.exec(&session_id, &good, "print x").await.unwrap();
    assert_eq!(run.stdout, b"x");
    let refused = client.rotate_keys().await.unwrap();
    assert_eq!(refused.rotated, 0, "all are under the first key");
    // It must not keep what it belongs to from being deleted.
    for any in [&good, &moved, &cut, &changed] {
        let gone = client.delete(&session_id, any).await.unwrap();
        assert_eq!(gone.state(), SandboxState::Deleted);
    }
    let last = world.fake.calls(Op::Delete).pop().unwrap();
    assert!(last.state.is_empty(), "{last:?}");
}
