//! Which key or secret a call needs, opened afresh for each.

use async_trait::async_trait;
use sandgate_proto::{
    Problem, Reason,
    provider::v1::{Credential, GitCredential},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use uuid::Uuid;

use super::{
    Safe,
    sources::{self, GIT, GITHUB, Source},
};
use crate::{
    problem::{self, Result},
    session::Owned,
    store::{SessionRecord, ValueKind, ValueRecord},
};

/// The user name that goes with a token for git over https.
const GIT_USER: &str = "oauth2";

/// What calls about sandboxes need of what is kept. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(super) safe: Safe,
    /// The only hosts that see a token for git.
    github_hosts: Vec<String>,
}

#[async_trait]
impl Owned for Credentials {
    /// Drops the session's secrets, but for keys of sandboxes that are still to be cleaned up; and
    /// all keys that were kept for sandboxes that are gone by now.
    async fn forget_session(&self, session: &SessionRecord) -> Result<()> {
        let session_id = session.session_id;
        self.safe.store.delete_values_of_session(session_id).await?;
        self.release_all().await.map(drop)
    }
}

/// A key, and which version of it.
#[derive(Clone)]
pub(crate) struct Resolved {
    pub(crate) value_id: Uuid,
    pub(crate) credential: Credential,
}

impl Credentials {
    pub(crate) fn new(safe: Safe, github_hosts: Vec<String>) -> Self {
        Self { safe, github_hosts }
    }

    /// The key of a session's user for a provider; none where the provider goes on without.
    pub(crate) async fn for_provider(
        &self,
        session: &SessionRecord,
        provider: &str,
    ) -> Result<Option<Resolved>> {
        let wanted = sources::wanted(provider);
        match self.first(session, &wanted.sources).await? {
            Some(record) => self.resolved(&record, provider).await.map(Some),
            None if wanted.required => Err(required(provider, &wanted.sources)),
            None => Ok(None),
        }
    }

    /// A version of a key, also one that is not in use any more; none where it is not kept.
    pub(crate) async fn version(&self, value_id: Uuid) -> Result<Option<Resolved>> {
        let Some(record) = self.safe.store.value_version(value_id).await? else {
            return Ok(None);
        };
        let provider = match record.kind {
            ValueKind::Connection => Some(record.name.as_str()),
            ValueKind::Secret => sources::provider_of_secret(&record.name),
        };
        match provider {
            Some(provider) => self.resolved(&record, provider).await.map(Some),
            None => Ok(None),
        }
    }

    /// The token for git; none: public repositories only.
    pub(crate) async fn git(&self, session: &SessionRecord) -> Result<Option<GitCredential>> {
        let Some(record) = self.first(session, GIT).await? else {
            return Ok(None);
        };
        let token = self.safe.open(&record).await?;
        Ok(Some(GitCredential {
            provider: GITHUB.to_owned(),
            username: GIT_USER.to_owned(),
            token: token.expose_secret().to_vec().into(),
            hosts: self.github_hosts.clone(),
            expire_time: None,
        }))
    }

    /// The values of a session's secrets, in the order of the names.
    pub(crate) async fn secrets(
        &self,
        session: &SessionRecord,
        names: &[&str],
    ) -> Result<Vec<SecretSlice<u8>>> {
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            let record = self.secret(session, name).await?;
            values.push(self.safe.open(&record).await?);
        }
        Ok(values)
    }

    /// Whether a session has all of these secrets; opens none.
    pub(crate) async fn has_secrets(&self, session: &SessionRecord, names: &[&str]) -> Result<()> {
        for name in names {
            self.secret(session, name).await?;
        }
        Ok(())
    }

    /// A sandbox that was made with this version is gone: drops the version if that was its last
    /// use.
    pub(crate) async fn release(&self, value_id: Uuid) -> Result<()> {
        self.safe.store.drop_unused_values(Some(value_id)).await?;
        Ok(())
    }

    /// Drops every version that nothing needs any more, as after a crash between the end of a
    /// sandbox and its release; how many.
    pub(crate) async fn release_all(&self) -> Result<u64> {
        Ok(self.safe.store.drop_unused_values(None).await?)
    }

    async fn secret(&self, session: &SessionRecord, name: &str) -> Result<ValueRecord> {
        let found = self.find(session, Source::Secret(name)).await?;
        found.ok_or_else(|| problem::secret_not_found(name))
    }

    async fn first(
        &self,
        session: &SessionRecord,
        sources: &[Source<'_>],
    ) -> Result<Option<ValueRecord>> {
        for source in sources {
            if let Some(found) = self.find(session, *source).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn find(
        &self,
        session: &SessionRecord,
        source: Source<'_>,
    ) -> Result<Option<ValueRecord>> {
        let (store, org_id) = (&self.safe.store, session.org_id.as_str());
        let found = match source {
            Source::Secret(name) => {
                let owner = session.session_id.to_string();
                store.value(ValueKind::Secret, org_id, &owner, name).await
            }
            Source::Connection(name) => {
                let (kind, owner) = (ValueKind::Connection, session.user_id.as_str());
                store.value(kind, org_id, owner, name).await
            }
        };
        Ok(found?)
    }

    pub(super) async fn resolved(&self, record: &ValueRecord, provider: &str) -> Result<Resolved> {
        let key = self.safe.open(record).await?;
        Ok(Resolved {
            value_id: record.value_id,
            credential: Credential {
                kind: provider.to_owned(),
                value: key.expose_secret().to_vec().into(),
            },
        })
    }
}

fn required(provider: &str, sources: &[Source<'_>]) -> Problem {
    let advice = |source: &Source<'_>| match source {
        Source::Secret(name) => {
            format!("as the session secret {name} with SecretService.SetSecret")
        }
        Source::Connection(name) => {
            format!("as the user's connection {name} with ConnectionService.SetConnection")
        }
    };
    let places: Vec<String> = sources.iter().map(advice).collect();
    Problem::new(
        Reason::ConnectionRequired,
        format!(
            "the provider {provider} needs a key and there is none; store it {}, then repeat the call",
            places.join(" or "),
        ),
    )
    .with("provider", provider)
}
