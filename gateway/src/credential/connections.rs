//! Connections of a user, without their keys: set after the upstream took the key, looked at,
//! listed, deleted.

use std::{sync::Arc, time::Duration};

use sandgate_proto::{
    Problem, Reason,
    provider::v1::{Credential, ProviderContext},
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use uuid::Uuid;

use super::{
    GitHub, Safe,
    safe::New,
    sources::{self, GITHUB, takes_key},
};
use crate::{
    clock,
    fleet::{Context, Fleet},
    principal::{Owner, Principal},
    problem::Result,
    store::{ValueKind, ValueRecord},
};

/// Bytes of a key.
const KEY_BYTES: usize = 4 << 10;
/// Characters of a key's end that are shown, and how long a key must be for that.
const HINT: usize = 4;
const HINTED: usize = 12;
/// How long a provider may take to try a key.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key that is to become a connection.
pub(crate) struct Candidate {
    pub(crate) provider: String,
    pub(crate) api_key: SecretString,
    /// Do not try it.
    pub(crate) skip_validation: bool,
}

/// A connection without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) provider: String,
    pub(crate) owner: Owner,
    pub(crate) hint: String,
    /// None: there is no key.
    pub(crate) update_time: Option<i64>,
    pub(crate) validate_time: Option<i64>,
}

/// The connections of users.
pub(crate) struct Connections {
    safe: Safe,
    fleet: Arc<Fleet>,
    github: GitHub,
    gateway_id: Uuid,
}

impl Connections {
    pub(crate) fn new(safe: Safe, fleet: Arc<Fleet>, github: GitHub, gateway_id: Uuid) -> Self {
        Self {
            safe,
            fleet,
            github,
            gateway_id,
        }
    }

    /// Tries a key and puts it in use. After an error the old one is still in use.
    pub(crate) async fn set(
        &self,
        principal: &Principal,
        org_id: &str,
        user_id: &str,
        candidate: Candidate,
    ) -> Result<Connection> {
        let owner = principal.acting_for(org_id, user_id)?;
        self.check(&candidate)?;
        let mut validate_time = None;
        if !candidate.skip_validation {
            self.validate(&owner, &candidate).await?;
            validate_time = Some(clock::now());
        }
        let Candidate {
            provider, api_key, ..
        } = candidate;
        let value = SecretSlice::from(api_key.expose_secret().as_bytes().to_vec());
        let new = New {
            kind: ValueKind::Connection,
            org_id: &owner.org_id,
            owner: &owner.user_id,
            name: &provider,
            value: &value,
            hint: hint(&api_key),
            validate_time,
        };
        let kept = self.safe.put(new).await?;
        Ok(describe(owner, provider, kept))
    }

    /// A connection, also where there is no key.
    pub(crate) async fn get(
        &self,
        principal: &Principal,
        org_id: &str,
        user_id: &str,
        provider: &str,
    ) -> Result<Connection> {
        let owner = principal.acting_for(org_id, user_id)?;
        check_named(provider)?;
        let (store, kind) = (&self.safe.store, ValueKind::Connection);
        let found = store.value(kind, &owner.org_id, &owner.user_id, provider);
        let found = found.await?;
        Ok(describe(owner, provider.to_owned(), found))
    }

    /// Connections that have a key, for providers after this one, in bytewise order.
    pub(crate) async fn list(
        &self,
        owner: &Owner,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Connection>> {
        let (store, kind) = (&self.safe.store, ValueKind::Connection);
        let rows = store.list_values(kind, &owner.org_id, &owner.user_id, after, limit);
        let rows = rows.await?.into_iter();
        Ok(rows
            .map(|row| describe(owner.clone(), row.name.clone(), Some(row)))
            .collect())
    }

    /// Deletes a key.
    pub(crate) async fn delete(
        &self,
        principal: &Principal,
        org_id: &str,
        user_id: &str,
        provider: &str,
    ) -> Result<()> {
        let owner = principal.acting_for(org_id, user_id)?;
        check_named(provider)?;
        let (store, kind) = (&self.safe.store, ValueKind::Connection);
        let there = store.delete_value(kind, &owner.org_id, &owner.user_id, provider);
        if there.await? {
            return Ok(());
        }
        Err(Problem::new(
            Reason::ConnectionNotFound,
            "the user has stored no key for this provider; list what there is with ConnectionService.ListConnections",
        )
        .with("provider", provider))
    }

    fn check(&self, candidate: &Candidate) -> Result<()> {
        let provider = candidate.provider.as_str();
        check_named(provider)?;
        if !takes_key(provider) {
            return Err(Problem::invalid_field(
                "provider",
                "takes no key: use it without a connection",
            ));
        }
        if let Some(secret) = sources::only_secret(provider) {
            return Err(Problem::invalid_field(
                "provider",
                format!(
                    "takes its key from the session secret {secret} only; store it there with SecretService.SetSecret"
                ),
            ));
        }
        if provider != GITHUB {
            self.fleet.provider(provider)?;
        }
        let size = candidate.api_key.expose_secret().len();
        if size == 0 || size > KEY_BYTES {
            return Err(Problem::invalid_field(
                "api_key",
                "must have 1 byte to 4 KiB; remove a key with DeleteConnection",
            ));
        }
        Ok(())
    }

    async fn validate(&self, owner: &Owner, candidate: &Candidate) -> Result<()> {
        let Candidate {
            provider, api_key, ..
        } = candidate;
        if provider == GITHUB {
            return self.github.try_token(api_key).await;
        }
        let lane = self.fleet.provider(provider)?.lane("", None)?;
        let context = Context::new(&ProviderContext {
            gateway_id: self.gateway_id.to_string(),
            org_id: owner.org_id.clone(),
            user_id: owner.user_id.clone(),
            credential: Some(Credential {
                kind: provider.clone(),
                value: api_key.expose_secret().as_bytes().to_vec().into(),
            }),
            ..Default::default()
        })?;
        let listed = lane.list(&context, 1, "", PATIENCE).await;
        listed
            .map(drop)
            .map_err(|problem| without(problem, provider, api_key))
    }
}

fn check_named(provider: &str) -> Result<()> {
    if provider.is_empty() {
        return Err(Problem::invalid_field("provider", "is required"));
    }
    Ok(())
}

/// The problem as the provider said it, unless it repeats the key.
fn without(problem: Problem, provider: &str, key: &SecretString) -> Problem {
    if !repeats(&problem, key.expose_secret()) {
        return problem;
    }
    Problem::new(
        problem.reason(),
        "the provider did not take the key, and the old one is still in use; check the key",
    )
    .with("provider", provider)
}

fn repeats(problem: &Problem, key: &str) -> bool {
    let facts = problem.facts().iter().map(|(_, text)| text.as_str());
    let fields = problem.fields().iter().map(|(_, text)| text.as_str());
    let quota = problem.quota().map(|(_, text)| text);
    let mut texts = facts.chain(fields).chain(quota).chain([problem.message()]);
    texts.any(|text| text.contains(key))
}

/// The last characters of a key that is long enough to stay secret.
fn hint(key: &SecretString) -> String {
    let key = key.expose_secret();
    let length = key.chars().count();
    if length < HINTED {
        return String::new();
    }
    key.chars().skip(length - HINT).collect()
}

fn describe(owner: Owner, provider: String, kept: Option<ValueRecord>) -> Connection {
    let (update_time, validate_time) = kept.as_ref().map_or((None, None), |row| {
        (Some(row.update_time), row.validate_time)
    });
    Connection {
        provider,
        owner,
        hint: kept.map(|row| row.hint).unwrap_or_default(),
        update_time,
        validate_time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_the_end_of_a_long_key() {
        let hint = |key: &str| hint(&SecretString::from(key));
        assert_eq!(hint("0123456789ab"), "89ab");
        assert_eq!(hint("0123456789a"), "");
        assert_eq!(hint("ééééééééééééé1"), "ééé1");
    }

    #[test]
    fn a_problem_that_repeats_the_key_is_said_in_other_words() {
        let key = SecretString::from("sk-very-secret");
        let said = |text: &str| {
            let problem = Problem::new(Reason::CredentialRejected, text);
            without(problem, "e2b", &key)
        };
        assert_eq!(said("the key has expired").message(), "the key has expired");
        let problem = said("no account for sk-very-secret");
        assert!(!problem.message().contains("sk-very-secret"));
        assert_eq!(problem.reason(), Reason::CredentialRejected);
        let fact = Problem::new(Reason::CredentialRejected, "no").with("key", "sk-very-secret");
        assert!(!format!("{:?}", without(fact, "e2b", &key)).contains("sk-very-secret"));
    }
}
