//! Every rpc of the contract with what its `policy` option says. Generated from the proto files, so
//! an rpc cannot exist without a class.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

/// Who answers an rpc at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// The gateway decodes the request and answers it.
    Owned,
    /// The gateway passes the bytes to the provider of the sandbox.
    Relayed,
}

/// One rpc.
#[derive(Debug)]
pub struct Method {
    /// HTTP/2 path, `/package.Service/Method`.
    pub path: &'static str,
    /// Full name of the service.
    pub service: &'static str,
    /// Name of the method alone.
    pub name: &'static str,
    /// Who answers it at the gateway.
    pub handling: Handling,
    /// The scope that a caller's key needs.
    pub scope: &'static str,
    /// Whether an empty `sandbox_id` makes the session's default sandbox.
    pub makes_default_sandbox: bool,
    default_deadline_seconds: Option<u64>,
    /// Whether the client sends a stream.
    pub client_streaming: bool,
    /// Whether the server answers with a stream.
    pub server_streaming: bool,
    /// Whether field 1 of the request is `session_id`.
    pub has_session_id: bool,
    /// Whether field 2 of the request is `sandbox_id`.
    pub has_sandbox_id: bool,
    /// Whether field 3 of the request is `execution_id`.
    pub has_execution_id: bool,
    /// Whether field 4 of the request is `secret_env`.
    pub has_secret_env: bool,
    /// Whether the gateway may append what it resolved for the call.
    pub has_payload: bool,
    /// Whether a repeated request_id is told by the answer itself.
    pub replays_itself: bool,
    /// Which fields of the request say what it is about.
    pub names: Names,
}

/// Numbers of the fields of a request, at top level, that say what a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// The session that has to be there.
    pub session_id: Option<u32>,
    /// The sandbox that has to be there, an id or `@alias`.
    pub sandbox_id: Option<u32>,
    /// The execution.
    pub execution_id: Option<u32>,
    /// The agent that has to be there.
    pub agent_id: Option<u32>,
    /// The harness that has to be there.
    pub harness_id: Option<u32>,
    /// The organisation acted for.
    pub org_id: Option<u32>,
    /// The user acted for.
    pub user_id: Option<u32>,
    /// What makes the call repeatable.
    pub request_id: Option<u32>,
    /// Whether what the call is about may be missing.
    pub allow_missing: Option<u32>,
    /// The name, provider, path or id of what else it is about.
    pub target: Option<u32>,
}

impl Method {
    /// Whether it changes nothing.
    pub fn only_looks(&self) -> bool {
        self.scope.ends_with(".read")
    }

    /// The deadline used where the caller sets none; for a server stream, the time to its headers.
    pub fn default_deadline(&self) -> Option<Duration> {
        self.default_deadline_seconds.map(Duration::from_secs)
    }
}

/// Every rpc of `sandbox.v1`.
pub const ALL: &[Method] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

static BY_PATH: LazyLock<HashMap<&'static str, &'static Method>> =
    LazyLock::new(|| ALL.iter().map(|method| (method.path, method)).collect());

/// The rpc served at an HTTP/2 path, if the contract has one there.
pub fn find(path: &str) -> Option<&'static Method> {
    BY_PATH.get(path).copied()
}
