//! What the management API says when it does not do what it is asked.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::e2b::sandbox::{Phase, Refused};

/// An error as it is on the wire.
#[derive(Debug)]
pub(in crate::e2b) struct ApiError {
    status: u16,
    message: String,
    code: Option<&'static str>,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            code: None,
        }
    }

    /// With a word for programs.
    pub(super) const fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn no_sandbox(id: &str) -> Self {
        let said = format!("Sandbox \"{id}\" doesn't exist or you don't have access to it");
        Self::new(404, said)
    }

    /// What became of a change of a sandbox's life.
    pub(super) fn of(refused: Refused, id: &str) -> Self {
        let being = |what| Self::new(409, format!("Sandbox \"{id}\" is being {what}"));
        match refused {
            Refused::Phase(Phase::Pausing) => being("paused"),
            Refused::Phase(Phase::Killing) => being("killed"),
            Refused::Phase(Phase::Gone) => Self::no_sandbox(id),
            Refused::Phase(Phase::Running) => {
                Self::new(409, format!("Sandbox {id} is already running"))
            }
            Refused::Phase(Phase::Paused { .. }) => Self::new(
                409,
                format!("Error pausing sandbox - sandbox '{id}' is already paused"),
            ),
            Refused::Io(error) => {
                tracing::warn!(%error, id, "a sandbox does not do what it is told");
                Self::new(500, "Internal server error").with_code("internal_server_error")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({"code": self.status, "message": self.message});
        if let Some(code) = self.code {
            body["error_code"] = code.into();
        }
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(body)).into_response()
    }
}
