//! What sandboxes at E2B can do.

use sandgate_proto::v1::{
    Capabilities, Feature, Limits, NetworkMode, OnIdle, Placement, SandboxSpec, Support,
    sandbox_spec::Source,
};

use crate::Config;

use Support::{Emulated, Native, Unsupported};

/// As many executions as the runner holds at once.
const EXECUTIONS: u32 = 1024;
/// Seconds that one at rest is kept unless asked.
const RETENTION: i64 = 24 * 60 * 60;

/// Every feature of the contract, in the contract's order.
const FEATURES: &[(&str, Support, &str)] = &[
    ("start", Native, "a stopped one boots from its disk"),
    (
        "stop",
        Emulated,
        "a pause that keeps files and forgets memory",
    ),
    (
        "pause",
        Native,
        "files and memory are kept, the machine is given back; resuming takes about a second",
    ),
    ("hibernate", Native, "the same as pause"),
    (
        "renew",
        Native,
        "moves E2B's own timeout, at which it would pause the sandbox",
    ),
    ("exec", Native, ""),
    ("exec_user", Native, ""),
    ("terminal", Native, ""),
    ("stdin", Native, ""),
    ("signals", Native, ""),
    (
        "process_tree",
        Native,
        "a supplementary group of its own: only a process of root can get away, which the user of `base` can become by sudo",
    ),
    ("exec_timeout", Native, ""),
    ("output_resume", Native, ""),
    ("logs_system", Unsupported, ""),
    ("logs_main", Unsupported, ""),
    ("logs_executions", Native, ""),
    ("files", Native, ""),
    ("archive", Native, ""),
    ("git", Native, "the template's git"),
    ("git_credentials", Native, ""),
    (
        "ports",
        Native,
        "E2B's own host names, for every port and as long as the sandbox runs; they open by a token, in the headers; one address cannot be taken away",
    ),
    (
        "network_none",
        Native,
        "egress is denied; E2B's own way in stays",
    ),
    (
        "network_private",
        Native,
        "each sandbox is a machine of its own",
    ),
    ("network_full", Native, "the same as private"),
    ("allow_cidrs", Unsupported, ""),
    ("allow_domains", Unsupported, ""),
    ("resources", Unsupported, "the template says"),
    ("runtime", Unsupported, ""),
    (
        "image",
        Unsupported,
        "make a template of it with E2B's tools",
    ),
    ("template", Native, ""),
    ("snapshot", Unsupported, ""),
    (
        "idle_timeout",
        Native,
        "E2B pauses what no gateway keeps up",
    ),
];

/// The answer to GetCapabilities.
pub(crate) fn of(provider: &str, config: &Config) -> Capabilities {
    let feature = |&(name, support, note): &(&str, Support, &str)| Feature {
        name: name.to_owned(),
        support: support.into(),
        note: note.to_owned(),
    };
    Capabilities {
        provider: provider.to_owned(),
        instance_id: String::new(),
        placement: Placement::Any.into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.iter().map(feature).collect(),
        limits: Some(Limits {
            max_running_executions: EXECUTIONS,
            max_output_bytes: config.output_limit,
            ..Default::default()
        }),
        isolation: "microvm".to_owned(),
        sources: vec!["template".to_owned()],
        sizes: Vec::new(),
        output_retention: None,
    }
}

/// What a sandbox will be, with every default filled in.
pub(crate) fn resolved(config: &Config, mut spec: SandboxSpec) -> SandboxSpec {
    spec.source
        .get_or_insert_with(|| Source::Template(config.template.clone()));
    if spec.user.is_empty() {
        spec.user.clone_from(&config.user);
    }
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    let lifecycle = spec.lifecycle.get_or_insert_default();
    lifecycle
        .idle_timeout
        .get_or_insert(seconds(config.timeout.into()));
    lifecycle
        .stopped_retention
        .get_or_insert(seconds(RETENTION));
    if lifecycle.on_idle() == OnIdle::Unspecified {
        lifecycle.set_on_idle(OnIdle::Pause);
    }
    let network = spec.network.get_or_insert_default();
    if network.mode() == NetworkMode::Unspecified {
        network.set_mode(NetworkMode::Private);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list in the contract is a comment; it is read from there.
    #[test]
    fn every_feature_of_the_contract_is_named_once() {
        let contract = include_str!("../../../proto/sandbox/v1/capabilities.proto");
        let list = contract.split("lower_snake. Known:").nth(1).unwrap();
        let list = list.split(". Clients").next().unwrap();
        let known: Vec<&str> = list
            .split_whitespace()
            .filter(|word| *word != "//")
            .collect();
        let ours: Vec<&str> = FEATURES.iter().map(|feature| feature.0).collect();
        assert_eq!(ours, known);
    }
}
