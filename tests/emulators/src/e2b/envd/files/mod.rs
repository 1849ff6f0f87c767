//! `/files`: what is in files, by plain HTTP.

mod compose;
mod download;
mod signature;
mod upload;

use std::{convert::Infallible, io, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::HeaderMap,
    routing::{get, post},
};
use serde::Deserialize;
use tower_http::{compression::CompressionLayer, decompression::RequestDecompressionLayer};

use self::signature::Signed;
use super::{
    Envd,
    gate::Refusal,
    users::{self, User},
};

/// The routes.
pub(super) fn router(envd: Arc<Envd>) -> Router<Arc<Envd>> {
    let down = get(download::download).layer::<_, Infallible>(CompressionLayer::new());
    let up = post(upload::upload)
        .layer::<_, Infallible>(DefaultBodyLimit::disable())
        .layer::<_, Infallible>(RequestDecompressionLayer::new());
    Router::new()
        .route("/files", down.merge(up))
        .route("/files/compose", post(compose::compose))
        .with_state::<Arc<Envd>>(envd)
}

/// What stands in the query.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    path: String,
    #[serde(default)]
    username: String,
    signature: Option<String>,
    signature_expiration: Option<i64>,
}

/// Lets in who has the token, or a signature; and gives the user that is meant.
fn enter(
    envd: &Envd,
    headers: &HeaderMap,
    asked: &Asked,
    operation: &'static str,
) -> Result<User, Refusal> {
    if let Some(token) = envd.token() {
        let given = headers.get("x-access-token");
        match (given, &asked.signature) {
            (Some(given), _) if *given == *token => {}
            (Some(_), _) => {
                let said = "access token present in header but does not match";
                return Err(Refusal::new(401, said));
            }
            (None, None) => return Err(Refusal::new(401, "missing signature query parameter")),
            (None, Some(signature)) => Signed {
                path: &asked.path,
                operation,
                username: &asked.username,
                expires: asked.signature_expiration,
            }
            .check(&token, signature)
            .map_err(|said| Refusal::new(401, said))?,
        }
    }
    users::find(&asked.username).map_err(|said| Refusal::new(401, said))
}

/// A disk that is full, or anything else that is wrong with a file.
fn failed(what: &str, error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Refusal::new(507, "not enough disk space available")
        }
        _ => Refusal::new(500, format!("{what}: {error}")),
    }
}
