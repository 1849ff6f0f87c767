//! Runs a case on each provider, side by side.

use futures::future::{BoxFuture, join_all};

use crate::stand::{Kind, Stand};

/// Fails where one of them fails, and says which.
pub(crate) async fn on_each(
    case: impl for<'a> Fn(&'a mut Stand) -> BoxFuture<'a, ()> + Copy + Send + Sync + 'static,
) {
    let runs = Kind::ALL.map(|kind| async move {
        let run = tokio::spawn(async move {
            let mut stand = Stand::start(kind).await;
            case(&mut stand).await;
            stand.end().await;
        });
        run.await.err().map(|error| format!("{kind:?}: {error}"))
    });
    let failed: Vec<_> = join_all(runs).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
