//! Copies while they go on: what is told of them, how many there may be, and files that change meanwhile.

use sandgate_gateway::LimitArgs;
use sandgate_proto::{
    Reason,
    v1::{DownloadWorkspaceRequest, upload_to_sandbox_response::Event},
};
use sandgate_system::{Plan, assert_reason, fact, has_retry, uuid};

use crate::stand::{Storage, codes, content, whole};

fn directory(storage: &Storage, sandbox_id: &str) -> DownloadWorkspaceRequest {
    DownloadWorkspaceRequest {
        session_id: storage.session_id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_copied_leaves_the_old_one() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("workspace/large", b"old").await;
    // It never stands still for as long as it takes to read it, and is never of the size that was said.
    let script = "echo still > still
        churn='while :; do truncate -s 9000000 large; truncate -s 90000000 large; done'
        truncate -s 90000000 large; nohup sh -c \"$churn\" > /dev/null 2>&1 &";
    storage.run(&sandbox_id, script).await;
    let result = storage
        .workspace(directory(&storage, &sandbox_id))
        .await
        .unwrap();
    assert_eq!(
        (result.files, result.bytes, result.skipped_count),
        (1, 6, 1),
        "{result:?}"
    );
    let skipped = &result.skipped[0];
    assert_eq!(
        (skipped.path.as_str(), skipped.reason.as_str()),
        ("large", "CHANGED")
    );
    assert_eq!(storage.get("workspace/large").await.unwrap(), b"old");
    assert_eq!(storage.get("workspace/still").await.unwrap(), b"still\n");
}

#[tokio::test]
async fn more_is_skipped_than_is_named() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    let script = "mkdir d; cd d; mkfifo $(seq -f pipe%g 700); for i in $(seq 700); do ln -s x link$i; done; echo 1 > a; echo 2 > z";
    storage.run(&sandbox_id, script).await;
    let result = storage
        .workspace(directory(&storage, &sandbox_id))
        .await
        .unwrap();
    assert_eq!(
        (result.files, result.bytes, result.skipped_count),
        (2, 4, 1400)
    );
    assert_eq!(result.skipped.len(), 1000);
    assert!(result.skipped.iter().all(|one| one.reason == "NOT_REGULAR"));
}

#[tokio::test]
async fn a_quota_that_is_reached_in_the_middle_is_told_for_the_rest() {
    let limits = LimitArgs {
        quota_session_files: Some(5),
        ..LimitArgs::default()
    };
    let plan = Plan {
        limits,
        ..Plan::default()
    };
    let (storage, _local, _gateway) = whole(plan).await;
    let sandbox_id = storage.sandbox().await;
    storage
        .run(&sandbox_id, "for i in $(seq 8); do echo $i > f$i; done")
        .await;
    let result = storage
        .workspace(directory(&storage, &sandbox_id))
        .await
        .unwrap();
    assert_eq!((result.files, result.skipped_count), (5, 3), "{result:?}");
    assert!(
        result.skipped.iter().all(|one| one.reason == "LIMIT"),
        "{result:?}"
    );
    assert_eq!(storage.paths().await.len(), 1 + 5);
    // Replacing takes no further place.
    let again = storage
        .workspace(directory(&storage, &sandbox_id))
        .await
        .unwrap();
    assert_eq!((again.files, again.skipped_count), (5, 3));
}

#[tokio::test]
async fn what_is_told_goes_up_to_what_there_is() {
    let (storage, local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    let size = 20 << 20;
    storage.put("small", b"12345").await;
    storage.put("large", &content(size)).await;
    let files = [
        ("small", "a"),
        ("large", "b"),
        ("none", "c"),
        ("small", "d"),
    ];
    let request = storage.upload(&sandbox_id, "", &files);
    let total = size as u64 + 10;
    local.binary.freeze();
    let mut stream = storage.service().upload_to_sandbox(request).await.unwrap();
    let (mut told, mut begun, mut result) = ((0, 0), false, None);
    while let Some(message) = stream.get_mut().message().await.unwrap() {
        match message.event.unwrap() {
            Event::Progress(now) => {
                assert!(
                    now.files >= told.0 && now.bytes >= told.1,
                    "{now:?} after {told:?}"
                );
                assert!(now.files <= 3 && now.bytes <= total, "{now:?}");
                told = (now.files, now.bytes);
                if !begun {
                    assert_eq!(told, (0, 5), "it is on its way, and nobody has taken it");
                    begun = true;
                    local.binary.thaw();
                }
            }
            Event::KeepAlive(_) => {}
            Event::Result(last) => result = Some(last),
        }
    }
    assert!(begun);
    assert_eq!(codes(&result.unwrap()), ["", "", "FILE_NOT_FOUND", ""]);
}

#[tokio::test]
async fn an_organisation_has_as_many_as_it_may_and_no_more() {
    let (storage, local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("a", b"x").await;
    let request = || storage.upload(&sandbox_id, &uuid(), &[("a", "a")]);
    local.binary.freeze();
    let first = request();
    let mut copies = Vec::new();
    let begin = |request| {
        let mut service = storage.service();
        async move { service.upload_to_sandbox(request).await }
    };
    copies.push(begin(first.clone()).await.unwrap().into_inner());
    for _ in 1..36 {
        copies.push(begin(request()).await.unwrap().into_inner());
    }
    let refused = begin(request()).await.unwrap_err();
    assert_reason(&refused, Reason::QuotaExceeded, "wait for some");
    assert_eq!(fact(&refused, "limit").as_deref(), Some("transfers"));
    assert!(has_retry(&refused));
    // One that is there already is joined.
    copies.push(begin(first).await.unwrap().into_inner());
    local.binary.thaw();
    for mut copy in copies {
        let mut last = None;
        while let Some(message) = copy.message().await.unwrap() {
            last = message.event;
        }
        assert!(matches!(last, Some(Event::Result(result)) if codes(&result) == [""]));
    }
    let result = storage.uploaded(request()).await.unwrap();
    assert_eq!(codes(&result), [""]);
}
