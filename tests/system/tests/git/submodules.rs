//! Submodules, with the same rules for the token.

use sandgate_proto::v1::CloneRepositoryRequest;

use sandgate_system::GitServer;

use crate::{
    kinds::Kind,
    stand::{Stand, TOKEN, code},
    tokens::in_folder,
};

fn with_submodules(request: CloneRepositoryRequest) -> CloneRepositoryRequest {
    CloneRepositoryRequest {
        submodules: true,
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_levels_come_with_the_token_of_their_host() {
    let stand = Stand::start(Kind::Container).await;
    let host = stand.origin.strip_prefix("http://").unwrap().to_owned();
    stand.repositories.small("inner.git");
    // As ssh has it, where it is the token's host, and by the way of the one above.
    stand.repositories.with_submodule(
        "middle.git",
        &format!("ssh://git@{host}/closed/inner.git"),
        "inner.git",
    );
    stand
        .repositories
        .with_submodule("outer.git", "../middle.git", "middle.git");
    let without = stand
        .cloned(in_folder(stand.request("/closed/outer.git"), "without"))
        .await;
    assert_eq!(
        stand.said(&format!("ls -A {}/inner", without.path)).await,
        ""
    );
    let request = with_submodules(in_folder(stand.request("/closed/outer.git"), "with"));
    let cloned = stand.cloned(request).await;
    let read = stand
        .said(&format!("cat {}/inner/inner/README", cloned.path))
        .await;
    assert_eq!(read, "inner.git 3\n");
    let state = stand
        .said(&format!(
            "git -C {} submodule status --recursive",
            cloned.path
        ))
        .await;
    assert_eq!(
        state.lines().filter(|line| line.starts_with(' ')).count(),
        2,
        "{state}"
    );
}

/// A repository may name any address for its submodules.
#[tokio::test(flavor = "multi_thread")]
async fn another_host_does_not_get_the_token() {
    let stand = Stand::start(Kind::Local).await;
    let other = GitServer::start(stand.repositories.root()).await;
    other.takes(TOKEN);
    let elsewhere = format!("http://127.0.0.1:{}/closed/inner-of-bad.git", other.port);
    stand.repositories.with_bad_submodule("bad.git", &elsewhere);
    let cloned = stand
        .clone(with_submodules(stand.request("/closed/bad.git")))
        .await
        .unwrap();
    assert!(code(&cloned).unwrap() > 0, "{cloned:?}");
    assert!(!other.asked().is_empty());
    assert!(other.asked().iter().all(|asked| asked.password.is_none()));
    assert_eq!(stand.said("ls -A").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_way_than_the_web() {
    let stand = Stand::start(Kind::Local).await;
    stand.said("git init --quiet --bare /tmp/own.git").await;
    for (name, url) in [
        ("a.git", "/tmp/own.git"),
        ("b.git", "file:///tmp/own.git"),
        ("c.git", "ext::sh -c touch% /tmp/ran"),
    ] {
        let inner = stand.repositories.root().join("inner-of-bad.git");
        if inner.exists() {
            std::fs::remove_dir_all(inner).unwrap();
            std::fs::remove_dir_all(stand.repositories.root().join("work-inner-of-bad.git"))
                .unwrap();
        }
        stand.repositories.with_bad_submodule(name, url);
        let request = with_submodules(stand.request(&format!("/open/{name}")));
        let cloned = stand.clone(request).await.unwrap();
        assert!(code(&cloned).unwrap() > 0, "{cloned:?}");
        assert!(cloned.output_tail.contains("not allowed"), "{cloned:?}");
    }
    assert_eq!(stand.ran("ls /tmp/ran").await.0, Some(2));
}
