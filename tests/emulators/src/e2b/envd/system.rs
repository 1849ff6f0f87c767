//! Health, numbers and environment.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Envd, Told};
use crate::e2b::ENVD_VERSION;

/// Time over which the use of processors is measured.
const MEASURE: Duration = Duration::from_millis(50);
const MIB: u64 = 1 << 20;

/// What E2B tells its daemon.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Init {
    access_token: Option<String>,
    #[serde(default)]
    env_vars: std::collections::BTreeMap<String, String>,
}

pub(super) async fn health() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub(super) async fn init(
    State(envd): State<Arc<Envd>>,
    Json(init): Json<Init>,
) -> (StatusCode, HeaderMap) {
    envd.tell(Told {
        token: init.access_token,
        env: init.env_vars,
    });
    let mut headers = HeaderMap::new();
    headers.insert("x-envd-version", HeaderValue::from_static(ENVD_VERSION));
    (StatusCode::NO_CONTENT, headers)
}

pub(super) async fn envs(State(envd): State<Arc<Envd>>) -> Json<Value> {
    Json(json!(envd.env()))
}

/// Busy and all ticks of the processors.
fn ticks() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let all: Vec<u64> = first
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let total: u64 = all.iter().sum();
    let idle: u64 = all.iter().skip(3).take(2).sum();
    (total - idle, total)
}

pub(super) async fn metrics() -> Json<Value> {
    let (busy, all) = ticks();
    tokio::time::sleep(MEASURE).await;
    let (busy, all) = (
        ticks().0.saturating_sub(busy),
        ticks().1.saturating_sub(all),
    );
    #[allow(clippy::cast_precision_loss, reason = "a percentage")]
    let used = (busy * 1000 / all.max(1)) as f64 / 10.0;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = memory.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or_default() * 1024
    };
    let (total, cache) = (bytes("MemTotal:"), bytes("Cached:"));
    let taken = total.saturating_sub(bytes("MemAvailable:"));
    let disk = rustix::fs::statvfs("/").ok();
    let disk = disk.map_or((0, 0), |disk| {
        let total = disk.f_blocks * disk.f_frsize;
        (total, total.saturating_sub(disk.f_bfree * disk.f_frsize))
    });
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Json(json!({
        "ts": since.unwrap_or_default().as_secs(),
        "cpu_count": std::thread::available_parallelism().map_or(1, usize::from),
        "cpu_used_pct": used,
        "mem_total": total,
        "mem_used": taken,
        "mem_cache": cache,
        "mem_total_mib": total / MIB,
        "mem_used_mib": taken / MIB,
        "disk_used": disk.1,
        "disk_total": disk.0,
    }))
}
