//! Faults on demand: rules that spoil the answers to chosen requests.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::{http::BrokenOff, locks::lock};

/// Bytes that are no HTTP body of anything.
const GARBAGE: &[u8] = b"\x00\xff<!doctype{\"code\":}]\xfe\x07garbage";

/// Time for a part of an answer to be sent before the rest is not.
const FLUSH: Duration = Duration::from_millis(20);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An answer with `status`, and `body` if given.
    Status,
    /// The connection ends without an answer.
    Reset,
    /// No answer, and the connection stays.
    Hang,
    /// The answer comes after `delay_ms`.
    Slow,
    /// 200, the usual type, and a body that is nothing; with `bytes`, that behind as many of the
    /// true answer.
    Garbage,
    /// The true answer, broken off after `bytes` of its body.
    Drop,
}

/// A rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Which paths, without the query; a `*` stands for anything.
    path: String,
    /// Which method; absent: all.
    method: Option<String>,
    pub(crate) kind: Kind,
    /// How many requests it spoils; 0: all until it is deleted.
    #[serde(default = "once")]
    times: u64,
    /// How many requests pass before that.
    #[serde(default)]
    skip: u64,
    /// Whether the request is carried out all the same, so that only its answer is lost.
    #[serde(default)]
    pub(crate) after: bool,
    #[serde(default)]
    status: u16,
    /// Seconds, for the header `Retry-After`.
    retry_after: Option<u64>,
    body: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    bytes: usize,
    /// How many it spoiled by now.
    #[serde(default, skip_deserializing)]
    hits: u64,
    #[serde(default, skip_deserializing)]
    id: u64,
}

const fn once() -> u64 {
    1
}

/// The rules, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
    ids: AtomicU64,
}

impl Faults {
    /// Adds a rule and gives its number.
    ///
    /// # Errors
    /// A status that is none.
    pub(crate) fn add(&self, mut rule: Rule) -> Result<u64, String> {
        if rule.kind == Kind::Status && StatusCode::from_u16(rule.status).is_err() {
            return Err(format!("{} is no status", rule.status));
        }
        rule.id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let id = rule.id;
        lock(&self.rules).push(rule);
        Ok(id)
    }

    /// Deletes all.
    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// All, with their hits.
    pub(crate) fn all(&self) -> Vec<Rule> {
        lock(&self.rules).clone()
    }

    /// The first rule for a request that has something left to do.
    pub(crate) fn hit(&self, method: &Method, path: &str) -> Option<Rule> {
        let mut rules = lock(&self.rules);
        for rule in rules.iter_mut() {
            let other = rule
                .method
                .as_deref()
                .is_some_and(|one| one != method.as_str());
            if other || !fits(&rule.path, path) || rule.times > 0 && rule.hits >= rule.times {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.hits += 1;
            return Some(rule.clone());
        }
        None
    }
}

impl Rule {
    /// Whether the request needs its true answer.
    pub(crate) fn asks(&self) -> bool {
        let begins = self.kind == Kind::Garbage && self.bytes > 0;
        self.after || begins || matches!(self.kind, Kind::Slow | Kind::Drop)
    }

    /// What comes instead. `answer`: the true one, if it [`asks`](Self::asks); `kind`: the type of
    /// the request's own body.
    ///
    /// # Errors
    /// Where nothing comes.
    pub(crate) async fn spoil(
        &self,
        answer: Option<Response<Body>>,
        content_type: Option<http::HeaderValue>,
    ) -> Result<Response<Body>, BrokenOff> {
        match (self.kind, answer) {
            (Kind::Hang, _) => std::future::pending().await,
            (Kind::Slow, Some(answer)) => {
                tokio::time::sleep(Duration::from_millis(self.delay_ms)).await;
                Ok(answer)
            }
            (Kind::Drop, Some(answer)) => Ok(cut(answer, self.bytes, Err(BrokenOff))),
            (Kind::Garbage, Some(answer)) if self.bytes > 0 => {
                Ok(cut(answer, self.bytes, Ok(Bytes::from_static(GARBAGE))))
            }
            (Kind::Status, _) => Ok(self.status()),
            (Kind::Garbage, _) => {
                let kind = content_type
                    .unwrap_or_else(|| http::HeaderValue::from_static("application/json"));
                let mut answer = Response::new(Body::from(GARBAGE));
                answer.headers_mut().insert(header::CONTENT_TYPE, kind);
                Ok(answer)
            }
            (Kind::Reset | Kind::Slow | Kind::Drop, _) => Err(BrokenOff),
        }
    }

    fn status(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = match self.status {
            429 => "Rate limit exceeded",
            _ => status.canonical_reason().unwrap_or("an error"),
        };
        let body = self.body.clone().unwrap_or_else(|| {
            serde_json::json!({"code": self.status, "message": message}).to_string()
        });
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

/// An answer whose body ends like this after so many bytes.
fn cut(answer: Response<Body>, bytes: usize, end: Result<Bytes, BrokenOff>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let state = (body.into_data_stream(), Some((bytes, end)));
    let body = stream::unfold(state, |(mut body, left)| async move {
        let (left, end) = left?;
        if left == 0 {
            // What came before is sent first.
            tokio::time::sleep(FLUSH).await;
            return Some((end.map_err(std::io::Error::other), (body, None)));
        }
        let mut chunk: Bytes = match body.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(std::io::Error::other(error)), (body, None))),
        };
        chunk.truncate(left);
        let left = left - chunk.len();
        Some((Ok(chunk), (body, Some((left, end)))))
    });
    Response::from_parts(parts, Body::from_stream(body))
}

/// Whether a path is one of the pattern's.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(path) = path.strip_prefix(start) else {
        return false;
    };
    (0..=path.len())
        .filter_map(|at| path.get(at..))
        .any(|tail| fits(rest, tail))
}

#[test]
fn patterns_have_wildcards() {
    assert!(fits("/sandboxes/*/pause", "/sandboxes/i1/pause"));
    assert!(fits("*", "/files"));
    assert!(!fits("/sandboxes", "/sandboxes/i1"));
    assert!(!fits("/sandboxes/*/pause", "/sandboxes/i1/connect"));
}

#[test]
fn a_rule_has_its_turns() {
    let faults = Faults::default();
    let rule = r#"{"path": "/x", "kind": "reset", "skip": 1, "times": 2}"#;
    assert_eq!(faults.add(serde_json::from_str(rule).unwrap()), Ok(1));
    let hits: Vec<bool> = (0..5)
        .map(|_| faults.hit(&Method::GET, "/x").is_some())
        .collect();
    assert_eq!(hits, [false, true, true, false, false]);
    let none = r#"{"path": "/x", "kind": "status", "status": 7}"#;
    assert!(faults.add(serde_json::from_str(none).unwrap()).is_err());
}
