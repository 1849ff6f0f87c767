//! Sandboxes as JSON.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::e2b::{
    ENVD_VERSION,
    cloud::Cloud,
    sandbox::{Now, Phase, Sandbox},
    templates::{CPUS, DISK_MB, MEMORY_MB},
};

/// Deprecated, and the same for all.
const CLIENT_ID: &str = "6532622b";

/// RFC 3339.
pub(super) fn time(time: SystemTime) -> String {
    prost_types::Timestamp::from(time).to_string()
}

/// What tells a sandbox, in all answers.
fn named(sandbox: &Sandbox) -> Value {
    json!({
        "templateID": sandbox.born.template.id,
        "alias": sandbox.born.template.alias,
        "sandboxID": sandbox.born.id,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
    })
}

/// `running`, or `paused` as soon as it is told to.
fn state(now: &Now) -> &'static str {
    match now.phase {
        Phase::Running => "running",
        _ => "paused",
    }
}

/// As create, connect and resume answer.
pub(super) fn sandbox(cloud: &Cloud, sandbox: &Sandbox) -> Value {
    let mut value = named(sandbox);
    if let Some(token) = sandbox.now().token {
        value["envdAccessToken"] = token.into();
    }
    value["trafficAccessToken"] = json!(sandbox.born.traffic_token);
    value["domain"] = json!(cloud.settings.domain);
    value
}

/// As lists have it.
pub(super) fn listed(sandbox: &Sandbox) -> Value {
    let (now, mut value) = (sandbox.now(), named(sandbox));
    value["startedAt"] = time(sandbox.born.started).into();
    value["endAt"] = time(now.ends).into();
    value["cpuCount"] = CPUS.into();
    value["memoryMB"] = MEMORY_MB.into();
    value["diskSizeMB"] = DISK_MB.into();
    value["state"] = state(&now).into();
    if let Some(metadata) = &sandbox.born.metadata {
        value["metadata"] = json!(metadata);
    }
    value
}

/// All there is to know.
pub(super) fn detail(cloud: &Cloud, sandbox: &Sandbox) -> Value {
    let mut value = listed(sandbox);
    if let Some(token) = sandbox.now().token {
        value["envdAccessToken"] = token.into();
    }
    value["domain"] = json!(cloud.settings.domain);
    value["allowInternetAccess"] = json!(sandbox.born.internet);
    if let Some(network) = &sandbox.born.network {
        value["network"] = network.clone();
        if let Some(proxy) = value["network"].get_mut("egressProxy")
            && let Some(proxy) = proxy.as_object_mut()
        {
            proxy.remove("password");
        }
    }
    value["lifecycle"] = json!({
        "autoResume": sandbox.born.auto_resume,
        "onTimeout": if sandbox.born.auto_pause { "pause" } else { "kill" },
    });
    value
}
