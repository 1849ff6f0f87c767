//! Options of capabilities: defaults for the sandboxes that are made under them.

use std::time::Duration;

use prost_types::value::Kind as Json;
use sandgate_proto::{
    Problem,
    v1::{CapabilityRef, SandboxSpec, Session, sandbox_spec::Source},
};

use super::capability;
use crate::problem::Result;

/// Longest text, in bytes.
const TEXT_BYTES: usize = 1024;
/// Longest time: ten years.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;
/// Whole numbers up to this are exact in JSON.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// What an option takes.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    /// A number, or text with a unit.
    Bytes,
    Cores,
    Count,
    /// 0 is never.
    Minutes,
    Seconds,
}

/// An option that was read.
enum Value {
    Text(String),
    Number(u64),
    Time(Duration),
}

const CONTAINER: &[(&str, Takes)] = &[
    ("image", Takes::Text),
    ("runtime", Takes::Text),
    ("memory_limit", Takes::Bytes),
    ("cpu_limit", Takes::Cores),
    ("pids_limit", Takes::Count),
    (IDLE_MINUTES, Takes::Minutes),
];
const DAYTONA: &[(&str, Takes)] = &[
    ("image", Takes::Text),
    ("snapshot", Takes::Text),
    ("size", Takes::Text),
    (IDLE_MINUTES, Takes::Minutes),
];
const E2B: &[(&str, Takes)] = &[("template", Takes::Text), (IDLE_SECONDS, Takes::Seconds)];
const CODESANDBOX: &[(&str, Takes)] = &[("template", Takes::Text), (IDLE_MINUTES, Takes::Minutes)];

const IDLE_MINUTES: &str = "auto_stop_minutes";
const IDLE_SECONDS: &str = "timeout_seconds";

fn options(capability: &str) -> &'static [(&'static str, Takes)] {
    match capability {
        "container_sandbox" | "docker" => CONTAINER,
        "daytona" => DAYTONA,
        "e2b" => E2B,
        "codesandbox" => CODESANDBOX,
        _ => &[],
    }
}

/// Refuses options that the capability does not have, or that have the wrong type. `index`: its
/// place in the list.
pub(super) fn check(index: usize, capability: &CapabilityRef) -> Result<()> {
    let Some(config) = &capability.config else {
        return Ok(());
    };
    let known = options(&capability.r#ref);
    let wrong = |name: &str, message: String| {
        let field = format!("capabilities[{index}].config.{name}");
        Err(Problem::invalid_field(field, message))
    };
    for (name, value) in &config.fields {
        let Some((_, takes)) = known.iter().find(|(option, _)| option == name) else {
            let names: Vec<&str> = known.iter().map(|(option, _)| *option).collect();
            let has = match names.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let of = &capability.r#ref;
            return wrong(name, format!("is no option of {of}, which has {has}"));
        };
        if read(*takes, value).is_none() {
            return wrong(name, takes.wants().to_owned());
        }
    }
    if config.fields.contains_key("image") && config.fields.contains_key("snapshot") {
        return wrong("snapshot", "give either image or snapshot".to_owned());
    }
    Ok(())
}

/// Fills in what a spec leaves open, from the options of the session's capability. `alias`: the
/// sandbox's.
pub(crate) fn apply(spec: &mut SandboxSpec, session: &Session, alias: Option<&str>) {
    let granted = capability::granted(session, &spec.provider, alias);
    let Some((granted, config)) = granted.and_then(|one| Some((one, one.config.as_ref()?))) else {
        return;
    };
    let has_source = spec.source.is_some();
    for (name, takes) in options(&granted.r#ref) {
        let value = config.fields.get(*name);
        match value.and_then(|value| read(*takes, value)) {
            Some(Value::Text(text)) => apply_text(spec, name, text, has_source),
            Some(Value::Number(number)) => apply_limit(spec, name, number),
            Some(Value::Time(time)) => {
                let lifecycle = spec.lifecycle.get_or_insert_default();
                if lifecycle.idle_timeout.is_none() {
                    lifecycle.idle_timeout = prost_types::Duration::try_from(time).ok();
                }
            }
            None => {}
        }
    }
}

fn apply_text(spec: &mut SandboxSpec, name: &str, text: String, has_source: bool) {
    let source = match name {
        "image" => Source::Image(text),
        "template" => Source::Template(text),
        "snapshot" => Source::Snapshot(text),
        // Exact resources stand instead of a size.
        "size" if spec.size.is_empty() && spec.resources.is_none() => {
            spec.size = text;
            return;
        }
        "runtime" if spec.runtime.is_empty() => {
            spec.runtime = text;
            return;
        }
        _ => return,
    };
    if !has_source {
        spec.source = Some(source);
    }
}

fn apply_limit(spec: &mut SandboxSpec, name: &str, number: u64) {
    // A size stands instead of exact resources.
    if !spec.size.is_empty() {
        return;
    }
    let resources = spec.resources.get_or_insert_default();
    let small = u32::try_from(number).unwrap_or(u32::MAX);
    match name {
        "memory_limit" if resources.memory_bytes == 0 => resources.memory_bytes = number,
        "cpu_limit" if resources.cpu_millis == 0 => resources.cpu_millis = small,
        "pids_limit" if resources.pids == 0 => resources.pids = small,
        _ => {}
    }
}

impl Takes {
    fn wants(self) -> &'static str {
        match self {
            Self::Text => "must be a text that is not empty, of at most 1,024 bytes",
            Self::Bytes => {
                "must be a whole number of bytes, or a text such as \"2GiB\" or \"512MiB\""
            }
            Self::Cores => "must be a number of cores, at least 0.001",
            Self::Count => "must be a whole number from 1",
            Self::Minutes => "must be a number of minutes, at least 1 s; 0 is never",
            Self::Seconds => "must be a number of seconds, at least 1",
        }
    }
}

/// The value of an option; none where it is not of its kind.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are checked to be in bounds"
)]
fn read(takes: Takes, value: &prost_types::Value) -> Option<Value> {
    let whole = |number: f64, most: f64| {
        let fits = number.fract() == 0.0 && (1.0..=most).contains(&number);
        fits.then_some(Value::Number(number as u64))
    };
    let time = |seconds: f64, shortest: f64| {
        let fits = seconds == 0.0 && shortest == 0.0 || (1.0..=LONGEST).contains(&seconds);
        fits.then(|| Value::Time(Duration::from_secs_f64(seconds)))
    };
    match (takes, value.kind.as_ref()?) {
        (Takes::Text, Json::StringValue(text)) => (1..=TEXT_BYTES)
            .contains(&text.len())
            .then(|| Value::Text(text.clone())),
        (Takes::Bytes, Json::StringValue(text)) => bytes_of(text).map(Value::Number),
        (Takes::Bytes, Json::NumberValue(number)) => whole(*number, LARGEST),
        (Takes::Count, Json::NumberValue(number)) => whole(*number, f64::from(u32::MAX)),
        (Takes::Cores, Json::NumberValue(cores)) => {
            whole((cores * 1000.0).round(), f64::from(u32::MAX))
        }
        (Takes::Minutes, Json::NumberValue(minutes)) => time(minutes * 60.0, 0.0),
        (Takes::Seconds, Json::NumberValue(seconds)) => time(*seconds, 1.0),
        _ => None,
    }
}

/// A number of bytes as people write it.
fn bytes_of(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    let number: u64 = number.trim().parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
