//! Two gateways before one provider, one that knows hardly anything and one that knows many
//! sessions, with callers for each.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sandgate_proto::v1::{IssueApiKeyRequest, admin_service_client::AdminServiceClient};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    caller::{Caller, Calls},
    figure::Figure,
    fill::{Filled, fill},
};
use crate::{
    child::Running,
    config::RunArgs,
    error::{Error, Result, machine},
    gateway,
    hop::{provider, setup::sandbox},
    programs,
    way::Way,
};

/// How long a key may take.
const ISSUE: Duration = Duration::from_secs(30);

/// The processes, and the callers.
pub(super) struct Setup {
    /// In the order of their turns.
    pub(super) callers: Vec<Caller>,
    // In the order of their end: each stops before what it calls.
    processes: Vec<Running>,
    _folder: TempDir,
}

impl Setup {
    /// Builds the gateway, starts everything, fills one of the databases.
    pub(super) async fn start(args: &RunArgs, figures: &[Figure]) -> Result<Self> {
        let file = programs::find(args.gateway.as_ref(), programs::GATEWAY).await?;
        let folder =
            TempDir::with_prefix("sandgate-bench-").map_err(machine("cannot make a folder"))?;
        let (provider, address) = provider::start().await?;
        let start = Start {
            file,
            provider: address,
        };

        let (few, few_address) = start.gateway(&folder.path().join("few"), None).await?;
        let ids = sandbox(few_address, None, None).await?;
        let (many, many_callers) = start.many(&folder.path().join("many"), figures).await?;
        let caller = |calls, name, address| {
            let way = Way::new(name, address, 1, None)?;
            Ok::<_, Error>(Caller::new(calls, way, vec![ids.clone()]))
        };
        let mut callers = vec![
            caller(Calls::Direct, "direct", address)?,
            caller(Calls::Few, "the gateway with one session", few_address)?,
        ];
        callers.extend(many_callers);
        Ok(Self {
            callers,
            processes: vec![few, many, provider],
            _folder: folder,
        })
    }

    /// Takes the callers out, to be used in another task.
    pub(super) fn take_callers(&mut self) -> Vec<Caller> {
        std::mem::take(&mut self.callers)
    }

    /// Ends every process and removes the folder.
    pub(super) async fn stop(self) {
        drop(self.callers);
        for process in self.processes {
            process.stop().await;
        }
    }
}

/// What gateways are started with.
struct Start {
    file: PathBuf,
    provider: SocketAddr,
}

impl Start {
    async fn gateway(&self, folder: &Path, key: Option<&str>) -> Result<(Running, SocketAddr)> {
        gateway::start(&self.file, folder, (provider::ID, self.provider), key).await
    }

    /// The gateway with many sessions. Its first start makes the schema and what is copied.
    async fn many(&self, folder: &Path, figures: &[Figure]) -> Result<(Running, Vec<Caller>)> {
        let admin = Uuid::new_v4().to_string();
        let (first, address) = self.gateway(folder, Some(&admin)).await?;
        let made = sandbox(address, Some(&admin), None).await;
        first.stop().await;
        let filled = fill(&gateway::data_dir(folder), &made?).await?;
        let (many, address) = self.gateway(folder, Some(&admin)).await?;
        let callers = callers(address, &admin, &filled, figures).await?;
        Ok((many, callers))
    }
}

/// Callers with a key each. The user of the first calls a sandbox of its own, the backend of the
/// second those of all users. Of these there are so many that the gateway has long forgotten one
/// when its turn comes again.
async fn callers(
    gateway: SocketAddr,
    admin: &str,
    filled: &Filled,
    figures: &[Figure],
) -> Result<Vec<Caller>> {
    let name = "the gateway with many sessions";
    let admin = Way::new(name, gateway, 1, Some(admin))?;
    let mut callers = Vec::new();
    for &figure in figures {
        let (scopes, sandboxes) = match figure {
            Figure::Cached => (&[][..], vec![filled.one.clone()]),
            Figure::Uncached => (&["executions.read", "act_as"][..], filled.others.clone()),
        };
        let issued = timeout(ISSUE, issue(&admin, &filled.owner, scopes)).await;
        let key = issued.map_err(|_| Error::Late("issuing an API key"))??;
        let way = Way::new(name, gateway, 1, Some(&key))?;
        callers.push(Caller::new(Calls::Many(figure), way, sandboxes));
    }
    Ok(callers)
}

/// The secret of a new API key of this organisation and user.
async fn issue(admin: &Way, owner: &(String, String), scopes: &[&str]) -> Result<String> {
    let asked = IssueApiKeyRequest {
        title: "bench".to_owned(),
        org_id: owner.0.clone(),
        user_id: owner.1.clone(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        ..Default::default()
    };
    let mut client = AdminServiceClient::new(admin.channel(0));
    let issued = client
        .issue_api_key(admin.request(asked))
        .await
        .map_err(|status| admin.failed(status))?;
    Ok(issued.into_inner().secret)
}
