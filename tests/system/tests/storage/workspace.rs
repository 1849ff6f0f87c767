//! A directory of a sandbox, with all that may lie in one.

use std::collections::BTreeMap;

use sandgate_gateway::LimitArgs;
use sandgate_proto::{Reason, v1};
use sandgate_system::{Plan, assert_reason, uuid};

use crate::stand::{Storage, whole};

/// Makes files of all kinds in the working directory.
const CLUTTER: &str = r#"
    mkdir -p src/deep empty node_modules/x
    echo one > src/a; echo two > src/deep/b; : > src/nothing
    printf x > "src/-q 'n' 
z"
    printf x > "src/$(printf '\377')"
    ln -s /etc/passwd src/out; ln -s a src/in; mkfifo src/pipe
    head -c 2000000 /dev/zero > large; echo no > node_modules/x/y; echo o > src/c.o
    long=src/$(head -c 200 /dev/zero | tr '\0' l); echo l > "$long"
"#;

fn request(storage: &Storage, sandbox_id: &str) -> v1::DownloadWorkspaceRequest {
    v1::DownloadWorkspaceRequest {
        session_id: storage.session_id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        ..Default::default()
    }
}

fn reasons(result: &v1::WorkspaceResult) -> BTreeMap<&str, &str> {
    let skipped = result.skipped.iter();
    skipped
        .map(|one| (one.path.as_str(), one.reason.as_str()))
        .collect()
}

#[tokio::test]
async fn files_come_and_all_else_is_told() {
    let limits = LimitArgs {
        session_file_bytes: Some(1 << 20),
        ..LimitArgs::default()
    };
    let plan = Plan {
        limits,
        ..Plan::default()
    };
    let (storage, _local, _gateway) = whole(plan).await;
    let sandbox_id = storage.sandbox().await;
    storage.run(&sandbox_id, CLUTTER).await;
    let asked = v1::DownloadWorkspaceRequest {
        excludes: vec!["node_modules".into(), "*.o".into()],
        request_id: uuid(),
        ..request(&storage, &sandbox_id)
    };
    let result = storage.workspace(asked.clone()).await.unwrap();
    let long = format!("/workspace/src/{}", "l".repeat(200));
    let wanted = [
        "/workspace",
        "/workspace/src",
        "/workspace/src/-q 'n' \nz",
        "/workspace/src/a",
        "/workspace/src/deep",
        "/workspace/src/deep/b",
        &long,
        "/workspace/src/nothing",
    ];
    assert_eq!(storage.paths().await, wanted);
    assert_eq!(storage.get("workspace/src/deep/b").await.unwrap(), b"two\n");
    assert_eq!((result.files, result.bytes), (5, 4 + 4 + 1 + 2));
    let skipped = reasons(&result);
    assert_eq!(skipped.get("large"), Some(&"TOO_LARGE"), "{skipped:?}");
    assert_eq!(
        skipped.get("src/\u{fffd}"),
        Some(&"NOT_UTF8"),
        "{skipped:?}"
    );
    for name in ["src/in", "src/pipe"] {
        assert_eq!(skipped.get(name), Some(&"NOT_REGULAR"), "{skipped:?}");
    }
    assert!(skipped.contains_key("src/out"), "{skipped:?}");
    assert_eq!(result.skipped_count, 5);
    storage.run(&sandbox_id, "echo changed > src/a").await;
    assert_eq!(storage.workspace(asked).await.unwrap(), result);
    assert_eq!(storage.get("workspace/src/a").await.unwrap(), b"one\n");
}

#[tokio::test]
async fn a_directory_lands_where_it_is_wanted_as_far_as_it_may() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage
        .put("to/x", b"a file, where a directory is to be")
        .await;
    let script = "mkdir -p d/x; echo 1 > d/a; echo 22 > d/b; echo 333 > d/x/c";
    storage.run(&sandbox_id, script).await;
    let asked = v1::DownloadWorkspaceRequest {
        sandbox_path: "d".into(),
        session_path: "to".into(),
        ..request(&storage, &sandbox_id)
    };
    let result = storage.workspace(asked.clone()).await.unwrap();
    assert_eq!(reasons(&result), BTreeMap::from([("x/c", "WRITE_FAILED")]));
    assert_eq!((result.files, result.bytes), (2, 5));
    assert_eq!(storage.paths().await, ["/to", "/to/a", "/to/b", "/to/x"]);
    let little = v1::DownloadWorkspaceRequest {
        session_path: "little".into(),
        max_bytes: Some(2),
        ..asked.clone()
    };
    let result = storage.workspace(little).await.unwrap();
    assert_eq!((result.files, result.bytes), (1, 2));
    assert_eq!(
        reasons(&result),
        BTreeMap::from([("b", "LIMIT"), ("x/c", "LIMIT")])
    );
    for (sandbox_path, session_path, reason) in [
        ("none", "x", Reason::FileNotFound),
        ("d", "../x", Reason::InvalidField),
    ] {
        let wrong = v1::DownloadWorkspaceRequest {
            sandbox_path: sandbox_path.into(),
            session_path: session_path.into(),
            ..asked.clone()
        };
        let refused = storage.workspace(wrong).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
}

#[tokio::test]
async fn what_found_no_room_comes_with_a_repeat_once_there_is_some() {
    let limits = LimitArgs {
        quota_session_bytes: Some(1000),
        ..LimitArgs::default()
    };
    let plan = Plan {
        limits,
        ..Plan::default()
    };
    let (storage, _local, _gateway) = whole(plan).await;
    storage.put("in the way", &[b'x'; 700]).await;
    let sandbox_id = storage.sandbox().await;
    let script = "mkdir d; head -c 200 /dev/zero > d/a; head -c 600 /dev/zero > d/b";
    storage.run(&sandbox_id, script).await;
    let asked = v1::DownloadWorkspaceRequest {
        request_id: uuid(),
        sandbox_path: "d".into(),
        session_path: "to".into(),
        ..request(&storage, &sandbox_id)
    };
    let result = storage.workspace(asked.clone()).await.unwrap();
    assert_eq!(result.files, 1);
    assert_eq!(reasons(&result), BTreeMap::from([("b", "LIMIT")]));
    let request = v1::DeleteSessionFileRequest {
        session_id: storage.session_id.clone(),
        path: "in the way".into(),
        ..Default::default()
    };
    storage
        .service()
        .delete_session_file(request)
        .await
        .unwrap();
    let result = storage.workspace(asked.clone()).await.unwrap();
    assert_eq!((result.files, result.skipped_count), (2, 0), "{result:?}");
    // That is kept: nothing is copied any more.
    storage.run(&sandbox_id, "rm -r d").await;
    assert_eq!(storage.workspace(asked).await.unwrap(), result);
}
