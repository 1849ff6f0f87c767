//! Copies to and from the sandboxes of every provider.

use std::env;

use futures::future::join_all;
use sandgate_proto::v1::{CreateSandboxRequest, DownloadWorkspaceRequest, SetConnectionRequest};
use sandgate_system::{Binary, Client, uuid};

use crate::stand::{Storage, codes, content, gateway_of, transfers};

/// The programs of a provider; all that is in front of them ends first.
async fn provider(id: &str, data: &str) -> Vec<Binary> {
    let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
    let mut programs = Vec::new();
    let mut url = String::new();
    if id == "e2b" {
        let arguments = ["e2b", "--listen", "127.0.0.1:0"];
        let emulator = Binary::start("sandgate-emulator", &arguments).await;
        url = format!("http://{}", emulator.address());
        programs.push(emulator);
    }
    let own = match id {
        "container" => vec!["--data-dir", data, "--image", &image],
        "e2b" => vec!["--api-url", &url, "--sandbox-url", &url],
        _ => vec!["--data-dir", data],
    };
    let arguments = [&["--listen", "127.0.0.1:0"], &own[..]].concat();
    programs.push(Binary::start(&format!("sandgate-provider-{id}"), &arguments).await);
    programs
}

/// A sandbox that begins with files; its id.
async fn created(storage: &Storage, large: &[u8]) -> String {
    let request = CreateSandboxRequest {
        session_id: storage.session_id.clone(),
        request_id: uuid(),
        upload_files: transfers(&[("large", "first/large"), ("small", "/tmp/small")]),
        ..Default::default()
    };
    let created = storage.client.create(request.clone()).await.unwrap();
    let sandbox = created.sandbox.unwrap();
    let (id, workspace) = (sandbox.sandbox_id, sandbox.workspace_path);
    assert!(
        created.uploads.iter().all(|file| file.error.is_none()),
        "{:?}",
        created.uploads
    );
    assert_eq!(
        created.uploads[0].sandbox_path,
        format!("{workspace}/first/large")
    );
    assert!(storage.get_from(&id, "first/large").await.unwrap() == large);
    let again = storage.client.create(request).await.unwrap();
    assert!(again.replayed && again.uploads == created.uploads);
    id
}

/// Gives the caller a key for the provider's upstream, where it needs one.
async fn set_key(id: &str, client: &Client) {
    if id == "e2b" {
        let request = SetConnectionRequest {
            provider: id.to_owned(),
            api_key: "e2b_storage".to_owned(),
            ..SetConnectionRequest::default()
        };
        client.connections().set_connection(request).await.unwrap();
    }
}

async fn round(id: &'static str) {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let programs = provider(id, data.path().to_str().unwrap()).await;
    let address = programs.last().unwrap().address();
    let gateway = gateway_of(id, address, folder.path()).await;
    set_key(id, &Client::connect(gateway.address()).await).await;
    let storage = Storage::at(gateway.address()).await;
    let large = content((5 << 20) + 3);
    storage.put("large", &large).await;
    storage.put("small", b"s").await;
    let id = created(&storage, &large).await;
    let files = [("large", "in/large"), ("none", "x"), ("small", "in/small")];
    let request = storage.upload(&id, &uuid(), &files);
    let result = storage.uploaded(request).await.unwrap();
    assert_eq!(codes(&result), ["", "FILE_NOT_FOUND", ""]);
    storage
        .run(&id, "cmp in/large first/large && cmp in/small /tmp/small")
        .await;
    let files = [
        ("back/large", "in/large"),
        ("back/none", "none"),
        ("back/small", "/tmp/small"),
    ];
    let result = storage.downloaded(&id, &uuid(), &files).await.unwrap();
    assert_eq!(codes(&result), ["", "FILE_NOT_FOUND", ""]);
    assert!(storage.get("back/large").await.unwrap() == large);
    assert_eq!(storage.get("back/small").await.unwrap(), b"s");

    let request = DownloadWorkspaceRequest {
        session_id: storage.session_id.clone(),
        sandbox_id: id.clone(),
        sandbox_path: "in".into(),
        session_path: "all".into(),
        ..Default::default()
    };
    let result = storage.workspace(request).await.unwrap();
    assert_eq!((result.files, result.bytes), (2, large.len() as u64 + 1));
    assert!(storage.get("all/large").await.unwrap() == large);
    storage
        .client
        .delete(&storage.session_id, &id)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_goes_in_comes_out_at_every_provider() {
    let rounds = ["container", "e2b"].map(|id| async move {
        let done = tokio::spawn(round(id)).await;
        done.err().map(|error| format!("{id}: {error}"))
    });
    let failed: Vec<_> = join_all(rounds).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
