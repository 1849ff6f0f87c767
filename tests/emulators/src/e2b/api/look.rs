//! What a sandbox is like.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, Key, owned, wire};
use crate::e2b::{
    cloud::Cloud,
    proxy,
    sandbox::{Phase, Sandbox},
};

/// Most sandboxes in one question about metrics.
const MOST: usize = 100;

#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    sandbox_ids: String,
}

pub(super) async fn get(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    id: Path<String>,
) -> Result<Json<Value>, ApiError> {
    let sandbox = owned(&cloud, &key, &id)?;
    match sandbox.now().phase {
        Phase::Killing | Phase::Gone => Err(ApiError::no_sandbox(&sandbox.born.id)),
        _ => Ok(Json(wire::detail(&cloud, &sandbox))),
    }
}

/// Its numbers at this moment, as envd has them; none while it does not run.
async fn measured(sandbox: &Sandbox) -> Option<Value> {
    let now = sandbox.now();
    let socket = match now.phase {
        Phase::Running => sandbox.socket().await?,
        _ => return None,
    };
    let found = proxy::metrics(&socket, now.token.as_deref()).await;
    let found = found
        .inspect_err(|error| tracing::debug!(%error, "envd gives no numbers"))
        .ok()?;
    Some(json!({
        "timestamp": wire::time(SystemTime::now()),
        "timestampUnix": found["ts"],
        "cpuCount": found["cpu_count"],
        "cpuUsedPct": found["cpu_used_pct"],
        "memUsed": found["mem_used"],
        "memTotal": found["mem_total"],
        "memCache": found["mem_cache"],
        "diskUsed": found["disk_used"],
        "diskTotal": found["disk_total"],
    }))
}

pub(super) async fn metrics(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    id: Path<String>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let sandbox = owned(&cloud, &key, &id)?;
    Ok(Json(measured(&sandbox).await.into_iter().collect()))
}

pub(super) async fn all_metrics(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let ids: Vec<&str> = which.sandbox_ids.split(',').collect();
    if ids.len() > MOST {
        let said = format!("validation error: at most {MOST} sandbox_ids");
        return Err(ApiError::new(400, said));
    }
    let mut all = serde_json::Map::new();
    for sandbox in cloud.of(&key.0) {
        if ids.contains(&sandbox.born.id.as_str())
            && let Some(value) = measured(&sandbox).await
        {
            all.insert(sandbox.born.id.clone(), value);
        }
    }
    Ok(Json(json!({"sandboxes": all})))
}

/// The emulator keeps no logs.
pub(super) async fn logs_v1(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    id: Path<String>,
) -> Result<Json<Value>, ApiError> {
    owned(&cloud, &key, &id)?;
    Ok(Json(json!({"logs": [], "logEntries": []})))
}

pub(super) async fn logs_v2(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    id: Path<String>,
) -> Result<Json<Value>, ApiError> {
    owned(&cloud, &key, &id)?;
    Ok(Json(json!({"logs": []})))
}
