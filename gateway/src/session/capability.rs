//! Capabilities: which there are, what stands behind each, and what a session may use.

use std::collections::BTreeSet;

use sandgate_proto::{
    Problem,
    v1::{CapabilityRef, Session},
};

use super::options;
use crate::{
    fleet::Fleet,
    problem::{self, Result},
};

/// Capabilities that bring a sandbox, each with the provider behind it; two are faces of one. A
/// provider that is not here is a capability of its own name.
const SANDBOXES: &[(&str, &str)] = &[
    ("local", "local"),
    (CONTAINER_SANDBOX, "container"),
    (DOCKER, "container"),
    ("daytona", "daytona"),
    ("codesandbox", "codesandbox"),
    ("e2b", "e2b"),
];
/// Capabilities that bring no provider with them.
const PLAIN: &[&str] = &[STORAGE, "session_file_system"];
/// What comes with every sandbox.
const STORAGE: &str = "session_storage";
/// The face of which each session has one.
const DOCKER: &str = "docker";
/// The one that can be switched off.
const CONTAINER_SANDBOX: &str = "container_sandbox";
/// Providers whose key is their user's connection of the same name.
const CONNECTED: &[&str] = &["daytona", "e2b"];

/// What this gateway has to offer.
pub(crate) struct Capabilities {
    providers: BTreeSet<String>,
    container_sandbox: Option<bool>,
}

impl Capabilities {
    /// `container_sandbox`: switched on or off, or neither.
    pub(crate) fn new(fleet: &Fleet, container_sandbox: Option<bool>) -> Self {
        Self {
            providers: fleet.ids().into_iter().map(str::to_owned).collect(),
            container_sandbox,
        }
    }

    /// Whether the harness for containers is wanted.
    pub(crate) fn has_harness(&self) -> bool {
        self.container_sandbox == Some(true)
    }

    /// Refuses a list of a caller's own that is malformed, or names what is not to be had.
    pub(crate) fn check(&self, list: &[CapabilityRef]) -> Result<()> {
        for (index, capability) in list.iter().enumerate() {
            let earlier = &list[..index];
            if earlier.iter().any(|other| other.r#ref == capability.r#ref) {
                return Err(Problem::invalid_field(
                    format!("capabilities[{index}].ref"),
                    "names a capability that is in the list already; name each once",
                ));
            }
        }
        self.check_available(list)?;
        for (index, capability) in list.iter().enumerate() {
            options::check(index, capability)?;
        }
        Ok(())
    }

    /// Refuses a list that names what this gateway does not have.
    pub(crate) fn check_available(&self, list: &[CapabilityRef]) -> Result<()> {
        let missing = list.iter().find(|capability| !self.has(&capability.r#ref));
        missing.map_or(Ok(()), |missing| {
            Err(problem::capability_not_enabled(
                &missing.r#ref,
                format!(
                    "this gateway does not have the capability {}; it has: {}",
                    missing.r#ref,
                    self.available().join(", ")
                ),
            ))
        })
    }

    /// Everything that is to be had, sandboxes first.
    pub(crate) fn available(&self) -> Vec<String> {
        let known = SANDBOXES.iter().map(|(name, _)| *name);
        let others = self.providers.iter().map(String::as_str);
        let others = others.filter(|id| !is_known(id));
        let all = known.chain(others).chain(PLAIN.iter().copied());
        all.filter(|name| self.has(name))
            .map(str::to_owned)
            .collect()
    }

    /// Adds what the capabilities of a list bring with them.
    pub(crate) fn complete(&self, list: &mut Vec<CapabilityRef>) {
        let has_sandbox = list
            .iter()
            .any(|capability| provider_of(&capability.r#ref).is_some());
        if has_sandbox && !list.iter().any(|capability| capability.r#ref == STORAGE) {
            list.push(plain(STORAGE));
        }
    }

    fn has(&self, name: &str) -> bool {
        let switched_off = name == CONTAINER_SANDBOX && self.container_sandbox == Some(false);
        match provider_of(name) {
            None => true,
            // The name of a provider with faces is not a face.
            Some(_) if is_known(name) && !SANDBOXES.iter().any(|(face, _)| *face == name) => false,
            Some(provider) => self.providers.contains(provider) && !switched_off,
        }
    }
}

/// A capability without options.
pub(crate) fn plain(name: &str) -> CapabilityRef {
    CapabilityRef {
        r#ref: name.to_owned(),
        config: None,
    }
}

/// The provider behind a capability; none where it brings no sandbox.
fn provider_of(capability: &str) -> Option<&str> {
    if PLAIN.contains(&capability) {
        return None;
    }
    let face = SANDBOXES.iter().find(|(face, _)| *face == capability);
    Some(face.map_or(capability, |(_, provider)| provider))
}

/// Whether the table has a provider of this id.
fn is_known(provider: &str) -> bool {
    SANDBOXES.iter().any(|(_, behind)| *behind == provider)
}

/// The capabilities, any one of which a session needs to use a provider.
pub(crate) fn capabilities_of(provider: &str) -> Vec<&str> {
    let faces: Vec<&str> = SANDBOXES
        .iter()
        .filter(|(_, behind)| *behind == provider)
        .map(|(face, _)| *face)
        .collect();
    if faces.is_empty() {
        vec![provider]
    } else {
        faces
    }
}

/// The connection that a provider's key comes from; empty where it needs none.
pub(crate) fn connection_of(provider: &str) -> &str {
    if CONNECTED.contains(&provider) {
        provider
    } else {
        ""
    }
}

/// The session's own capability of a provider, with its options. Of several faces the one that the
/// sandbox's alias names, else the first.
pub(super) fn granted<'a>(
    session: &'a Session,
    provider: &str,
    alias: Option<&str>,
) -> Option<&'a CapabilityRef> {
    let granted: Vec<_> = session
        .capabilities
        .iter()
        .filter(|capability| provider_of(&capability.r#ref) == Some(provider))
        .collect();
    let named = granted
        .iter()
        .find(|capability| Some(capability.r#ref.as_str()) == alias);
    let first = || {
        let order = |capability: &&&CapabilityRef| {
            SANDBOXES
                .iter()
                .position(|(face, _)| *face == capability.r#ref)
        };
        granted.iter().min_by_key(order)
    };
    named.or_else(first).copied()
}

/// Whether a session may use a provider.
pub(crate) fn enabled(session: &Session, provider: &str) -> bool {
    granted(session, provider, None).is_some()
}

/// Whether a sandbox of this alias is its session's own as a whole: one for each session, made on first
/// use, gone with it.
pub(crate) fn ends_with_session(provider: &str, alias: Option<&str>) -> bool {
    alias == Some(DOCKER) && provider_of(DOCKER) == Some(provider)
}

/// The provider of the face that the sandbox's alias names, if the session was given that.
pub(crate) fn provider_of_face(session: &Session, alias: Option<&str>) -> Option<&'static str> {
    let (face, provider) = SANDBOXES.iter().find(|(face, _)| Some(*face) == alias)?;
    let refs = &session.capabilities;
    let given = refs.iter().any(|capability| capability.r#ref == *face);
    (given && face != provider).then_some(*provider)
}

/// Refuses a provider that the session may not use.
pub(crate) fn check_enabled(session: &Session, provider: &str) -> Result<()> {
    if enabled(session, provider) {
        return Ok(());
    }
    let wanted = capabilities_of(provider).join(" or ");
    Err(problem::capability_not_enabled(
        &wanted,
        format!("the session may not use the provider {provider}; add the capability {wanted} with SessionService.UpdateSession, or make a session that has it"),
    )
    .with("provider", provider))
}

/// Providers that a session's capabilities name, each once; none where it names no sandbox.
pub(crate) fn providers(session: &Session) -> Vec<&str> {
    let refs = session.capabilities.iter();
    let providers: BTreeSet<&str> = refs
        .filter_map(|capability| provider_of(&capability.r#ref))
        .collect();
    providers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use sandgate_proto::Reason;

    use super::*;

    fn offer(providers: &[&str], container_sandbox: Option<bool>) -> Capabilities {
        Capabilities {
            providers: providers.iter().map(|id| (*id).to_owned()).collect(),
            container_sandbox,
        }
    }

    fn session(refs: &[&str]) -> Session {
        Session {
            capabilities: refs.iter().map(|name| plain(name)).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_provider_brings_its_capabilities() {
        let plain = ["session_storage", "session_file_system"];
        assert_eq!(offer(&[], None).available(), plain);
        let many = offer(&["e2b", "container", "mine"], None);
        let wanted = ["container_sandbox", "docker", "e2b", "mine"];
        assert_eq!(many.available(), [&wanted[..], &plain].concat());
        for off in ["container", "daytona", "", "other"] {
            assert!(!many.has(off), "{off}");
        }
        let off = offer(&["container"], Some(false));
        assert_eq!(off.available(), [&["docker"][..], &plain].concat());
        assert!(!off.has_harness() && offer(&[], Some(true)).has_harness());
    }

    #[test]
    fn a_list_names_each_once_and_only_what_is_there() {
        let offer = offer(&["local"], None);
        let list = session(&["local", "local"]).capabilities;
        let refused = offer.check(&list).unwrap_err();
        assert_eq!(refused.fields()[0].0, "capabilities[1].ref");
        let list = session(&["local", "e2b"]).capabilities;
        let refused = offer.check(&list).unwrap_err();
        assert_eq!(refused.reason(), Reason::CapabilityNotEnabled);
        assert!(refused.facts().contains(&("capability", "e2b".to_owned())));
        let mut list = session(&["local"]).capabilities;
        offer.complete(&mut list);
        offer.complete(&mut list);
        assert_eq!(list, session(&["local", "session_storage"]).capabilities);
        let mut list = session(&["session_file_system"]).capabilities;
        offer.complete(&mut list);
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn a_session_uses_what_it_was_given() {
        let both = session(&["docker", "container_sandbox", "mine"]);
        assert!(enabled(&both, "container") && enabled(&both, "mine"));
        assert!(!enabled(&both, "local") && !enabled(&session(&[]), "local"));
        assert_eq!(providers(&both), ["container", "mine"]);
        let face = |alias| granted(&both, "container", alias).unwrap().r#ref.as_str();
        assert_eq!(face(None), "container_sandbox");
        assert_eq!(face(Some("docker")), "docker");
        assert_eq!(provider_of_face(&both, Some("docker")), Some("container"));
        assert_eq!(provider_of_face(&both, Some("mine")), None);
        assert_eq!(provider_of_face(&session(&["e2b"]), Some("docker")), None);
        let refused = check_enabled(&session(&[]), "container").unwrap_err();
        assert!(refused.message().contains("container_sandbox or docker"));
    }
}
