//! Secrets of a session, without their values: set, listed, deleted.

use std::sync::Arc;

use sandgate_proto::Problem;
use secrecy::{ExposeSecret as _, SecretSlice};
use uuid::Uuid;

use super::{Safe, safe::New};
use crate::{
    principal::Principal,
    problem::{self, Result},
    session::Sessions,
    store::{SessionRecord, ValueKind, ValueRecord},
};

/// Bytes of a name and of a value, at most.
const NAME_BYTES: usize = 128;
const VALUE_BYTES: usize = 64 << 10;
/// Names that begin so are Sandgate's own.
const OWN_PREFIX: &str = "SANDGATE_";
/// Agent platforms keep the state of sandboxes under these names among a session's secrets: before
/// a colon, and as a whole. Who could set one could forge that state.
const STATE_PREFIXES: &[&str] = &[
    "browserless_internal:",
    "container_sandbox:",
    "csb_sandbox:",
    "daytona_sandbox:",
    "deno_sandbox:",
    "e2b_sandbox:",
    "mcp_oauth:",
    "modal_sandbox:",
    "sprites_sprite:",
];
const STATE_NAMES: &[&str] = &["session_sandbox"];

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) update_time: i64,
}

/// The secrets of sessions.
pub(crate) struct Secrets {
    safe: Safe,
    sessions: Arc<Sessions>,
    /// Bytes that an organisation may keep; none: any number.
    limit: Option<u64>,
}

impl Secrets {
    pub(crate) fn new(safe: Safe, sessions: Arc<Sessions>, limit: Option<u64>) -> Self {
        Self {
            safe,
            sessions,
            limit,
        }
    }

    /// Sets a secret, new or not.
    pub(crate) async fn set(
        &self,
        principal: &Principal,
        session_id: Uuid,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<Secret> {
        let session = self.sessions.get(principal, session_id).await?;
        check_name(name)?;
        let size = value.expose_secret().len();
        if size == 0 || size > VALUE_BYTES {
            return Err(Problem::invalid_field(
                "value",
                "must have 1 byte to 64 KiB; delete the secret with DeleteSecret, or keep larger things as session files",
            ));
        }
        let owner = session_id.to_string();
        self.check_quota(&session, &owner, name, size as u64)
            .await?;
        let new = New {
            kind: ValueKind::Secret,
            org_id: &session.org_id,
            owner: &owner,
            name,
            value: &value,
            hint: String::new(),
            validate_time: None,
        };
        let kept = self.safe.put(new).await?;
        kept.map(Secret::from)
            .ok_or_else(|| problem::session_not_found(session_id))
    }

    /// Secrets with names after this one, in bytewise order.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        session_id: Uuid,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Secret>> {
        let session = self.sessions.get(principal, session_id).await?;
        let owner = session_id.to_string();
        let (store, kind) = (&self.safe.store, ValueKind::Secret);
        let rows = store.list_values(kind, &session.org_id, &owner, after, limit);
        Ok(rows.await?.into_iter().map(Secret::from).collect())
    }

    /// Deletes a secret.
    pub(crate) async fn delete(
        &self,
        principal: &Principal,
        session_id: Uuid,
        name: &str,
    ) -> Result<()> {
        let session = self.sessions.get(principal, session_id).await?;
        if name.is_empty() {
            return Err(Problem::invalid_field("name", "is required"));
        }
        let owner = session_id.to_string();
        let (store, kind) = (&self.safe.store, ValueKind::Secret);
        let there = store.delete_value(kind, &session.org_id, &owner, name);
        match there.await? {
            true => Ok(()),
            false => Err(problem::secret_not_found(name)),
        }
    }

    /// Whether the organisation may keep this much more. Calls at the same time may together go a
    /// little over it.
    async fn check_quota(
        &self,
        session: &SessionRecord,
        owner: &str,
        name: &str,
        size: u64,
    ) -> Result<()> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let (store, org_id) = (&self.safe.store, &session.org_id);
        let kept = store.bytes_of_org(org_id).await? + store.file_bytes_of_org(org_id).await?;
        let replaced = store.value(ValueKind::Secret, org_id, owner, name).await?;
        let replaced = replaced.map_or(0, |old| old.size);
        let others = u64::try_from(kept - replaced).unwrap_or_default();
        if others.saturating_add(size) <= limit {
            return Ok(());
        }
        Err(problem::too_many_session_bytes(org_id))
    }
}

impl From<ValueRecord> for Secret {
    fn from(record: ValueRecord) -> Self {
        Self {
            name: record.name,
            update_time: record.update_time,
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let own = name
        .get(..OWN_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX));
    let state = STATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || STATE_NAMES
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
    if own || state {
        return Err(Problem::invalid_field(
            "name",
            "is reserved: it may not begin with SANDGATE_, nor be one that sandboxes keep their state under; choose another",
        ));
    }
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let well = name.bytes().next().is_some_and(first) && name.bytes().all(rest);
    if !well || name.len() > NAME_BYTES {
        return Err(Problem::invalid_field(
            "name",
            "must have 1 to 128 characters out of A-Z a-z 0-9 _ . - and begin with a letter or _",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_variables_and_a_little_more() {
        for well in ["A", "_", "GITHUB_TOKEN", "a.b-c_9", &"x".repeat(128)] {
            assert!(check_name(well).is_ok(), "{well}");
        }
        for wrong in [
            "",
            "9a",
            ".a",
            "-a",
            "a b",
            "a=b",
            "é",
            "a\0",
            &"x".repeat(129),
        ] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reserved_names_are_refused_as_such() {
        let states = STATE_PREFIXES.iter().map(|prefix| format!("{prefix}id"));
        let others = ["SANDGATE_X", "sandgate_x", "SandGate_", "session_sandbox"];
        for name in states.chain(others.map(str::to_owned)) {
            let problem = check_name(&name).unwrap_err();
            assert!(problem.message().contains("reserved"), "{name}");
        }
        assert!(check_name("SANDGATE").is_ok() && check_name("session_sandbox_2").is_ok());
    }
}
