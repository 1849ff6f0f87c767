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

/// Shortest idle timeout that is not zero (never).
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// Fills in the session's defaults and the provider, and refuses what is malformed. `alias`: the
/// sandbox's.
pub(super) fn resolve(
    asked: Option<SandboxSpec>,
    session: &Session,
    alias: Option<&str>,
    fleet: &Fleet,
) -> Result<SandboxSpec> {
    let mut spec = asked.unwrap_or_else(|| session::default_spec(session));
    if spec.provider.is_empty() {
        spec.provider = match session::provider_of_face(session, alias) {
            Some(provider) => provider.to_owned(),
            None => only_provider(session, fleet)?,
        };
    }
    fleet.provider(&spec.provider)?;
    session::check_enabled(session, &spec.provider)?;
    session::check_title("spec.title", &spec.title)?;
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
    session::apply_options(&mut spec, session, alias);
    Ok(spec)
}

/// The provider of a session that may use just one.
fn only_provider(session: &Session, fleet: &Fleet) -> Result<String> {
    let mut candidates = session::providers(session);
    candidates.retain(|provider| fleet.has(provider));
    match candidates.as_slice() {
        [] => Err(no_provider(fleet)),
        [only] => Ok((*only).to_owned()),
        several => Err(Problem::invalid_field(
            "spec.provider",
            format!("is required here: choose one of {}", several.join(", ")),
        )),
    }
}

/// The session was given no capability that brings a sandbox.
fn no_provider(fleet: &Fleet) -> Problem {
    let ids = fleet.ids();
    let refs = ids.iter().flat_map(|id| session::capabilities_of(id));
    let refs = refs.collect::<Vec<_>>().join(" or ");
    problem::capability_not_enabled(
        &refs,
        format!(
            "the session may use no sandboxes; add {refs} to its capabilities with SessionService.UpdateSession, or make a session that has it"
        ),
    )
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
