//! Who may come in, and how envd says no outside of its services.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Envd;
use crate::e2b::proxy;

/// An answer that is no.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) String);

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self(status, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(code, message) = self;
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({"code": code, "message": message}))).into_response()
    }
}

/// Lets in who has the token; some paths see for themselves.
pub(super) async fn check(State(envd): State<Arc<Envd>>, request: Request, next: Next) -> Response {
    let request = match proxy::at_port(request).await {
        Ok(answer) => return answer,
        Err(request) => request,
    };
    let free = matches!(
        (request.method().as_str(), request.uri().path()),
        ("GET", "/health" | "/files") | ("POST", "/init" | "/files")
    );
    let given = request.headers().get("x-access-token");
    match envd.token() {
        Some(token) if !free && given.is_none_or(|given| *given != *token) => {
            let said = "unauthorized access, please provide a valid access token or method signing if supported";
            Refusal::new(401, said).into_response()
        }
        _ => next.run(request).await,
    }
}
