//! Files that a new sandbox is to begin with.

use futures::stream;
use prost_types::Duration;
use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, FileTransfer, WriteSessionFileOpen, WriteSessionFileRequest},
};
use sandgate_system::{Act, Op, World, assert_reason, fact, uuid};

fn file(session_path: &str, sandbox_path: &str) -> FileTransfer {
    FileTransfer {
        session_path: session_path.to_owned(),
        sandbox_path: sandbox_path.to_owned(),
    }
}

#[tokio::test]
async fn there_are_none_while_it_is_being_made() {
    let world = World::start().await;
    let client = world.client().await;
    world.fake.set(Op::Create, Act::Hang);
    let session_id = client.session().await;
    let write = WriteSessionFileRequest {
        session_id: session_id.clone(),
        open: Some(WriteSessionFileOpen {
            path: "a".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let write = stream::iter([write]);
    let mut files = client.session_files();
    files.write_session_file(write).await.unwrap();
    let request = CreateSandboxRequest {
        session_id,
        request_id: uuid(),
        upload_files: vec![file("a", "a")],
        wait_timeout: Some(Duration::default()),
        ..Default::default()
    };
    let made = client.create(request.clone()).await.unwrap();
    assert!(made.uploads.is_empty());
    world.fake.mend(Op::Create);
    let whole = CreateSandboxRequest {
        wait_timeout: None,
        ..request
    };
    assert_eq!(client.create(whole).await.unwrap().uploads.len(), 1);
}

#[tokio::test]
async fn malformed_lists_are_refused_before_anything_is_made() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    for (files, field) in [
        (vec![file("a", "b"), file("", "b")], "[1].session_path"),
        (vec![file("a", "")], "[0].sandbox_path"),
        (vec![file("a", "b"); 1001], ""),
    ] {
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            upload_files: files,
            ..Default::default()
        };
        let refused = client.create(request).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "");
        let wanted = format!("upload_files{field}");
        assert_eq!(fact(&refused, "field"), Some(wanted));
    }
    assert_eq!(world.fake.count(Op::Create), 0);
    let request = CreateSandboxRequest {
        session_id,
        upload_files: vec![file("a", "b"); 1000],
        ..Default::default()
    };
    let missing = client.create(request).await.unwrap_err();
    assert_reason(&missing, Reason::FileNotFound, "write it first");
    assert_eq!(world.fake.count(Op::Create), 0);
}
