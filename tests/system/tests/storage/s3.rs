//! Session files in a bucket, over HTTP.

use std::{fs, net::SocketAddr, process::Stdio};

use sandgate_gateway::Running;
use sandgate_proto::{
    Reason,
    v1::{DeleteSessionFileRequest, DeleteSessionRequest, Disposition, WriteSessionFileOpen},
};
use sandgate_system::{Binary, assert_reason, gateway_as, has_retry};
use tempfile::TempDir;

use crate::{
    aged::age,
    bucket::Bucket,
    stand::{Storage, content, open},
};

const NOBODY: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

/// A gateway on a bucket, with the folder of its data.
async fn on(bucket: &Bucket) -> (Storage, Running, TempDir) {
    let (running, data) = gateway_as(bucket.plan(), "local", NOBODY.into()).await;
    (Storage::at(running.address()).await, running, data)
}

fn append(path: &str) -> WriteSessionFileOpen {
    WriteSessionFileOpen {
        disposition: Disposition::Append.into(),
        ..open(path)
    }
}

async fn delete(storage: &Storage, path: &str) {
    let request = DeleteSessionFileRequest {
        session_id: storage.session_id.clone(),
        path: path.to_owned(),
        ..Default::default()
    };
    storage
        .service()
        .delete_session_file(request)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_read_changed_and_removed() {
    let mut bucket = Bucket::start().await;
    let (storage, _running, data) = on(&bucket).await;
    let large = content((9 << 20) + 7);
    storage.put("a/large", &large).await;
    let objects = bucket.objects().await;
    assert_eq!(objects.len(), 3);
    assert!(objects.iter().all(|name| name.starts_with("some/prefix/")));
    assert_eq!(storage.get("a/large").await.unwrap(), large);
    let range = storage.range("a/large", (4 << 20) - 5, 10).await;
    assert_eq!(range, large[(4 << 20) - 5..(4 << 20) + 5]);
    storage.put("log", b"one,").await;
    for more in ["two,", "three"] {
        let more = more.as_bytes();
        storage.write(append("log"), more).await.unwrap();
    }
    assert_eq!(storage.get("log").await.unwrap(), b"one,two,three");
    storage.put("a/large", b"small").await;
    assert_eq!(storage.get("a/large").await.unwrap(), b"small");
    age(data.path(), 15).await;
    bucket.has(2).await;
    assert_eq!(storage.get("log").await.unwrap(), b"one,two,three");
    delete(&storage, "log").await;
    bucket.has(1).await;
    let request = DeleteSessionRequest {
        session_id: storage.session_id.clone(),
        ..Default::default()
    };
    let mut sessions = storage.client.sessions();
    sessions.delete_session(request).await.unwrap();
    bucket.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_gateways_share_it() {
    let mut bucket = Bucket::start().await;
    let (first, _running, data) = on(&bucket).await;
    let mut plan = bucket.plan();
    plan.data = Some(data.path().to_owned());
    let (running, _unused) = gateway_as(plan, "local", NOBODY.into()).await;
    let second = first.by(running.address()).await;
    let large = content(5 << 20);
    first.put("large", &large).await;
    assert_eq!(second.get("large").await.unwrap(), large);
    let writers = [&first, &second].map(|storage| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                storage.write(append("log"), b"line\n").await.unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    let log = first.get("log").await.unwrap();
    assert_eq!(log, b"line\n".repeat(10));
    assert_eq!(second.get("log").await.unwrap(), log);
    delete(&second, "large").await;
    delete(&first, "log").await;
    age(data.path(), 1).await;
    bucket.has(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_removed_is_damage_and_no_empty_file() {
    let mut bucket = Bucket::start().await;
    let (storage, _running, _data) = on(&bucket).await;
    storage.put("f", b"content").await;
    let objects = bucket.objects().await;
    bucket.drop_object(&objects[0]).await;
    let damaged = storage.get("f").await.unwrap_err();
    assert_reason(&damaged, Reason::StoreDamaged, "write it again");
    storage.put("f", b"again").await;
    assert_eq!(storage.get("f").await.unwrap(), b"again");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_away_calls_say_so_and_files_stay() {
    let bucket = Bucket::start().await;
    let (storage, _running, _data) = on(&bucket).await;
    storage.put("f", b"content").await;
    bucket.end().await;
    for failed in [
        storage.get("f").await.unwrap_err(),
        storage.write(open("f"), b"other").await.unwrap_err(),
        storage.write(append("f"), b"more").await.unwrap_err(),
    ] {
        assert_reason(&failed, Reason::StoreUnavailable, "repeat the call");
        assert!(has_retry(&failed), "{failed:?}");
    }
    assert_eq!(storage.stat("f").await.unwrap().size, 7);
}

/// The gateway as a program, with all that it can log.
async fn logged(bucket: &Bucket, secret: &str, folder: &TempDir) -> Binary {
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let data = folder.path().join("data");
    let providers = format!("local=http://{}", SocketAddr::from(NOBODY));
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--providers",
        &providers,
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let settings = bucket.settings(secret);
    let mut environment: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    environment.push(("SANDGATE_LOG", "trace"));
    Binary::start_with(
        "sandgate-gateway",
        &arguments,
        &environment,
        Stdio::from(log),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_and_none_are_logged() {
    let bucket = Bucket::start().await;
    let wrong = "a-secret-that-is-not-right";
    for secret in [bucket.secret.as_str(), wrong] {
        let folder = tempfile::tempdir().unwrap();
        let gateway = logged(&bucket, secret, &folder).await;
        let storage = Storage::at(gateway.address()).await;
        let written = storage.write(open("f"), b"content").await;
        if secret == wrong {
            let refused = written.unwrap_err();
            assert_reason(&refused, Reason::StoreUnavailable, "SANDGATE_FILES_OPTIONS");
            assert!(has_retry(&refused), "{refused:?}");
        } else {
            written.unwrap();
            assert_eq!(storage.get("f").await.unwrap(), b"content");
        }
        gateway.terminate();
        assert!(gateway.ended().await.success());
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(
            log.contains("403 Forbidden, SignatureDoesNotMatch"),
            secret == wrong,
            "the operator learns why, where there is a reason to"
        );
        assert!(log.contains("TRACE"), "nothing was logged");
        for line in log.lines() {
            let shown = [secret, bucket.key_id.as_str()];
            assert!(!shown.iter().any(|key| line.contains(key)), "{line}");
        }
    }
}
