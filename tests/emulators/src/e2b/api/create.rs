//! Making sandboxes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::Value;

use super::{ApiError, Key, wire};
use crate::e2b::{
    cloud::{Cloud, random, secret},
    sandbox::{Born, LONGEST, Sandbox},
    templates,
};

/// Seconds that a sandbox lives where nothing is said.
const DEFAULT_V1: i64 = 15;
const DEFAULT_V2: i64 = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    #[serde(rename = "templateID")]
    template_id: String,
    timeout: Option<i64>,
    #[serde(default)]
    auto_pause: bool,
    auto_pause_memory: Option<bool>,
    #[serde(default)]
    auto_resume: AutoResume,
    #[serde(default)]
    secure: bool,
    /// The one name that is not like the others.
    #[serde(rename = "allow_internet_access")]
    internet: Option<bool>,
    network: Option<Value>,
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    env_vars: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct AutoResume {
    #[serde(default)]
    enabled: bool,
}

pub(super) async fn create_v1(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let new: New = super::body(&bytes, false)?;
    let timeout = lifetime(new.timeout.unwrap_or(DEFAULT_V1))?;
    let sandbox = make(&cloud, &key, new, timeout).await?;
    Ok(made(&cloud, &sandbox))
}

pub(super) async fn create_v2(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let mut new: New = super::body(&bytes, false)?;
    new.secure = true;
    let timeout = lifetime(new.timeout.unwrap_or(DEFAULT_V2))?;
    let sandbox = match headers.get("idempotency-key") {
        None => make(&cloud, &key, new, timeout).await?,
        Some(once) => {
            let once = once.to_str().unwrap_or_default();
            let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            if once.is_empty() || once.len() > 255 || !once.bytes().all(plain) {
                return Err(ApiError::new(400, "validation error: Idempotency-Key"));
            }
            let place = cloud.create_of(&key.0, once);
            let make = || make(&cloud, &key, new, timeout);
            Arc::clone(place.get_or_try_init(make).await?)
        }
    };
    Ok(made(&cloud, &sandbox))
}

fn made(cloud: &Cloud, sandbox: &Sandbox) -> Response {
    (StatusCode::CREATED, Json(wire::sandbox(cloud, sandbox))).into_response()
}

/// A time to live that E2B takes.
pub(super) fn lifetime(seconds: i64) -> Result<Duration, ApiError> {
    let positive = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    let seconds = positive.ok_or_else(|| ApiError::new(400, "Timeout must be greater than 0"))?;
    let timeout = Duration::from_secs(seconds);
    if timeout > LONGEST {
        let hours = LONGEST.as_secs() / 3600;
        let said = format!("Timeout cannot be greater than {hours} hours");
        return Err(ApiError::new(400, said));
    }
    Ok(timeout)
}

async fn make(
    cloud: &Cloud,
    key: &Key,
    new: New,
    timeout: Duration,
) -> Result<Arc<Sandbox>, ApiError> {
    let born = check(cloud, key, new)?;
    let most = cloud.settings.max_sandboxes;
    if cloud.running(&key.0) >= most {
        let said = format!(
            "you have reached the maximum number of concurrent E2B sandboxes ({most}). If you need more, please contact us at 'https://e2b.dev/docs/support'"
        );
        return Err(ApiError::new(429, said));
    }
    cloud.create(born, timeout).await.map_err(|error| {
        tracing::warn!(%error, "a sandbox does not start");
        ApiError::new(500, "Failed to create sandbox").with_code("sandbox_create_failed")
    })
}

fn check(cloud: &Cloud, key: &Key, new: New) -> Result<Born, ApiError> {
    let bad = |said: &str| Err(ApiError::new(400, said));
    if new.auto_pause_memory == Some(false) {
        if !new.auto_pause {
            return bad("autoPauseMemory can only be disabled when autoPause is enabled");
        }
        if new.auto_resume.enabled {
            return bad("autoPauseMemory cannot be disabled when autoResume is enabled");
        }
    }
    let network = new.network.as_ref();
    let public = network.and_then(|network| network.get("allowPublicTraffic")?.as_bool());
    if public == Some(false) && !new.secure {
        return bad("allowPublicTraffic can only be disabled for secure sandboxes");
    }
    let Some(template) = templates::find(&new.template_id) else {
        let said = format!("template '{}' not found", new.template_id);
        return Err(ApiError::new(404, said));
    };
    let id = format!("i{}", random(20));
    Ok(Born {
        folder: cloud.folder(&id),
        id,
        key: key.0.clone(),
        template,
        metadata: new.metadata,
        env: new.env_vars,
        secure: new.secure,
        auto_pause: new.auto_pause,
        auto_pause_memory: new.auto_pause_memory.unwrap_or(true),
        auto_resume: new.auto_resume.enabled,
        internet: new.internet,
        network: new.network,
        traffic_token: (public == Some(false)).then(secret),
        started: SystemTime::now(),
    })
}
