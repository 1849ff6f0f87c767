//! Ids as callers write them.

use std::fmt;

use sandgate_proto::Problem;
use uuid::Uuid;

use crate::problem::Result;

/// Longest alias, in bytes.
const ALIAS_BYTES: usize = 64;
/// Longest id of an agent, in bytes.
const AGENT_ID_BYTES: usize = 128;

/// How a request names a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SandboxRef {
    /// Not at all.
    Default,
    Id(Uuid),
    /// `@name`, without the `@`.
    Alias(String),
}

impl SandboxRef {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix('@') {
            Some(alias) => checked_alias(alias, "sandbox_id").map(Self::Alias),
            None if text.is_empty() => Ok(Self::Default),
            None => uuid("sandbox_id", text).map(Self::Id),
        }
    }
}

impl fmt::Display for SandboxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Id(id) => id.fmt(f),
            Self::Alias(alias) => write!(f, "@{alias}"),
        }
    }
}

/// A required session_id.
pub(crate) fn session_id(text: &str) -> Result<Uuid> {
    if text.is_empty() {
        return Err(Problem::invalid_field(
            "session_id",
            "is required; make a session with SessionService.CreateSession",
        ));
    }
    uuid("session_id", text)
}

/// A UUID, required to be one.
pub(crate) fn uuid(field: &'static str, text: &str) -> Result<Uuid> {
    // Only the form with hyphens: others would be a second name for the same thing.
    if text.len() == 36
        && let Ok(id) = Uuid::parse_str(text)
    {
        return Ok(id);
    }
    Err(Problem::invalid_field(
        field,
        "must be a UUID, as in 7b0cbb10-6f5c-4c0f-9a3e-52b1a5fd2f0e",
    ))
}

/// A UUID that may be left out.
pub(crate) fn optional_uuid(field: &'static str, text: &str) -> Result<Option<Uuid>> {
    if text.is_empty() {
        Ok(None)
    } else {
        uuid(field, text).map(Some)
    }
}

/// A required agent_id.
pub(crate) fn agent_id(text: &str) -> Result<&str> {
    if is_name(text, AGENT_ID_BYTES) {
        return Ok(text);
    }
    Err(Problem::invalid_field(
        "agent_id",
        "must have 1 to 128 characters out of A-Z a-z 0-9 . _ -",
    ))
}

fn is_name(text: &str, most: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=most).contains(&text.len()) && text.bytes().all(allowed)
}

/// An alias, without its `@`.
pub(crate) fn checked_alias(text: &str, field: &'static str) -> Result<String> {
    if !is_name(text, ALIAS_BYTES) {
        return Err(Problem::invalid_field(
            field,
            "an alias has 1 to 64 characters out of A-Z a-z 0-9 . _ -",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_named_by_nothing_an_id_or_an_alias() {
        assert_eq!(SandboxRef::parse("").unwrap(), SandboxRef::Default);
        let id = Uuid::new_v4();
        assert_eq!(
            SandboxRef::parse(&id.to_string()).unwrap(),
            SandboxRef::Id(id)
        );
        assert_eq!(
            SandboxRef::parse("@docker").unwrap(),
            SandboxRef::Alias("docker".into())
        );
        for wrong in [
            "x",
            "@",
            "@a b",
            &id.simple().to_string(),
            &format!("{{{id}}}"),
        ] {
            assert!(SandboxRef::parse(wrong).is_err(), "{wrong}");
        }
    }
}
