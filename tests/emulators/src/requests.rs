//! What was asked of an emulator, for tests that count.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

use serde::Serialize;

use crate::locks::lock;

/// Most requests that are remembered one by one; the counts know of all.
const MOST: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    /// GET, POST …
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// As it was sent; empty: there was none.
    pub(crate) query: String,
    /// The sandbox that it went to; none: the management API.
    pub(crate) sandbox: Option<String>,
}

/// All since the last reset.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Told {
    total: u64,
    /// By method and path, where an id of a sandbox is `{id}`.
    counts: BTreeMap<String, u64>,
    requests: VecDeque<Asked>,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Told>);

impl Requests {
    /// Notes one.
    pub(crate) fn note(&self, asked: Asked) {
        let mut told = lock(&self.0);
        told.total += 1;
        let key = format!("{} {}", asked.method, general(&asked.path));
        *told.counts.entry(key).or_default() += 1;
        if told.requests.len() == MOST {
            told.requests.pop_front();
        }
        told.requests.push_back(asked);
    }

    /// All as JSON; `reset` begins anew in the same moment.
    pub(crate) fn tell(&self, reset: bool) -> serde_json::Value {
        let mut told = lock(&self.0);
        let value = serde_json::to_value(&*told).unwrap_or_default();
        if reset {
            *told = Told::default();
        }
        value
    }
}

/// A path without the id of its sandbox.
fn general(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    let ids = segments.iter().position(|segment| *segment == "sandboxes");
    if let Some(id) = ids.and_then(|at| segments.get_mut(at + 1))
        && *id != "metrics"
    {
        *id = "{id}";
    }
    segments.join("/")
}

#[test]
fn ids_are_left_out_of_counts() {
    assert_eq!(general("/v2/sandboxes"), "/v2/sandboxes");
    assert_eq!(general("/sandboxes/i1/pause"), "/sandboxes/{id}/pause");
    assert_eq!(general("/sandboxes/metrics"), "/sandboxes/metrics");
}
