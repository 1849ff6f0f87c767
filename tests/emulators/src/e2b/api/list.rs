//! Lists of sandboxes, in pages.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::{ApiError, Key, wire};
use crate::e2b::{
    cloud::Cloud,
    sandbox::{Phase, Sandbox},
};

/// Most in a page, and how many unless said otherwise.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    #[serde(default)]
    metadata: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    order: String,
    started_after: Option<String>,
    template: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    next_token: String,
}

/// Where a page begins: after this one.
type Cursor = (SystemTime, String);

pub(super) async fn list_v1(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let wanted = pairs(&asked.metadata)?;
    let mut all = cloud.of(&key.0);
    all.retain(|sandbox| sandbox.now().phase == Phase::Running && has(sandbox, &wanted));
    all.sort_by_key(|sandbox| std::cmp::Reverse(place(sandbox)));
    Ok(Json(
        all.iter().map(|sandbox| wire::listed(sandbox)).collect(),
    ))
}

pub(super) async fn list_v2(
    State(cloud): State<Arc<Cloud>>,
    key: Key,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<(HeaderMap, Json<Vec<Value>>), ApiError> {
    let bad = |error| ApiError::new(400, format!("validation error: {error}"));
    let Query(asked) = asked.map_err(bad)?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(ApiError::new(400, "validation error: limit"));
    }
    let ascending = match asked.order.as_str() {
        "" | "desc" => false,
        "asc" => true,
        _ => return Err(ApiError::new(400, "validation error: order")),
    };
    let mut all = chosen(&cloud, &key, &asked)?;
    all.sort_by_key(|sandbox| place(sandbox));
    if !ascending {
        all.reverse();
    }
    if let Some(after) = read(&asked.next_token, ascending)? {
        all.retain(|sandbox| (place(sandbox) > after) == ascending && place(sandbox) != after);
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-total-running", cloud.running(&key.0).into());
    if all.len() > limit {
        all.truncate(limit);
        if let Some(last) = all.last()
            && let Ok(token) = token(last, ascending).parse()
        {
            headers.insert("x-next-token", token);
        }
    }
    let page = all.iter().map(|sandbox| wire::listed(sandbox)).collect();
    Ok((headers, Json(page)))
}

/// Those that the filters leave.
fn chosen(cloud: &Cloud, key: &Key, asked: &Asked) -> Result<Vec<Arc<Sandbox>>, ApiError> {
    let states: Vec<&str> = asked
        .state
        .split(',')
        .filter(|one| !one.is_empty())
        .collect();
    if states
        .iter()
        .any(|one| !["running", "paused"].contains(one))
    {
        return Err(ApiError::new(400, "validation error: state"));
    }
    let wanted = pairs(&asked.metadata)?;
    let after: Option<prost_types::Timestamp> = match &asked.started_after {
        None => None,
        Some(time) => {
            let bad = |_| ApiError::new(400, "validation error: startedAfter");
            Some(time.parse().map_err(bad)?)
        }
    };
    let fits = |sandbox: &Arc<Sandbox>| {
        let state = match sandbox.now().phase {
            Phase::Running => "running",
            Phase::Pausing | Phase::Paused { .. } => "paused",
            Phase::Killing | Phase::Gone => return false,
        };
        let template = sandbox.born.template;
        let of = |name: &String| *name == template.id || *name == template.alias;
        let started = prost_types::Timestamp::from(sandbox.born.started);
        let time = |stamp: &prost_types::Timestamp| (stamp.seconds, stamp.nanos);
        (states.is_empty() || states.contains(&state))
            && asked.template.as_ref().is_none_or(of)
            && after
                .as_ref()
                .is_none_or(|after| time(&started) > time(after))
            && has(sandbox, &wanted)
    };
    let mut all = cloud.of(&key.0);
    all.retain(fits);
    Ok(all)
}

fn has(sandbox: &Sandbox, wanted: &[(String, String)]) -> bool {
    let metadata = sandbox.born.metadata.as_ref();
    wanted
        .iter()
        .all(|(key, value)| metadata.is_some_and(|metadata| metadata.get(key) == Some(value)))
}

fn place(sandbox: &Sandbox) -> Cursor {
    (sandbox.born.started, sandbox.born.id.clone())
}

/// The pairs of a metadata filter: `k=v&k=v`, encoded as a whole and each once more.
fn pairs(filter: &str) -> Result<Vec<(String, String)>, ApiError> {
    let whole = unescape(filter)?;
    let parts = whole.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((unescape(key)?, unescape(value)?))
    };
    parts.map(pair).collect()
}

fn unescape(text: &str) -> Result<String, ApiError> {
    let spaces = text.replace('+', " ");
    let decoded = percent_decode_str(&spaces).decode_utf8();
    let bad = |_| ApiError::new(400, "Error when parsing metadata: invalid URL escape");
    Ok(decoded.map_err(bad)?.into_owned())
}

fn token(last: &Sandbox, ascending: bool) -> String {
    let since = last.born.started.duration_since(UNIX_EPOCH);
    let nanos = since.unwrap_or_default().as_nanos();
    let mark = if ascending { "__asc" } else { "" };
    BASE64_URL_SAFE_NO_PAD.encode(format!("{nanos}__{}{mark}", last.born.id))
}

fn read(token: &str, ascending: bool) -> Result<Option<Cursor>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let cursor = || {
        let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(text).ok()?;
        let mut parts = text.split("__");
        let (nanos, id) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let same = parts.next() == ascending.then_some("asc");
        same.then(|| (UNIX_EPOCH + Duration::from_nanos(nanos), id))
    };
    let bad = || ApiError::new(400, "Invalid next token");
    cursor().map(Some).ok_or_else(bad)
}

#[test]
fn metadata_is_encoded_three_times() {
    // As axum hands it on: decoded once already.
    let found = pairs("owner%3Da%2520b%26k%3Dv%2526w").unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(found, [pair("owner", "a b"), pair("k", "v&w")]);
    assert_eq!(pairs("").unwrap(), []);
    assert_eq!(pairs("a=b").unwrap(), [pair("a", "b")]);
}
