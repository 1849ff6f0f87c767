//! Files of a create whose gateway dies, or that two gateways are asked for.

use std::{fs, path::Path, time::Duration};

use sandgate_proto::v1::CreateSandboxRequest;
use sandgate_system::{Tap, eventually, uuid};

use crate::stand::{Local, Storage, gateway, gateway_to, transfers, whole};

const MANY: usize = 300;

/// A create that begins with many files.
fn request(storage: &Storage, sandbox_id: &str) -> CreateSandboxRequest {
    let names: Vec<_> = (0..MANY).map(|number| format!("f{number}")).collect();
    let files: Vec<_> = names.iter().map(|name| ("a", name.as_str())).collect();
    CreateSandboxRequest {
        session_id: storage.session_id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        upload_files: transfers(&files),
        ..Default::default()
    }
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        let names = entries.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with('f'))
            .count()
    })
}

#[tokio::test]
async fn a_gateway_that_dies_in_the_middle_loses_none() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let first = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(first.address()).await;
    storage.put("a", b"one").await;
    let sandbox_id = uuid();
    let workspace = local.workspace(&sandbox_id);
    let request = request(&storage, &sandbox_id);
    let create = tokio::spawn({
        let (storage, request) = (storage.clone(), request.clone());
        async move { storage.client.create(request).await }
    });
    eventually("some are copied", || count(&workspace) > 0).await;
    drop(first);
    assert!(create.await.unwrap().is_err());
    let begun = count(&workspace);
    assert!(begun < MANY, "all were there before it died");
    // Nobody repeats the create: the copies are finished all the same.
    let second = gateway(local.binary.address(), folder.path()).await;
    eventually("all are copied", || count(&workspace) == MANY).await;
    let storage = storage.by(second.address()).await;
    // A repeat is told, and copies nothing over what was done with the files since.
    let again = storage.client.create(request.clone()).await.unwrap();
    assert!(again.replayed && again.uploads.len() == MANY);
    assert!(again.uploads.iter().all(|file| file.error.is_none()));
    fs::write(workspace.join("f0"), b"edited").unwrap();
    let once_more = storage.client.create(request).await.unwrap();
    assert_eq!(once_more.uploads, again.uploads);
    assert_eq!(fs::read(workspace.join("f0")).unwrap(), b"edited");
}

#[tokio::test]
async fn a_gateway_that_dies_before_the_sandbox_is_made_loses_none() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let first = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(first.address()).await;
    storage.put("a", b"one").await;
    let sandbox_id = uuid();
    let mut request = request(&storage, &sandbox_id);
    request.wait_timeout = Some(prost_types::Duration::default());
    local.binary.freeze();
    let answer = storage.client.create(request).await.unwrap();
    assert!(answer.uploads.is_empty());
    drop(first);
    local.binary.thaw();
    let _second = gateway(local.binary.address(), folder.path()).await;
    let workspace = local.workspace(&sandbox_id);
    // The lease task finishes the create first, once nobody holds it any more.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    eventually("all are copied", || count(&workspace) == MANY).await;
}

#[tokio::test]
async fn two_gateways_copy_once() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let tap = Tap::to(local.binary.address()).await;
    let one = gateway(tap.address(), folder.path()).await;
    let other = gateway(tap.address(), folder.path()).await;
    let here = Storage::at(one.address()).await;
    let there = here.by(other.address()).await;
    here.put("a", b"one").await;
    let request = request(&here, &uuid());
    let calls = [&here, &there, &here, &there].map(|storage| {
        let (client, request) = (storage.client.clone(), request.clone());
        tokio::spawn(async move { client.create(request).await })
    });
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().unwrap());
    }
    for answer in &answers {
        assert_eq!(answer.uploads, answers[0].uploads);
        assert!(
            answer
                .uploads
                .iter()
                .all(|file| file.error.is_none() && file.bytes == 3)
        );
    }
    assert_eq!(answers[0].uploads.len(), MANY);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(tap.seen("WriteFile").len(), MANY);
}

#[tokio::test]
async fn who_does_not_wait_has_them_later() {
    let (storage, local, _gateway) = whole(sandgate_system::Plan::default()).await;
    storage.put("a", b"one").await;
    let sandbox_id = uuid();
    let mut request = request(&storage, &sandbox_id);
    request.wait_timeout = Some(prost_types::Duration::default());
    let answer = storage.client.create(request.clone()).await.unwrap();
    assert!(answer.uploads.is_empty() && !answer.replayed);
    let workspace = local.workspace(&sandbox_id);
    eventually("all are copied", || count(&workspace) == MANY).await;
    request.wait_timeout = None;
    let again = storage.client.create(request).await.unwrap();
    assert!(again.replayed);
    assert!(again.uploads.len() == MANY && again.uploads.iter().all(|file| file.bytes == 3));
}

/// The sandbox is made, so that nothing of its files fails the create.
#[tokio::test]
async fn files_that_cannot_be_brought_to_their_sandbox_are_told_once_and_for_all() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let first = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(first.address()).await;
    storage.put("a", b"one").await;
    let sandbox_id = uuid();
    let workspace = local.workspace(&sandbox_id);
    let request = request(&storage, &sandbox_id);
    let create = tokio::spawn({
        let (storage, request) = (storage.clone(), request.clone());
        async move { storage.client.create(request).await }
    });
    eventually("some are copied", || count(&workspace) > 0).await;
    drop(first);
    assert!(create.await.unwrap().is_err());
    // This one cannot tell which server of the provider has the sandbox: none of them answers.
    let nobody = "local=http://127.0.0.1:1|http://127.0.0.1:2";
    let second = gateway_to(nobody, folder.path()).await;
    let elsewhere = storage.by(second.address()).await;
    let told = elsewhere.client.create(request.clone()).await.unwrap();
    assert!(told.replayed && told.uploads.len() == MANY);
    let error = told.uploads[MANY - 1].error.as_ref().unwrap();
    assert_eq!(error.code, "HOLDER_UNAVAILABLE");
    let begun = count(&workspace);
    assert!(begun < MANY, "all were there before it died");
    drop(second);
    let third = gateway(local.binary.address(), folder.path()).await;
    let storage = storage.by(third.address()).await;
    let again = storage.client.create(request).await.unwrap();
    assert_eq!(again.uploads, told.uploads);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(count(&workspace), begun, "it was tried again");
}
