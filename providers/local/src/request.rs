//! Checks what a caller asks for against what this provider can do.

use std::path::{Component, Path};

use sandgate_kit::{CallContext, Kind, Network, ProviderError, Spec};
use sandgate_proto::v1::sandbox_spec::Source;
use uuid::Uuid;

use crate::{
    bwrap::{UID, USER, WORKSPACE},
    config::Defaults,
    store::{MOUNTS, Wanted},
};

/// Less does not hold the processes that make the sandbox.
const LEAST_MEMORY: u64 = 16 << 20;
const LEAST_PIDS: u64 = 8;

/// The sandbox that a call is about. Nothing else may become a path.
pub(crate) fn sandbox_id(context: &CallContext) -> Result<Uuid, ProviderError> {
    Uuid::try_parse(&context.sandbox_id).map_err(|_| invalid("sandbox_id", "must be a UUID"))
}

/// The user of a sandbox or a command: there is one.
pub(crate) fn check_user(user: &str) -> Result<(), ProviderError> {
    if ["", USER, UID].contains(&user) {
        return Ok(());
    }
    Err(ProviderError::new(
        Kind::Unsupported("exec_user"),
        format!(
            "the local provider runs everything as {USER} (uid {UID}); leave user empty, or use the container provider"
        ),
    ))
}

/// A spec with every default filled in.
pub(crate) fn wanted(spec: Spec, defaults: &Defaults) -> Result<Wanted, ProviderError> {
    check_support(&spec)?;
    if spec.env.values().any(|value| value.contains('\0')) {
        return Err(invalid("spec.env", "a value must not contain a NUL byte"));
    }
    let memory_bytes = spec.limits.memory_bytes.unwrap_or(defaults.memory_bytes);
    if memory_bytes < LEAST_MEMORY {
        return Err(invalid(
            "spec.resources.memory_bytes",
            "must be at least 16777216 (16 MiB)",
        ));
    }
    let pids = spec.limits.pids.unwrap_or(defaults.pids);
    if pids < LEAST_PIDS {
        return Err(invalid("spec.resources.pids", "must be at least 8"));
    }
    Ok(Wanted {
        title: spec.title,
        labels: spec.labels,
        env: spec.env,
        workdir: workdir(spec.workdir)?,
        network: spec.network == Network::Full,
        memory_bytes,
        cpu_millis: spec.limits.cpu_millis.unwrap_or(defaults.cpu_millis),
        pids,
    })
}

/// Refuses what the capabilities say is not to be had.
fn check_support(spec: &Spec) -> Result<(), ProviderError> {
    check_user(&spec.user)?;
    let container = "or use the container provider";
    if let Some(source) = &spec.source {
        let feature = match source {
            Source::Image(_) => "image",
            Source::Template(_) => "template",
            Source::Snapshot(_) => "snapshot",
        };
        return Err(unsupported(
            feature,
            &format!("leave {feature} unset, {container}"),
        ));
    }
    if !spec.runtime.is_empty() {
        return Err(unsupported(
            "runtime",
            &format!("leave runtime empty, {container}"),
        ));
    }
    if spec.network == Network::Private {
        return Err(unsupported(
            "network_private",
            &format!("ask for NONE or FULL, {container}"),
        ));
    }
    if spec.limits.disk_bytes.is_some() {
        return Err(unsupported("disk_bytes", "leave disk_bytes unset"));
    }
    Ok(())
}

fn workdir(asked: String) -> Result<String, ProviderError> {
    if asked.is_empty() {
        return Ok(WORKSPACE.to_owned());
    }
    let path = Path::new(&asked);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if asked.contains('\0') || !plain || !MOUNTS.iter().any(|mount| path.starts_with(mount)) {
        return Err(invalid(
            "spec.workdir",
            "must be an absolute path without `..` in /workspace, /home/sandbox or /tmp",
        ));
    }
    Ok(asked)
}

fn unsupported(feature: &'static str, instead: &str) -> ProviderError {
    ProviderError::new(
        Kind::Unsupported(feature),
        format!("the local provider does not support {feature}: {instead}"),
    )
}

fn invalid(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(Kind::InvalidField(field), message)
}

#[cfg(test)]
mod tests {
    use sandgate_kit::Limits;

    use super::*;

    fn refused(spec: Spec) -> Kind {
        wanted(spec, &Defaults::default())
            .unwrap_err()
            .kind()
            .clone()
    }

    #[test]
    fn an_empty_spec_gets_every_default() {
        let wanted = wanted(Spec::default(), &Defaults::default()).unwrap();
        assert_eq!(wanted.workdir, "/workspace");
        assert!(!wanted.network);
        assert_eq!(
            (wanted.memory_bytes, wanted.cpu_millis, wanted.pids),
            (2 << 30, 1000, 256)
        );
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let private = Spec {
            network: Network::Private,
            ..Spec::default()
        };
        assert_eq!(refused(private), Kind::Unsupported("network_private"));
        let user = Spec {
            user: "root".into(),
            ..Spec::default()
        };
        assert_eq!(refused(user), Kind::Unsupported("exec_user"));
        let limits = Limits {
            disk_bytes: Some(1),
            ..Limits::default()
        };
        assert_eq!(
            refused(Spec {
                limits,
                ..Spec::default()
            }),
            Kind::Unsupported("disk_bytes")
        );
        let limits = Limits {
            memory_bytes: Some(1),
            ..Limits::default()
        };
        let tiny = Spec {
            limits,
            ..Spec::default()
        };
        assert_eq!(
            refused(tiny),
            Kind::InvalidField("spec.resources.memory_bytes")
        );
        for workdir in [
            "/etc",
            "/workspace/../etc",
            "/workspacex",
            "workspace",
            "/workspace/\0",
        ] {
            let spec = Spec {
                workdir: workdir.into(),
                ..Spec::default()
            };
            assert_eq!(
                refused(spec),
                Kind::InvalidField("spec.workdir"),
                "{workdir}"
            );
        }
    }
}
