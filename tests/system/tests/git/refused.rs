//! What is refused before git begins, and how that is told.

use sandgate_proto::v1::{CloneRepositoryRequest, ConfigureGitCredentialsRequest};
use sandgate_system::reason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{kinds::Kind, stand::Stand, tokens::in_folder};

fn is(status: &Status, code: Code, word: &str) {
    assert_eq!(
        (status.code(), reason(status).1.as_str()),
        (code, word),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_ref_or_path() {
    let stand = Stand::start(Kind::Local).await;
    let of = |repository: &str| CloneRepositoryRequest {
        repository: repository.to_owned(),
        ..stand.request("")
    };
    for repository in [
        "",
        "-u",
        "/etc",
        "../x",
        "file:///etc",
        "ext::sh -c id",
        "https://u@h/r",
        "https://u:p@h/r",
        "git://h/o/r",
    ] {
        is(
            &stand.clone(of(repository)).await.unwrap_err(),
            Code::InvalidArgument,
            "INVALID_FIELD",
        );
    }
    let wrong: [fn(&mut CloneRepositoryRequest); 4] = [
        |request| request.r#ref = "--upload-pack=id".to_owned(),
        |request| request.path = "a\0b".to_owned(),
        |request| request.execution_id = "a b".to_owned(),
        |request| request.timeout = Some(prost_types::Duration::default()),
    ];
    for change in wrong {
        let mut request = stand.request("/open/r.git");
        change(&mut request);
        is(
            &stand.clone(request).await.unwrap_err(),
            Code::InvalidArgument,
            "INVALID_FIELD",
        );
    }
    // A caller may not bring a token of its own.
    let mut request = stand.request("/open/r.git");
    request.gateway_payload = vec![8, 1].into();
    is(
        &stand.clone(request).await.unwrap_err(),
        Code::InvalidArgument,
        "INVALID_FIELD",
    );
    assert_eq!(stand.server.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_empty_is_left_alone() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    stand
        .said("mkdir full empty && touch full/mine && touch file")
        .await;
    for (path, code, word) in [
        ("full", Code::FailedPrecondition, "DIRECTORY_NOT_EMPTY"),
        (".", Code::FailedPrecondition, "DIRECTORY_NOT_EMPTY"),
        ("file", Code::FailedPrecondition, "NOT_A_DIRECTORY"),
        ("file/r", Code::FailedPrecondition, "NOT_A_DIRECTORY"),
        ("/usr/r", Code::PermissionDenied, "FILE_ACCESS_DENIED"),
    ] {
        let refused = stand
            .clone(in_folder(stand.request("/open/r.git"), path))
            .await
            .unwrap_err();
        is(&refused, code, word);
    }
    assert_eq!(
        stand.said("ls -A . full").await,
        ".:\nempty\nfile\nfull\n\nfull:\nmine\n"
    );
    let filled = stand
        .cloned(in_folder(stand.request("/open/r.git"), "empty"))
        .await;
    assert_eq!(stand.said(&format!("ls {}", filled.path)).await, "README\n");
    // Of one that was there only what came into it goes.
    stand.said("mkdir other").await;
    let failed = in_folder(stand.request("/open/none.git"), "other");
    stand.clone(failed).await.unwrap();
    assert_eq!(stand.said("ls -A other && ls -d other").await, "other\n");
    let deep = in_folder(stand.request("/open/none.git"), "a/b/c");
    stand.clone(deep).await.unwrap();
    assert_eq!(stand.said("ls -A").await, "empty\nfile\nfull\nother\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_git_says_what_to_do() {
    let stand = Stand::start(Kind::E2b).await;
    // Its own folder comes first, and what is there cannot be run by anybody.
    let spec = sandgate_proto::v1::SandboxSpec {
        env: [("PATH".to_owned(), "/nowhere".to_owned())].into(),
        ..Kind::E2b.spec()
    };
    let request = sandgate_proto::v1::CreateSandboxRequest {
        session_id: stand.session_id.clone(),
        spec: Some(spec),
        ..Default::default()
    };
    let made = stand.client.create(request).await.unwrap();
    let sandbox_id = made.sandbox.unwrap().sandbox_id;
    let request = CloneRepositoryRequest {
        sandbox_id: sandbox_id.clone(),
        ..stand.request("/open/r.git")
    };
    let refused = stand.clone(request).await.unwrap_err();
    is(&refused, Code::FailedPrecondition, "GIT_MISSING");
    assert!(
        refused.message().contains("install it in the image"),
        "{refused:?}"
    );
    let request = ConfigureGitCredentialsRequest {
        session_id: stand.session_id.clone(),
        sandbox_id,
        ..Default::default()
    };
    let refused = stand
        .git()
        .configure_git_credentials(request)
        .await
        .unwrap_err();
    is(&refused, Code::FailedPrecondition, "GIT_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_need_a_token_and_its_hosts() {
    let stand = Stand::without_token(Kind::Local).await;
    let refused = stand.configure(&[]).await.unwrap_err();
    is(&refused, Code::FailedPrecondition, "CONNECTION_REQUIRED");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(
        info.metadata.get("provider").map(String::as_str),
        Some("github")
    );
    stand.has_token("a-token-of-the-user").await;
    let refused = stand.configure(&["evil.example"]).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(stand.ran("ls /tmp/.git-credentials").await.0, Some(2));
}
