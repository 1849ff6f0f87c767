//! Making one file of several.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use axum::Json;
use serde::Deserialize;
use serde_json::Value;

use super::{failed, upload::told};
use crate::e2b::envd::{
    gate::Refusal,
    paths,
    users::{self, User},
};

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Compose {
    source_paths: Vec<String>,
    destination: String,
    #[serde(default)]
    username: String,
}

pub(super) async fn compose(Json(asked): Json<Compose>) -> Result<Json<Value>, Refusal> {
    let user = users::find(&asked.username).map_err(|said| Refusal::new(401, said))?;
    if asked.source_paths.is_empty() {
        return Err(Refusal::new(400, "source_paths must not be empty"));
    }
    let of = |path: &String| paths::resolve(path, &user);
    let sources: Vec<PathBuf> = asked.source_paths.iter().map(of).collect();
    let missing = sources.iter().find(|path| !path.is_file());
    if let Some(path) = missing {
        let said = format!("path '{}' does not exist", path.display());
        return Err(Refusal::new(404, said));
    }
    let destination = of(&asked.destination);
    join(&sources, &destination, &user).map_err(|error| failed("error composing files", &error))?;
    Ok(Json(told(&destination, &BTreeMap::new())))
}

/// Beside the destination first, because that may be a source.
fn join(sources: &[PathBuf], destination: &Path, user: &User) -> io::Result<()> {
    if let Some(parent) = destination.parent() {
        paths::make(parent, user)?;
    }
    let mut beside = destination.as_os_str().to_owned();
    beside.push(".compose");
    let mut whole = File::create(&beside)?;
    for source in sources {
        io::copy(&mut File::open(source)?, &mut whole)?;
    }
    for source in sources {
        fs::remove_file(source)?;
    }
    fs::rename(&beside, destination)?;
    paths::own(destination, user)
}
