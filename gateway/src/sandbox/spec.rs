//! From the spec that a caller sends to the one that a provider gets.

use std::time::Duration;

use sandgate_proto::{
    Problem,
    v1::{Capabilities, Lifecycle, SandboxSpec, Session, Support},
};

use crate::{
    fleet::Fleet,
    problem::{self, Result},
    session,
};

/// Bytes of a title.
const TITLE_BYTES: usize = 256;
/// Shortest idle timeout that is not zero (never).
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// Fills in the session's defaults and the provider, and refuses what is malformed.
pub(super) fn resolve(
    asked: Option<SandboxSpec>,
    session: &Session,
    fleet: &Fleet,
) -> Result<SandboxSpec> {
    let mut spec = asked.unwrap_or_else(|| session::default_spec(session));
    if spec.provider.is_empty() {
        spec.provider = only_provider(session, fleet)?;
    }
    fleet.provider(&spec.provider)?;
    if let Some(secret) = spec.secret_env.values().next() {
        return Err(problem::secret_not_found(secret));
    }
    if spec.title.len() > TITLE_BYTES {
        return Err(Problem::invalid_field(
            "spec.title",
            "must have at most 256 bytes",
        ));
    }
    if !spec.size.is_empty() && spec.resources.is_some() {
        return Err(Problem::invalid_field(
            "spec.size",
            "give either size or resources, not both",
        ));
    }
    session::check_labels(&spec.labels)?;
    if let Some(lifecycle) = &spec.lifecycle {
        check_lifecycle(lifecycle)?;
    }
    Ok(spec)
}

/// The provider of a session that names just one, or of a gateway that has just one.
fn only_provider(session: &Session, fleet: &Fleet) -> Result<String> {
    let of_session = session::providers(session);
    let of_gateway = fleet.ids();
    let candidates = if of_session.is_empty() {
        &of_gateway
    } else {
        &of_session
    };
    match candidates.as_slice() {
        [only] => Ok((*only).to_owned()),
        several => Err(Problem::invalid_field(
            "spec.provider",
            format!("is required here: choose one of {}", several.join(", ")),
        )),
    }
}

fn check_lifecycle(lifecycle: &Lifecycle) -> Result<()> {
    let clocks = [
        ("spec.lifecycle.idle_timeout", lifecycle.idle_timeout),
        ("spec.lifecycle.lease_ttl", lifecycle.lease_ttl),
        (
            "spec.lifecycle.stopped_retention",
            lifecycle.stopped_retention,
        ),
        ("spec.lifecycle.max_lifetime", lifecycle.max_lifetime),
    ];
    for (field, clock) in clocks {
        let Some(clock) = clock else { continue };
        match Duration::try_from(clock) {
            Ok(never) if never.is_zero() && field.ends_with("idle_timeout") => {}
            Ok(time) if time >= SHORTEST_IDLE => {}
            _ => {
                return Err(Problem::invalid_field(
                    field,
                    "must be at least 1 s (idle_timeout may be 0: never)",
                ));
            }
        }
    }
    Ok(())
}

/// Refuses a create whose required capabilities the provider does not have.
pub(super) fn check_required(spec: &SandboxSpec, has: &Capabilities) -> Result<()> {
    for wanted in &spec.required_capabilities {
        let feature = has.features.iter().find(|feature| feature.name == *wanted);
        let had = feature.is_some_and(|feature| {
            matches!(feature.support(), Support::Native | Support::Emulated)
        });
        if !had {
            return Err(problem::unsupported(
                "required",
                format!("the provider {} does not have {wanted}; SandboxService.GetCapabilities lists what it has", spec.provider),
            )
            .with("provider", &spec.provider)
            .with("name", wanted));
        }
    }
    Ok(())
}
