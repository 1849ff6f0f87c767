//! What a sandbox shall be, checked once for all providers.

use std::collections::BTreeMap;

use sandgate_proto::v1::{
    Capabilities, NetworkMode, OnIdle, SandboxSpec, Support, sandbox_spec::Source,
};

use crate::{Kind, ProviderError};

/// A checked `SandboxSpec`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// A name for people; may be empty.
    pub title: String,
    /// What it starts from; none: the provider's default.
    pub source: Option<Source>,
    /// Limits asked for.
    pub limits: Limits,
    /// Environment of every command.
    pub env: BTreeMap<String, String>,
    /// The caller's own labels.
    pub labels: BTreeMap<String, String>,
    /// Network asked for.
    pub network: Network,
    /// Isolation runtime, as in `runsc`; empty: the provider's default.
    pub runtime: String,
    /// User of every command; empty: the image's.
    pub user: String,
    /// Working folder; empty: the provider's default.
    pub workdir: String,
}

/// Limits; none: the provider's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes of disk.
    pub disk_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Who a sandbox can talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// What the provider does unless asked.
    #[default]
    Unspecified,
    /// Nobody.
    None,
    /// The outside, on a network of its own.
    Private,
    /// Whatever the engine's own network reaches.
    Full,
}

impl TryFrom<SandboxSpec> for Spec {
    type Error = ProviderError;

    fn try_from(spec: SandboxSpec) -> Result<Self, ProviderError> {
        for (name, value) in &spec.env {
            check_env_name(name, "spec.env")?;
            no_nul("spec.env", value)?;
        }
        if !spec.size.is_empty() && spec.resources.is_some() {
            return Err(ProviderError::new(
                Kind::InvalidField("spec.size"),
                "give either size or resources, not both",
            ));
        }
        let mut network = Network::Unspecified;
        if let Some(asked) = &spec.network {
            if !asked.allow_cidrs.is_empty() || !asked.allow_domains.is_empty() {
                return Err(ProviderError::new(
                    Kind::Unsupported("network_allow_lists"),
                    "this provider cannot restrict egress to a list; leave allow_cidrs and allow_domains empty, or use mode NONE",
                ));
            }
            network = match asked.mode() {
                NetworkMode::Unspecified => Network::Unspecified,
                NetworkMode::None => Network::None,
                NetworkMode::Private => Network::Private,
                NetworkMode::Full => Network::Full,
            };
        }
        let limits = spec.resources.map(|resources| Limits {
            cpu_millis: set(resources.cpu_millis.into()),
            memory_bytes: set(resources.memory_bytes),
            disk_bytes: set(resources.disk_bytes),
            pids: set(resources.pids.into()),
        });
        Ok(Self {
            title: spec.title,
            source: spec.source,
            limits: limits.unwrap_or_default(),
            env: spec.env.into_iter().collect(),
            labels: spec.labels.into_iter().collect(),
            network,
            runtime: spec.runtime,
            user: spec.user,
            workdir: spec.workdir,
        })
    }
}

/// Fills in the clocks that a caller left open, for a provider whose idle sandboxes cost little but
/// memory: after 10 minutes without work stopped, and kept for a day from then on.
pub fn fill_lifecycle(spec: &mut SandboxSpec) {
    let lifecycle = spec.lifecycle.get_or_insert_default();
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    lifecycle.idle_timeout.get_or_insert(seconds(10 * 60));
    lifecycle
        .stopped_retention
        .get_or_insert(seconds(24 * 60 * 60));
    if lifecycle.on_idle() == OnIdle::Unspecified {
        lifecycle.set_on_idle(OnIdle::Stop);
    }
}

/// Refuses a create whose required capabilities this provider does not have. A gateway does the
/// same beforehand; this is for callers who come without one.
pub(crate) fn check_required(required: &[String], has: &Capabilities) -> Result<(), ProviderError> {
    let had = |wanted: &str| {
        has.features.iter().any(|feature| {
            feature.name == wanted
                && matches!(feature.support(), Support::Native | Support::Emulated)
        })
    };
    match required.iter().find(|wanted| !had(wanted)) {
        None => Ok(()),
        Some(missing) => Err(ProviderError::new(
            Kind::Unsupported("required"),
            format!("this provider does not have {missing}; SandboxService.GetCapabilities lists what it has"),
        )
        .with("name", missing)),
    }
}

/// Refuses what this provider says beforehand that it cannot do.
pub(crate) fn check_not_denied(
    capability: &'static str,
    has: &Capabilities,
) -> Result<(), ProviderError> {
    let mut features = has.features.iter();
    let denied = features
        .any(|feature| feature.name == capability && feature.support() == Support::Unsupported);
    if denied {
        return Err(ProviderError::new(
            Kind::Unsupported(capability),
            format!(
                "this provider does not have {capability}; SandboxService.GetCapabilities says why"
            ),
        ));
    }
    Ok(())
}

/// Zero on the wire means unset.
fn set(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

/// Refuses what no environment can hold.
pub(crate) fn check_env_name(name: &str, field: &'static str) -> Result<(), ProviderError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(ProviderError::new(
            Kind::InvalidField(field),
            "a variable's name must not be empty and not contain `=` or a NUL byte",
        ));
    }
    Ok(())
}

/// Refuses what no system call can pass on.
pub(crate) fn no_nul(field: &'static str, text: &str) -> Result<(), ProviderError> {
    if text.contains('\0') {
        return Err(ProviderError::new(
            Kind::InvalidField(field),
            "must not contain a NUL byte",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::{Feature, Lifecycle, Resources};

    use super::*;

    fn required(names: &[&str]) -> Option<String> {
        let feature = |name: &str, support: Support| Feature {
            name: name.into(),
            support: support.into(),
            ..Feature::default()
        };
        let has = Capabilities {
            features: vec![
                feature("exec", Support::Native),
                feature("stop", Support::Emulated),
                feature("pause", Support::Unsupported),
            ],
            ..Capabilities::default()
        };
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let refused = check_required(&names, &has).err()?;
        assert_eq!(*refused.kind(), Kind::Unsupported("required"));
        Some(refused.to_string())
    }

    #[test]
    fn what_is_required_has_to_be_there() {
        assert_eq!(required(&[]), None);
        assert_eq!(required(&["stop", "exec"]), None);
        for missing in ["pause", "flying"] {
            let refused = required(&["exec", missing]);
            assert!(refused.is_some_and(|message| message.contains(missing)));
        }
    }

    #[test]
    fn clocks_that_are_set_stay() {
        let mut spec = SandboxSpec::default();
        fill_lifecycle(&mut spec);
        let filled = spec.lifecycle.unwrap();
        let seconds = |time: Option<prost_types::Duration>| time.map(|time| time.seconds);
        assert_eq!(filled.on_idle(), OnIdle::Stop);
        assert_eq!(seconds(filled.idle_timeout), Some(600));
        assert_eq!(seconds(filled.stopped_retention), Some(86_400));
        let never = prost_types::Duration::default();
        let lifecycle = Lifecycle {
            idle_timeout: Some(never),
            stopped_retention: Some(never),
            on_idle: OnIdle::Delete.into(),
            ..Lifecycle::default()
        };
        let mut spec = SandboxSpec {
            lifecycle: Some(lifecycle),
            ..SandboxSpec::default()
        };
        fill_lifecycle(&mut spec);
        assert_eq!(spec.lifecycle, Some(lifecycle));
    }

    #[test]
    fn size_and_resources_exclude_each_other() {
        let both = SandboxSpec {
            size: "small".into(),
            resources: Some(Resources::default()),
            ..SandboxSpec::default()
        };
        let refused = Spec::try_from(both.clone()).err();
        assert!(refused.is_some_and(|error| *error.kind() == Kind::InvalidField("spec.size")));
        let one = SandboxSpec {
            resources: None,
            ..both
        };
        assert!(Spec::try_from(one).is_ok());
    }
}
