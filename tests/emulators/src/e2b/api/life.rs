//! Pause, resume, time and end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{ApiError, Key, create::lifetime, owned, wire};
use crate::e2b::{
    cloud::Cloud,
    sandbox::{LONGEST, Phase, Refused, Sandbox},
};

/// Seconds that a sandbox lives where nothing is said.
const RESUMED: i64 = 15;
const CONNECTED: i64 = 300;
/// Least that a refresh leaves, and most that it asks for, seconds.
const REFRESH: u64 = 15;
const REFRESH_MOST: u64 = 3600;

type Cloudy = State<Arc<Cloud>>;
type Id = Path<String>;

#[derive(Deserialize)]
struct Connect {
    timeout: Option<i64>,
    /// `false`: it boots anew from its files.
    memory: Option<bool>,
}

#[derive(Deserialize)]
struct Pause {
    memory: Option<bool>,
}

#[derive(Deserialize)]
struct Timeout {
    timeout: i64,
}

#[derive(Deserialize)]
struct Refresh {
    #[serde(default)]
    duration: u64,
}

pub(super) async fn kill(State(cloud): Cloudy, key: Key, id: Id) -> Result<StatusCode, ApiError> {
    let sandbox = owned(&cloud, &key, &id)?;
    match cloud.kill(&sandbox).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // Another call ends it.
        Err(Refused::Phase(_)) => Err(ApiError::no_sandbox(&sandbox.born.id)),
        Err(error) => Err(ApiError::of(error, &sandbox.born.id)),
    }
}

pub(super) async fn connect_v1(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let asked: Connect = super::body(&bytes, false)?;
    let missing = || ApiError::new(400, "validation error: property \"timeout\" is missing");
    let timeout = asked.timeout.ok_or_else(missing)?;
    connect(&cloud, &*owned(&cloud, &key, &id)?, timeout, &asked).await
}

pub(super) async fn connect_v2(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let asked: Connect = super::body(&bytes, true)?;
    let timeout = asked.timeout.unwrap_or(CONNECTED);
    connect(&cloud, &*owned(&cloud, &key, &id)?, timeout, &asked).await
}

async fn connect(
    cloud: &Cloud,
    sandbox: &Sandbox,
    timeout: i64,
    asked: &Connect,
) -> Result<Response, ApiError> {
    let timeout = lifetime(timeout)?;
    let id = &sandbox.born.id;
    let status = match cloud
        .resume(sandbox, timeout, asked.memory == Some(false))
        .await
    {
        Ok(()) => StatusCode::CREATED,
        Err(Refused::Phase(Phase::Running)) => {
            let ends = capped(sandbox, timeout)?;
            sandbox.set(|now| now.ends = now.ends.max(ends));
            StatusCode::OK
        }
        Err(error) => return Err(ApiError::of(error, id)),
    };
    Ok((status, Json(wire::sandbox(cloud, sandbox))).into_response())
}

pub(super) async fn resume(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let asked: Connect = super::body(&bytes, true)?;
    let sandbox = owned(&cloud, &key, &id)?;
    let timeout = lifetime(asked.timeout.unwrap_or(RESUMED))?;
    let resumed = cloud.resume(&sandbox, timeout, asked.memory == Some(false));
    let resumed = resumed.await;
    resumed.map_err(|error| ApiError::of(error, &sandbox.born.id))?;
    let body = Json(wire::sandbox(&cloud, &sandbox));
    Ok((StatusCode::CREATED, body).into_response())
}

pub(super) async fn pause(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let asked: Pause = super::body(&bytes, true)?;
    let sandbox = owned(&cloud, &key, &id)?;
    let paused = sandbox.pause(asked.memory.unwrap_or(true)).await;
    paused.map_err(|error| ApiError::of(error, &sandbox.born.id))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn timeout(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let asked: Timeout = super::body(&bytes, false)?;
    let seconds = u64::try_from(asked.timeout)
        .map_err(|_| ApiError::new(400, "Timeout must be greater than or equal to 0"))?;
    let sandbox = runs(&cloud, &key, &id)?;
    let ends = capped(&sandbox, Duration::from_secs(seconds))?;
    sandbox.set(|now| now.ends = ends);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn refresh(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let asked: Refresh = super::body(&bytes, true)?;
    if asked.duration > REFRESH_MOST {
        return Err(ApiError::new(400, "validation error: duration"));
    }
    let sandbox = runs(&cloud, &key, &id)?;
    let ends = capped(&sandbox, Duration::from_secs(asked.duration.max(REFRESH)))?;
    sandbox.set(|now| now.ends = now.ends.max(ends));
    Ok(StatusCode::NO_CONTENT)
}

/// The rules are taken and not enforced.
pub(super) async fn network(
    State(cloud): Cloudy,
    key: Key,
    id: Id,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let _: serde_json::Value = super::body(&bytes, false)?;
    runs(&cloud, &key, &id).map(|_| StatusCode::NO_CONTENT)
}

/// A sandbox of the caller's that runs; to calls about its time another is not there.
fn runs(cloud: &Cloud, key: &Key, id: &Id) -> Result<Arc<Sandbox>, ApiError> {
    let sandbox = owned(cloud, key, id)?;
    match sandbox.now().phase {
        Phase::Running => Ok(sandbox),
        _ => Err(ApiError::no_sandbox(&sandbox.born.id)),
    }
}

/// The end of so long a time from now, but not after the longest life.
fn capped(sandbox: &Sandbox, timeout: Duration) -> Result<SystemTime, ApiError> {
    let (now, last) = (SystemTime::now(), sandbox.born.started + LONGEST);
    if now > last {
        return Err(ApiError::new(400, "Max instance length exceeded"));
    }
    Ok(last.min(now + timeout))
}
