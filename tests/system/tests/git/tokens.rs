//! Who may clone what: with a token, without, with a wrong one and with one that has expired.

use crate::{
    kinds::Kind,
    stand::{Stand, TOKEN, code},
};

async fn who_may(kind: Kind) {
    let stand = Stand::without_token(kind).await;
    stand.repositories.small("r.git");
    let open = stand.cloned(stand.request("/open/r.git")).await;
    assert!(!open.authenticated);
    assert_eq!(open.path, format!("{}/open/r", workspace(&stand).await));

    let closed = stand.clone(stand.request("/closed/r.git")).await.unwrap();
    assert!(code(&closed).unwrap() > 0, "{closed:?}");
    assert!(!closed.authenticated);
    assert!(
        closed.output_tail.contains("connection github"),
        "{closed:?}"
    );
    assert_eq!((closed.r#ref.as_str(), closed.commit.as_str()), ("", ""));

    stand.has_token("a-wrong-token-for-all").await;
    let wrong = stand.clone(stand.request("/closed/r.git")).await.unwrap();
    assert!(code(&wrong).unwrap() > 0, "{wrong:?}");
    assert!(wrong.authenticated, "the host has seen it");
    assert!(
        wrong.output_tail.contains("did not take the token"),
        "{wrong:?}"
    );
    assert!(!wrong.output_tail.contains("a-wrong-token-for-all"));
    assert_eq!(
        stand.said("ls -A $PWD/closed 2>/dev/null || true").await,
        ""
    );

    stand.has_token(TOKEN).await;
    let closed = stand.cloned(stand.request("/closed/r.git")).await;
    assert!(closed.authenticated);
    // A token that is not asked for is not sent.
    let again = Stand::request(&stand, "/open/r.git");
    let open = stand.cloned(in_folder(again, "again")).await;
    assert!(!open.authenticated);
    let asked = stand.server.asked().into_iter();
    let told = asked.filter(|asked| asked.path.starts_with("/open") && asked.password.is_some());
    assert_eq!(told.count(), 0);

    stand.server.takes("the one that was made after it expired");
    let expired = in_folder(stand.request("/closed/r.git"), "expired");
    let expired = stand.clone(expired).await.unwrap();
    assert!(
        code(&expired).unwrap() > 0 && expired.authenticated,
        "{expired:?}"
    );
}

pub(crate) async fn workspace(stand: &Stand) -> String {
    stand.said("printf %s \"$PWD\"").await
}

pub(crate) fn in_folder(
    request: sandgate_proto::v1::CloneRepositoryRequest,
    path: &str,
) -> sandgate_proto::v1::CloneRepositoryRequest {
    sandgate_proto::v1::CloneRepositoryRequest {
        path: path.to_owned(),
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_clone_what_on_local() {
    who_may(Kind::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_clone_what_on_container() {
    who_may(Kind::Container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_clone_what_on_e2b() {
    who_may(Kind::E2b).await;
}

/// The secret of a session, where the user has no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_secret_does_as_well() {
    let stand = Stand::without_token(Kind::Local).await;
    stand.repositories.small("r.git");
    let closed = stand.clone(stand.request("/closed/r.git")).await.unwrap();
    assert!(!closed.authenticated);
    stand.has_secret(TOKEN).await;
    let cloned = stand.cloned(stand.request("/closed/r.git")).await;
    assert!(cloned.authenticated);
    assert!(!cloned.output_tail.contains(TOKEN));
}
