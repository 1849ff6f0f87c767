//! A caller's spec as it will be carried out, for callers to look at.

use sandgate_kit::fill_lifecycle;
use sandgate_proto::v1::{NetworkMode, SandboxSpec};

use crate::{
    bwrap::{USER, WORKSPACE},
    config::Defaults,
};

/// Fills in what the caller left open.
pub(crate) fn resolved(mut spec: SandboxSpec, defaults: &Defaults) -> SandboxSpec {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let limits = spec.resources.get_or_insert_default();
    if limits.memory_bytes == 0 {
        limits.memory_bytes = defaults.memory_bytes;
    }
    if limits.cpu_millis == 0 {
        limits.cpu_millis = narrow(defaults.cpu_millis);
    }
    if limits.pids == 0 {
        limits.pids = narrow(defaults.pids);
    }
    fill_lifecycle(&mut spec);
    let network = spec.network.get_or_insert_default();
    if network.mode() == NetworkMode::Unspecified {
        network.set_mode(NetworkMode::None);
    }
    if spec.user.is_empty() {
        USER.clone_into(&mut spec.user);
    }
    if spec.workdir.is_empty() {
        WORKSPACE.clone_into(&mut spec.workdir);
    }
    spec
}

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::OnIdle;

    use super::*;

    #[test]
    fn what_was_asked_for_stays_and_the_rest_is_filled_in() {
        let mut asked = SandboxSpec::default();
        asked.resources.get_or_insert_default().pids = 9;
        let spec = resolved(asked, &Defaults::default());
        let limits = spec.resources.unwrap();
        assert_eq!(
            (limits.pids, limits.cpu_millis, limits.memory_bytes),
            (9, 1000, 2 << 30)
        );
        assert_eq!(spec.network.unwrap().mode(), NetworkMode::None);
        assert_eq!(spec.lifecycle.unwrap().on_idle(), OnIdle::Stop);
        assert_eq!(
            (spec.user.as_str(), spec.workdir.as_str()),
            (USER, "/workspace")
        );
    }
}
