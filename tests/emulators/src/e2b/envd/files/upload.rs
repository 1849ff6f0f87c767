//! Writing files.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Query, Request, State},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::{Asked, enter, failed};
use crate::e2b::envd::{Envd, entry, gate::Refusal, paths, users::User};

/// Before the names of what is kept with a file.
const KEPT: &str = "x-metadata-";
/// Longest such name, and most of all together, bytes.
const NAME: usize = 246;
const ALL: usize = 4096;

pub(super) async fn upload(
    State(envd): State<Arc<Envd>>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<String, Refusal> {
    let user = enter(&envd, request.headers(), &asked, "write")?;
    let metadata = metadata(request.headers())?;
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let mut written = Vec::new();
    if kind.starts_with("multipart/form-data") {
        let multipart = Multipart::from_request(request, &()).await;
        let bad =
            |error: String| Refusal::new(400, format!("error parsing multipart form: {error}"));
        let mut multipart = multipart.map_err(|error| bad(error.to_string()))?;
        while let Some(part) = multipart
            .next_field()
            .await
            .map_err(|error| bad(error.to_string()))?
        {
            if part.name() != Some("file") {
                continue;
            }
            let named = part.file_name().unwrap_or_default().to_owned();
            let path = if asked.path.is_empty() {
                &named
            } else {
                &asked.path
            };
            written.push(write(path, part, &user, &metadata).await?);
        }
    } else if kind.starts_with("application/octet-stream") {
        if asked.path.is_empty() {
            return Err(Refusal::new(
                400,
                "path is required for application/octet-stream",
            ));
        }
        let body: Body = request.into_body();
        let body = body.into_data_stream();
        written.push(write(&asked.path, body, &user, &metadata).await?);
    } else {
        return Err(Refusal::new(
            400,
            format!("unsupported content type: {kind}"),
        ));
    }
    // Without a type, as envd: it is JSON all the same.
    Ok(Value::Array(written).to_string())
}

/// What is to be kept with the files.
fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let mut found = BTreeMap::new();
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix(KEPT) else {
            continue;
        };
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| Refusal::new(400, "invalid metadata value"))?;
        found.insert(key.to_owned(), value.to_owned());
    }
    let size = |(key, value): (&String, &String)| "user.e2b.".len() + key.len() + value.len();
    let too_long = found.keys().any(|key| key.is_empty() || key.len() > NAME);
    if too_long || found.iter().map(size).sum::<usize>() > ALL {
        return Err(Refusal::new(400, "metadata is too large"));
    }
    Ok(found)
}

async fn write<E: std::fmt::Display>(
    path: &str,
    mut content: impl Stream<Item = Result<Bytes, E>> + Unpin,
    user: &User,
    metadata: &BTreeMap<String, String>,
) -> Result<Value, Refusal> {
    let path = paths::resolve(path, user);
    let place = path.display().to_string();
    if path.is_dir() {
        return Err(Refusal::new(400, format!("path is a directory: {place}")));
    }
    let wrong = |error| failed(&format!("error writing file '{place}'"), &error);
    if let Some(parent) = path.parent() {
        paths::make(parent, user).map_err(wrong)?;
    }
    let mut file = File::create(&path).await.map_err(wrong)?;
    paths::own(&path, user).map_err(wrong)?;
    while let Some(chunk) = content.next().await {
        let cut = |error: E| Refusal::new(500, format!("error reading the upload: {error}"));
        file.write_all(&chunk.map_err(cut)?).await.map_err(wrong)?;
    }
    file.flush().await.map_err(wrong)?;
    entry::keep(&path, metadata).map_err(wrong)?;
    Ok(told(&path, metadata))
}

/// A file as uploads answer with it.
pub(super) fn told(path: &Path, metadata: &BTreeMap<String, String>) -> Value {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut value = json!({"path": path.to_string_lossy(), "name": name, "type": "file"});
    if !metadata.is_empty() {
        value["metadata"] = json!(metadata);
    }
    value
}
