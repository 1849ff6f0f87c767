//! What the local provider says about itself.

use sandgate_proto::v1::{Capabilities, Feature, Limits, Placement, Support};

use crate::{limits::Mechanism, size::OutputLimit};

use Support::{Emulated, Native, Unsupported};

type Row = (&'static str, Support, &'static str);

/// Executions that the runner runs at once.
const RUNNING: u32 = 1024;

/// Of exposed ports.
const FORWARD: &str = "a TCP forward in the provider, of what listens on loopback in the sandbox, with any network or none; gone with the provider";

/// Every feature that the contract names, each once, but those that depend on what is found here.
const FEATURES: [Row; 30] = [
    ("start", Native, ""),
    (
        "stop",
        Native,
        "ends all processes; files are kept, also over a restart of the provider",
    ),
    ("pause", Unsupported, ""),
    ("hibernate", Unsupported, ""),
    (
        "renew",
        Native,
        "tells what runs; the provider has no timer of its own",
    ),
    (
        "exec",
        Native,
        "the host's own programs, from its /usr; a kernel shared with the host: meant for one trusted machine; commands and background processes live on over a restart of the provider",
    ),
    (
        "exec_user",
        Unsupported,
        "everything runs as `sandbox`, uid 1000; leave user empty",
    ),
    ("terminal", Native, ""),
    ("stdin", Native, ""),
    ("signals", Native, ""),
    ("exec_timeout", Native, ""),
    (
        "output_resume",
        Native,
        "as long as the sandbox runs; a stop ends its runner and what that has kept",
    ),
    ("logs_system", Unsupported, ""),
    ("logs_main", Unsupported, ""),
    ("logs_executions", Native, ""),
    ("files", Native, ""),
    ("archive", Native, ""),
    (
        "git",
        Native,
        "the host's git, where it has one; needs network FULL",
    ),
    ("git_credentials", Native, ""),
    ("ports", Native, FORWARD),
    ("network_none", Native, "the default: loopback only"),
    (
        "network_private",
        Unsupported,
        "use NONE or FULL, or the container provider",
    ),
    (
        "network_full",
        Native,
        "the host's own network, with its loopback and its abstract sockets",
    ),
    ("allow_cidrs", Unsupported, ""),
    ("allow_domains", Unsupported, ""),
    ("runtime", Unsupported, ""),
    ("image", Unsupported, "the host's /usr is what there is"),
    ("template", Unsupported, ""),
    ("snapshot", Unsupported, ""),
    (
        "idle_timeout",
        Unsupported,
        "the gateway's own clock stops idle sandboxes",
    ),
];

/// The whole description.
pub(crate) fn capabilities(
    provider: &str,
    instance_id: &str,
    mechanism: Mechanism,
    kills: bool,
    output_limit: OutputLimit,
) -> Capabilities {
    let resources = match mechanism {
        Mechanism::CgroupV2 | Mechanism::CgroupV1 => {
            (Native, format!("memory, CPU and processes of the whole sandbox, by {mechanism}; disk is not limited"))
        }
        Mechanism::Rlimits => {
            (Emulated, "memory of each process and number of processes of the sandbox, by rlimits; CPU and disk are not limited, oom_killed is not told".to_owned())
        }
    };
    let feature = |name: &str, support: Support, note: String| Feature {
        name: name.to_owned(),
        support: support.into(),
        note,
    };
    let mut features: Vec<Feature> = FEATURES
        .into_iter()
        .map(|(name, support, note)| feature(name, support, note.to_owned()))
        .collect();
    features.push(feature("resources", resources.0, resources.1));
    let tree = if kills {
        "by a control group for each execution: nothing gets away"
    } else {
        "found by session, descent and environment: code that hides on purpose gets away, and ends with the sandbox at the latest"
    };
    features.push(feature("process_tree", Native, tree.to_owned()));
    Capabilities {
        provider: provider.to_owned(),
        instance_id: instance_id.to_owned(),
        placement: Placement::Sticky.into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features,
        // Of resources no bound but the machine itself.
        limits: Some(Limits {
            max_running_executions: RUNNING,
            max_output_bytes: output_limit.0,
            ..Limits::default()
        }),
        isolation: "namespaces".to_owned(),
        ..Capabilities::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// As `Feature.name` in capabilities.proto lists them.
    const KNOWN: &str = "start stop pause hibernate renew exec exec_user terminal stdin \
        signals process_tree exec_timeout output_resume logs_system logs_main \
        logs_executions files archive git git_credentials ports network_none \
        network_private network_full allow_cidrs allow_domains resources runtime \
        image template snapshot idle_timeout";

    #[test]
    fn every_known_feature_is_said_once() {
        let said = capabilities(
            "local",
            "i",
            Mechanism::Rlimits,
            false,
            OutputLimit::default(),
        )
        .features;
        let names: BTreeSet<&str> = said.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names.len(), said.len());
        assert_eq!(names, KNOWN.split_whitespace().collect());
        assert!(
            said.iter()
                .all(|feature| feature.support() != Support::Unspecified)
        );
    }
}
