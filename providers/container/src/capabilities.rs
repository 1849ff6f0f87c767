//! What containers on this engine can do.

use sandgate_proto::v1::{Capabilities, Feature, Limits, Placement, Resources, Support};

use crate::{Config, engine::Facts};

use Support::{Emulated, Native, Unsupported};

const TREE: &str = "process_tree";
/// What is said of it where the host supplies control groups.
const BY_CGROUP: &str = "a control group of its own: what a command starts is found whatever it does, unless it runs as root and moves itself on purpose";
/// And where it does not.
const BY_GROUP: &str = "a supplementary group of its own: only a process of root can get away";
/// As many executions as the runner holds at once.
const EXECUTIONS: u32 = 1024;

/// Of exposed ports.
const FORWARD: &str = "a TCP forward in the provider, of what listens on loopback in the container, with any network or none; gone with the provider";

/// Every feature of the contract, in the contract's order.
const FEATURES: &[(&str, Support, &str)] = &[
    ("start", Native, ""),
    ("stop", Native, ""),
    (
        "pause",
        Native,
        "memory stays taken; timeouts of commands stand still meanwhile",
    ),
    (
        "hibernate",
        Unsupported,
        "pause keeps memory, stop gives it back",
    ),
    (
        "renew",
        Native,
        "answers what runs; nothing here ends for want of it",
    ),
    ("exec", Native, ""),
    ("exec_user", Native, ""),
    ("terminal", Native, ""),
    ("stdin", Native, ""),
    ("signals", Native, ""),
    (TREE, Native, ""),
    ("exec_timeout", Native, ""),
    ("output_resume", Native, ""),
    ("logs_system", Unsupported, ""),
    (
        "logs_main",
        Unsupported,
        "an image's own command is not run",
    ),
    ("logs_executions", Native, ""),
    ("files", Native, ""),
    ("archive", Native, ""),
    ("git", Native, "the image's git, where it has one"),
    ("git_credentials", Native, ""),
    ("ports", Native, FORWARD),
    ("network_none", Native, ""),
    (
        "network_private",
        Emulated,
        "a bridge of its own. The engine's host, a cloud's metadata address and, for moments while the engine makes a network, other sandboxes are not blocked; to block them: iptables -t raw -I PREROUTING -s SUBNETS -d SUBNETS,169.254.169.254 -j DROP, on the host, with SANDGATE_CONTAINER_SUBNETS",
    ),
    ("network_full", Native, "the engine's default bridge"),
    ("allow_cidrs", Unsupported, ""),
    ("allow_domains", Unsupported, ""),
    (
        "resources",
        Native,
        "CPU, memory and processes; no limit on disk",
    ),
    ("runtime", Native, "any that the engine has installed"),
    ("image", Native, ""),
    ("template", Unsupported, ""),
    ("snapshot", Unsupported, ""),
    ("idle_timeout", Unsupported, ""),
];

/// The answer to GetCapabilities.
pub(crate) fn of(provider: &str, config: &Config, facts: &Facts, groups: bool) -> Capabilities {
    let runtime = if config.runtime.is_empty() {
        &facts.default_runtime
    } else {
        &config.runtime
    };
    let feature = |&(name, support, note): &(&str, Support, &str)| Feature {
        name: name.to_owned(),
        support: support.into(),
        note: match name {
            TREE if groups => BY_CGROUP.to_owned(),
            TREE => BY_GROUP.to_owned(),
            "image" => made_ahead(config),
            _ => note.to_owned(),
        },
    };
    let max_resources = Resources {
        cpu_millis: u32::try_from(facts.cpus.saturating_mul(1000)).unwrap_or(u32::MAX),
        memory_bytes: facts.memory_bytes,
        disk_bytes: 0,
        pids: 0,
    };
    Capabilities {
        provider: provider.to_owned(),
        instance_id: facts.id.clone(),
        placement: Placement::Sticky.into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.iter().map(feature).collect(),
        limits: Some(Limits {
            max_resources: Some(max_resources),
            max_running_executions: EXECUTIONS,
            max_output_bytes: config.output_limit,
            ..Default::default()
        }),
        isolation: isolation(runtime).to_owned(),
        sources: vec!["image".to_owned()],
        sizes: Vec::new(),
        output_retention: None,
    }
}

/// How many sandboxes are made ahead.
fn made_ahead(config: &Config) -> String {
    let wishes = config.pool.of(&config.image);
    let each: Vec<String> = wishes
        .iter()
        .map(|(image, number)| format!("{number} of {image}"))
        .collect();
    if each.is_empty() {
        return String::new();
    }
    format!("made ahead: {}", each.join(", "))
}

/// What the runtime puts between two sandboxes, by the names that it is usually installed under.
fn isolation(runtime: &str) -> &'static str {
    let runtime = runtime.to_ascii_lowercase();
    if runtime.contains("runsc") || runtime.contains("gvisor") {
        "gvisor"
    } else if runtime.contains("kata") {
        "kata"
    } else {
        "container"
    }
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

    #[test]
    fn what_is_emulated_says_how() {
        for (name, support, note) in FEATURES {
            assert!(*support != Emulated || !note.is_empty(), "{name}");
        }
    }

    #[test]
    fn isolation_follows_the_runtime() {
        for (runtime, expected) in [
            ("runc", "container"),
            ("runsc", "gvisor"),
            ("kata-fc", "kata"),
            ("sysbox-runc", "container"),
        ] {
            assert_eq!(isolation(runtime), expected);
        }
        let facts = Facts {
            default_runtime: "runsc".into(),
            cpus: 2,
            ..Facts::default()
        };
        let said = of("container", &Config::default(), &facts, true);
        assert_eq!(said.isolation, "gvisor");
        assert_eq!(said.limits.unwrap().max_resources.unwrap().cpu_millis, 2000);
        let config = Config {
            runtime: "runc".into(),
            ..Config::default()
        };
        assert_eq!(
            of("container", &config, &facts, false).isolation,
            "container"
        );
    }
}
