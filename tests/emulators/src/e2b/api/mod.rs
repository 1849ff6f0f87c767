//! The management API.

mod create;
mod error;
mod life;
mod list;
mod look;
mod wire;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::request::Parts,
    routing::{get, post, put},
};
use serde::de::DeserializeOwned;

use self::error::ApiError;
use super::{cloud::Cloud, sandbox::Sandbox};

/// All routes.
pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new()
        .route("/health", get(|| async { "Health check successful" }))
        .route("/sandboxes", get(list::list_v1).post(create::create_v1))
        .route("/v2/sandboxes", get(list::list_v2).post(create::create_v2))
        .route("/sandboxes/metrics", get(look::all_metrics))
        .route("/sandboxes/{id}", get(look::get).delete(life::kill))
        .route("/sandboxes/{id}/connect", post(life::connect_v1))
        .route("/v2/sandboxes/{id}/connect", post(life::connect_v2))
        .route("/sandboxes/{id}/resume", post(life::resume))
        .route("/sandboxes/{id}/pause", post(life::pause))
        .route("/sandboxes/{id}/timeout", post(life::timeout))
        .route("/sandboxes/{id}/refreshes", post(life::refresh))
        .route("/sandboxes/{id}/network", put(life::network))
        .route("/sandboxes/{id}/snapshots", post(absent))
        .route("/sandboxes/{id}/fork", post(absent))
        .route("/sandboxes/{id}/metrics", get(look::metrics))
        .route("/sandboxes/{id}/logs", get(look::logs_v1))
        .route("/v2/sandboxes/{id}/logs", get(look::logs_v2))
        .fallback(unknown)
        .with_state(cloud)
}

async fn unknown() -> ApiError {
    ApiError::new(404, "no matching operation was found")
}

async fn absent(_key: Key) -> ApiError {
    ApiError::new(501, "the emulator cannot do this")
}

/// The caller's key: an account.
pub(super) struct Key(String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let header = parts.headers.get("x-api-key");
        let key = header.ok_or_else(|| ApiError::new(401, "authorization header is missing"))?;
        let key = key.to_str().unwrap_or_default();
        if !key.starts_with("e2b_") {
            return Err(ApiError::new(401, "authorization header is malformed"));
        }
        if key.starts_with("e2b_bad") {
            let said = "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.\nfailed to get the team from API key";
            return Err(ApiError::new(401, said));
        }
        Ok(Self(key.to_owned()))
    }
}

/// A sandbox of the caller's.
///
/// # Errors
/// Where the id is none, or there is none of this account.
fn owned(cloud: &Cloud, key: &Key, Path(id): &Path<String>) -> Result<Arc<Sandbox>, ApiError> {
    let mut parts = id.split('-');
    let bare = parts.next().unwrap_or_default();
    parts.next();
    if parts.next().is_some() {
        return Err(ApiError::new(400, "Invalid sandbox ID"));
    }
    let found = cloud.find(bare);
    found
        .filter(|sandbox| sandbox.born.key == key.0)
        .ok_or_else(|| ApiError::no_sandbox(bare))
}

/// Reads a body; `optional`: an empty one is an empty object.
fn body<T: DeserializeOwned>(bytes: &[u8], optional: bool) -> Result<T, ApiError> {
    let bytes = match bytes {
        [] if optional => b"{}",
        bytes => bytes,
    };
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::new(400, format!("Error when parsing request: {error}")))
}
