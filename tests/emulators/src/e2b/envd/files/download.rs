//! Reading a file.

use std::{fs, io, sync::Arc};

use axum::{
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::{Asked, enter, failed};
use crate::e2b::envd::{Envd, gate::Refusal, paths};

pub(super) async fn download(
    State(envd): State<Arc<Envd>>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, Refusal> {
    let user = enter(&envd, request.headers(), &asked, "read")?;
    let path = paths::resolve(&asked.path, &user);
    let place = path.display();
    match fs::metadata(&path) {
        Ok(seen) if seen.is_dir() => {
            return Err(Refusal::new(400, format!("path '{place}' is a directory")));
        }
        Ok(seen) if !seen.is_file() => {
            let said = format!("path '{place}' is not a regular file");
            return Err(Refusal::new(400, said));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Refusal::new(404, format!("path '{place}' does not exist")));
        }
        Err(error) => return Err(failed(&format!("error opening file '{place}'"), &error)),
    }
    let Ok(answer) = ServeFile::new(&path).oneshot(request).await;
    let mut answer = answer.map(Body::new);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Ok(value) = HeaderValue::from_str(&format!("inline; filename={name:?}")) {
        answer
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}
