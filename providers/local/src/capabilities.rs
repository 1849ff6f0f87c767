//! What the local provider says about itself.

use sandgate_proto::v1::{Capabilities, Feature, Limits, Placement, Support};

use crate::limits::Mechanism;

use Support::{Emulated, Native, Unsupported};

type Row = (&'static str, Support, &'static str);

/// Every feature that the contract names, each once; `resources` is added by what is found here.
const FEATURES: [Row; 31] = [
    ("start", Native, ""),
    (
        "stop",
        Native,
        "ends all processes; files are kept, also over a restart of the provider",
    ),
    ("pause", Unsupported, ""),
    ("hibernate", Unsupported, ""),
    ("renew", Unsupported, "the provider has no timer of its own"),
    (
        "exec",
        Native,
        "the host's own programs, from its /usr; a kernel shared with the host: meant for one trusted machine; commands end with the provider",
    ),
    (
        "exec_user",
        Unsupported,
        "everything runs as `sandbox`, uid 1000",
    ),
    ("terminal", Unsupported, ""),
    (
        "stdin",
        Emulated,
        "given at the start, as a file in memory; no WriteStdin",
    ),
    (
        "signals",
        Unsupported,
        "only by timeout and cancel_on_disconnect; an exit code of 128 + n is told as signal n, since bwrap does not tell them apart",
    ),
    (
        "process_tree",
        Native,
        "a pid namespace for each execution, which ends with its command: daemons do not outlive it",
    ),
    ("exec_timeout", Native, ""),
    (
        "output_resume",
        Unsupported,
        "the output of an execution is read once, by its starter",
    ),
    ("logs_system", Unsupported, ""),
    ("logs_main", Unsupported, ""),
    ("logs_executions", Unsupported, ""),
    ("files", Unsupported, "not yet"),
    ("archive", Unsupported, "not yet"),
    ("git", Unsupported, "not yet"),
    ("git_credentials", Unsupported, "not yet"),
    ("ports", Unsupported, ""),
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
) -> Capabilities {
    let resources = match mechanism {
        Mechanism::CgroupV2 | Mechanism::CgroupV1 => {
            (Native, format!("memory, CPU and processes of the whole sandbox, by {mechanism}; disk is not limited"))
        }
        Mechanism::Rlimits => {
            (Emulated, "memory of each process and number of processes of each execution, by rlimits; CPU and disk are not limited, oom_killed is not told".to_owned())
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
    Capabilities {
        provider: provider.to_owned(),
        instance_id: instance_id.to_owned(),
        placement: Placement::Sticky.into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features,
        // No bound but the machine itself.
        limits: Some(Limits::default()),
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
        let said = capabilities("local", "i", Mechanism::Rlimits).features;
        let names: BTreeSet<&str> = said.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names.len(), said.len());
        assert_eq!(names, KNOWN.split_whitespace().collect());
        assert!(
            said.iter()
                .all(|feature| feature.support() != Support::Unspecified)
        );
    }
}
