//! Comparing all that an upstream has with the store, beside only listing it.

use std::time::{Duration, Instant};

use sandgate_proto::v1::{
    ListSandboxesRequest, ReconcileProviderRequest, admin_service_client::AdminServiceClient,
    sandbox_service_client::SandboxServiceClient,
};
use tokio::time::timeout;

use super::{meter::Used, results::Sample, stand::Side};
use crate::{
    error::{Error, Result},
    hop::provider,
};

/// No comparison takes as long as this.
const PATIENCE: Duration = Duration::from_secs(180);
/// Sandboxes on a page, as the gateway asks for them.
const PAGE: u32 = 500;

/// One comparison by the gateway, and one walk through the list; in seconds.
pub(super) async fn sample(side: &Side) -> Result<Sample> {
    side.begin().await;
    let before = Used::by(side.gateway.id());
    let begun = Instant::now();
    compare(side).await?;
    let value = begun.elapsed().as_secs_f64();
    let used = Used::by(side.gateway.id()).since(before);
    side.end();
    let begun = Instant::now();
    list(side).await?;
    let sandboxes = f64::from(side.sandboxes);
    Ok(Sample {
        value,
        beside: begun.elapsed().as_secs_f64(),
        cpu: used.cpu.as_secs_f64() * 1e6 / sandboxes,
        written: used.written as f64 / sandboxes,
    })
}

/// Lets the gateway compare; there must be no difference.
pub(super) async fn compare(side: &Side) -> Result<()> {
    let mut client = AdminServiceClient::new(side.way.channel(0));
    let asked = ReconcileProviderRequest {
        provider: provider::ID.to_owned(),
        ..Default::default()
    };
    let compared = timeout(PATIENCE, client.reconcile_provider(side.way.request(asked))).await;
    let compared = compared.map_err(|_| Error::Late("a comparison"))?;
    let found = compared
        .map_err(|status| side.way.failed(status))?
        .into_inner();
    if found.examined != u64::from(side.sandboxes) || found.actions_count > 0 {
        return Err(side.way.wrong(format!(
            "{} differences between {} sandboxes and those of the store: {:?}",
            found.actions_count,
            found.examined,
            found.actions.first()
        )));
    }
    Ok(())
}

async fn list(side: &Side) -> Result<()> {
    let mut client = SandboxServiceClient::new(side.direct.channel(0));
    let (mut listed, mut token) = (0, String::new());
    loop {
        let asked = ListSandboxesRequest {
            page_size: PAGE,
            page_token: token,
            ..Default::default()
        };
        let page = timeout(PATIENCE, client.list_sandboxes(side.direct.request(asked))).await;
        let page = page.map_err(|_| Error::Late("a page"))?;
        let page = page
            .map_err(|status| side.direct.failed(status))?
            .into_inner();
        listed += page.sandboxes.len();
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if listed != side.sandboxes as usize {
        return Err(side.direct.wrong(format!("{listed} sandboxes")));
    }
    Ok(())
}
