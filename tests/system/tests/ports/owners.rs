//! Whose ports they are.

use sandgate_proto::Reason;
use sandgate_system::{assert_reason, uuid};
use tonic::Status;

use crate::{
    stand::{Ids, Stand},
    visitor::get,
};

/// What all calls about it answer.
async fn refused(stand: &Stand, ids: &Ids) -> Vec<(tonic::Code, String)> {
    let answers: [Result<(), Status>; 3] = [
        stand.try_expose(ids, 8080).await.map(drop),
        stand.listed(ids).await.map(drop),
        stand.unexpose(ids, 8080).await,
    ];
    let told = |answer: Result<(), Status>| {
        let status = answer.unwrap_err();
        assert_reason(&status, Reason::SandboxNotFound, "");
        (status.code(), status.message().replace(&ids.1, "ID"))
    };
    answers.map(told).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sessions_sandbox_is_as_one_that_is_not_there() {
    let stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let stranger = stand.client.session().await;
    let foreign = refused(&stand, &(stranger.clone(), ids.1.clone())).await;
    let unknown = refused(&stand, &(stranger, uuid())).await;
    assert_eq!(foreign, unknown);
    assert_eq!(get(at, "/").await.unwrap(), "hello");
    assert_eq!(stand.listed(&ids).await.unwrap().len(), 1);
}
