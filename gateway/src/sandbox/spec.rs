//! From the spec that a caller sends to the one that a provider gets.

use std::time::Duration;

use prost::Message as _;
use sandgate_proto::{
    Problem,
    v1::{Capabilities, Lifecycle, SandboxSpec, Session, Support},
};

use crate::{
    fleet::Fleet,
    problem::{self, Result},
    session,
    store::SandboxRecord,
};

/// After which a sandbox that nobody uses counts as abandoned.
const LEASE_TTL: prost_types::Duration = prost_types::Duration {
    seconds: 20 * 60,
    nanos: 0,
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
    fill_clocks(&mut spec, alias);
    Ok(spec)
}

/// Fills in the clocks that do not depend on the provider. A face that belongs to its session as a
/// whole goes with that, and by no clock of its own unless one was asked for.
pub(super) fn fill_clocks(spec: &mut SandboxSpec, alias: Option<&str>) {
    let for_good = session::ends_with_session(&spec.provider, alias);
    let life = spec.lifecycle.get_or_insert_default();
    if for_good {
        life.idle_timeout
            .get_or_insert(prost_types::Duration::default());
    } else {
        life.lease_ttl.get_or_insert(LEASE_TTL);
    }
    life.auto_start.get_or_insert(true);
}

/// The provider has filled in its own defaults: what it may not change stays as it was asked for.
pub(super) fn keep_clocks(resolved: &mut Vec<u8>, asked: &SandboxSpec, sandbox: &SandboxRecord) {
    let Ok(mut spec) = SandboxSpec::decode(resolved.as_slice()) else {
        return;
    };
    let (life, asked) = (
        spec.lifecycle.get_or_insert_default(),
        asked.lifecycle.unwrap_or_default(),
    );
    life.lease_ttl = asked.lease_ttl;
    life.max_lifetime = asked.max_lifetime;
    life.auto_start = asked.auto_start;
    if session::ends_with_session(&sandbox.provider, sandbox.alias.as_deref()) {
        life.stopped_retention = asked.stopped_retention;
    }
    *resolved = spec.encode_to_vec();
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
    check_idle_timeout("spec.lifecycle.idle_timeout", lifecycle.idle_timeout)?;
    let clocks = [
        ("spec.lifecycle.lease_ttl", lifecycle.lease_ttl),
        (
            "spec.lifecycle.stopped_retention",
            lifecycle.stopped_retention,
        ),
        ("spec.lifecycle.max_lifetime", lifecycle.max_lifetime),
    ];
    for (field, clock) in clocks {
        check_clock(field, clock, false)?;
    }
    Ok(())
}

/// Refuses a malformed idle timeout.
pub(super) fn check_idle_timeout(
    field: &'static str,
    time: Option<prost_types::Duration>,
) -> Result<()> {
    check_clock(field, time, true)
}

fn check_clock(
    field: &'static str,
    clock: Option<prost_types::Duration>,
    may_be_never: bool,
) -> Result<()> {
    let Some(clock) = clock else { return Ok(()) };
    match Duration::try_from(clock) {
        Ok(never) if never.is_zero() && may_be_never => Ok(()),
        Ok(time) if time >= SHORTEST_IDLE => Ok(()),
        _ => Err(Problem::invalid_field(
            field,
            "must be at least 1 s (idle_timeout may be 0: never)",
        )),
    }
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
