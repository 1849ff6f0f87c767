//! The end of a run: everything is deleted, the upstream is swept once, and nothing may be left.

use std::time::Duration;

use futures::future::try_join_all;
use sandgate_proto::v1::{
    ListSandboxesRequest, ReconcileProviderRequest, SandboxState,
    admin_service_client::AdminServiceClient, sandbox_service_client::SandboxServiceClient,
};
use tokio::time::{Instant, sleep};

use super::{left::nothing, stage::Stage, upstream::Upstream};
use crate::failure::{Result, broken, ensure};

/// Longest time until all is deleted: what a killed gateway had claimed may have to lapse first.
const DELETED: Duration = Duration::from_secs(300);
/// Largest page that there is.
const PAGE: u32 = 1000;

/// Deletes what is left of the run, sweeps, and looks.
pub(crate) async fn settle(stage: &Stage, upstream: &Upstream) -> Result<()> {
    let sessions = stage.take_sessions();
    try_join_all(
        sessions
            .iter()
            .map(|id| stage.delete_session(&stage.caller, id)),
    )
    .await?;
    all_deleted(stage).await?;
    sweep(stage).await?;
    let left = upstream.left().await?;
    let checked = nothing(&left);
    stage.caller.tally.add().life.left = Some(left);
    checked?;
    let living = living(stage).await?;
    ensure(living.is_empty(), || {
        format!("ListSandboxes shows {living:?} after the last sweep")
    })
}

/// Waits until the gateways know of no sandbox.
pub(crate) async fn all_deleted(stage: &Stage) -> Result<()> {
    let begin = Instant::now();
    loop {
        let living = living(stage).await?;
        if living.is_empty() {
            break;
        }
        ensure(begin.elapsed() < DELETED, || {
            format!("not deleted {DELETED:?} after their sessions: {living:?}")
        })?;
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Sandboxes that the gateways still know.
pub(crate) async fn living(stage: &Stage) -> Result<Vec<(String, SandboxState)>> {
    let request = ListSandboxesRequest {
        page_size: PAGE,
        ..Default::default()
    };
    let call = |gate, request| async move {
        SandboxServiceClient::new(gate)
            .list_sandboxes(request)
            .await
    };
    let answer = stage.caller.call("ListSandboxes", request, call).await?;
    let all = answer.sandboxes.into_iter();
    let all = all.map(|one| (one.sandbox_id.clone(), one.state()));
    Ok(all.collect())
}

/// ReconcileProvider, once.
pub(crate) async fn sweep(stage: &Stage) -> Result<()> {
    let request = ReconcileProviderRequest {
        provider: stage.provider.id().to_owned(),
        ..Default::default()
    };
    let call = |gate, request| async move {
        AdminServiceClient::new(gate)
            .reconcile_provider(request)
            .await
    };
    let answer = stage
        .caller
        .call("ReconcileProvider", request, call)
        .await?;
    let mut figures = stage.caller.tally.add();
    for action in answer.actions {
        if let Some(error) = action.error {
            return broken(format!(
                "ReconcileProvider could not {} {}: {}: {}",
                action.action, action.provider_sandbox_id, error.code, error.message
            ));
        }
        *figures.life.swept.entry(action.action).or_default() += 1;
    }
    Ok(())
}
