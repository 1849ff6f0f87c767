//! The emulator's own address below `/_emulator/`: faults, the log of requests, tokens.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::json;

use super::{cloud::Cloud, sandbox::Refused};
use crate::faults::Rule;

/// The folder of its paths.
pub(super) const PREFIX: &str = "/_emulator/";

#[derive(Deserialize)]
struct Telling {
    #[serde(default)]
    reset: bool,
}

/// Its routes.
pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new()
        .route("/_emulator/faults", post(add).get(list).delete(clear))
        .route("/_emulator/requests", get(requests))
        .route("/_emulator/requests", delete(reset))
        .route("/_emulator/tokens/rotate/{id}", post(rotate))
        .route("/_emulator/sandboxes/{id}/expire", post(expire))
        .with_state(cloud)
}

async fn add(State(cloud): State<Arc<Cloud>>, body: Bytes) -> Response {
    let rule = serde_json::from_slice::<Rule>(&body).map_err(|error| error.to_string());
    match rule.and_then(|rule| cloud.faults.add(rule)) {
        Ok(id) => (StatusCode::CREATED, Json(json!({"id": id}))).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error).into_response(),
    }
}

async fn list(State(cloud): State<Arc<Cloud>>) -> Response {
    Json(cloud.faults.all()).into_response()
}

async fn clear(State(cloud): State<Arc<Cloud>>) -> StatusCode {
    cloud.faults.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(cloud): State<Arc<Cloud>>, Query(how): Query<Telling>) -> Response {
    Json(cloud.requests.tell(how.reset)).into_response()
}

async fn reset(State(cloud): State<Arc<Cloud>>) -> StatusCode {
    cloud.requests.tell(true);
    StatusCode::NO_CONTENT
}

async fn rotate(State(cloud): State<Arc<Cloud>>, Path(id): Path<String>) -> Response {
    let Some(sandbox) = cloud.find(&id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match sandbox.rotate().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused::Phase(phase)) => {
            (StatusCode::CONFLICT, format!("it is {phase:?}")).into_response()
        }
        Err(Refused::Io(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// Its time is over now.
async fn expire(State(cloud): State<Arc<Cloud>>, Path(id): Path<String>) -> StatusCode {
    let Some(sandbox) = cloud.find(&id) else {
        return StatusCode::NOT_FOUND;
    };
    cloud.expire(&sandbox).await;
    StatusCode::NO_CONTENT
}
