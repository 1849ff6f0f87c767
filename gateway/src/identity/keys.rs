//! API keys: issued, listed, revoked, and recognised.

use std::sync::{Arc, atomic::AtomicI64};

use prost::Message as _;
use sandgate_proto::{
    Problem,
    v1::{ApiKey, IssueApiKeyRequest},
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    Caller,
    cache::{Entry, Kind, Verified},
    key::{KeyText, NewKey, is_id},
    name_fits,
};
use crate::{
    clock, ids,
    principal::{Identity, Owner, Principal, Scopes},
    problem::{self, Result},
    session,
    store::{InsertOutcome, KeyFilter, KeyRecord, Store},
};

/// Stands in for the digest of a key that there is not.
const NO_DIGEST: [u8; 32] = [0; 32];

/// The API keys of this installation.
pub(crate) struct ApiKeys {
    store: Arc<dyn Store>,
    verified: Arc<Verified>,
}

/// A key that was issued.
pub(crate) struct Issued {
    pub(crate) key: KeyRecord,
    /// What its holder sends; none where an earlier call with the same request made it.
    pub(crate) secret: Option<SecretString>,
}

impl ApiKeys {
    pub(super) fn new(store: Arc<dyn Store>, verified: Arc<Verified>) -> Self {
        Self { store, verified }
    }

    /// Makes a key, for anybody.
    pub(crate) async fn issue(
        &self,
        principal: &Principal,
        request: IssueApiKeyRequest,
    ) -> Result<Issued> {
        let new = NewKey::make()?;
        let key = new_record(principal, request, &new)?;
        match self.store.insert_key(&key).await? {
            InsertOutcome::Inserted => Ok(Issued {
                key,
                secret: Some(new.text),
            }),
            InsertOutcome::SameRequest(there) if there.fingerprint == key.fingerprint => {
                Ok(Issued {
                    key: there,
                    secret: None,
                })
            }
            _ => Err(problem::request_id_reused()),
        }
    }

    /// Ends a key, here at once.
    pub(crate) async fn revoke(&self, api_key_id: &str) -> Result<KeyRecord> {
        if !is_id(api_key_id) {
            // Not repeated: it may be a whole key.
            return Err(Problem::invalid_field(
                "api_key_id",
                "must be the 16 hexadecimal digits behind sgk_; list them with AdminService.ListApiKeys",
            ));
        }
        let revoked = self.store.revoke_key(api_key_id, clock::now()).await?;
        let revoked = revoked.ok_or_else(|| problem::api_key_not_found(api_key_id))?;
        self.verified
            .end_keys(std::slice::from_ref(&revoked.api_key_id));
        Ok(revoked)
    }

    /// Keys of everybody, newest first.
    pub(crate) async fn list(&self, filter: KeyFilter) -> Result<Vec<KeyRecord>> {
        self.store.list_keys(&filter).await.map_err(Into::into)
    }

    /// Whose key this is. Every key that is not good has the same answer, after the same work.
    pub(super) async fn verify(&self, sent: &KeyText<'_>) -> Result<Entry> {
        let found = self.store.key(sent.api_key_id).await?;
        let stored = found
            .as_ref()
            .map_or(&NO_DIGEST[..], |key| key.secret_digest.as_slice());
        let right = bool::from(stored.ct_eq(&sent.digest));
        let now = clock::now();
        found
            .filter(|key| right && key.revoke_time.is_none())
            .filter(|key| key.expire_time.is_none_or(|end| now < end))
            .map(|key| entry(key, now))
            .ok_or_else(problem::authentication_required)
    }
}

fn entry(key: KeyRecord, now: i64) -> Entry {
    let principal = Principal {
        scopes: Scopes::of(key.scopes.iter().map(String::as_str)),
        identity: Identity::Key(key.api_key_id.clone()),
        owner: Owner {
            org_id: key.org_id,
            user_id: key.user_id,
        },
    };
    Entry {
        caller: Arc::new(Caller::new(principal)),
        until: key.expire_time.unwrap_or(i64::MAX),
        kind: Kind::Key {
            api_key_id: key.api_key_id,
            used: AtomicI64::new(now),
            written: AtomicI64::new(key.last_use_time.unwrap_or_default()),
        },
    }
}

fn new_record(
    principal: &Principal,
    mut request: IssueApiKeyRequest,
    new: &NewKey,
) -> Result<KeyRecord> {
    let request_id = ids::optional_uuid("request_id", &request.request_id)?;
    request.request_id.clear();
    let fingerprint = Sha256::digest(request.encode_to_vec()).to_vec();
    session::check_title("title", &request.title)?;
    if !request.scopes.iter().all(|scope| Scopes::exists(scope)) {
        return Err(Problem::invalid_field(
            "scopes",
            "names a scope that there is not; the scope of each call is in its policy in the proto files, and act_as is one too",
        ));
    }
    request.scopes.sort_unstable();
    request.scopes.dedup();
    let now = clock::now();
    Ok(KeyRecord {
        api_key_id: new.api_key_id.clone(),
        title: request.title,
        org_id: named("org_id", request.org_id, &principal.owner.org_id)?,
        user_id: named("user_id", request.user_id, &principal.owner.user_id)?,
        scopes: request.scopes,
        secret_digest: new.digest.to_vec(),
        issuer: issuer(&principal.owner),
        request_id,
        fingerprint,
        create_time: now,
        expire_time: request
            .expire_time
            .map(|time| in_future(time, now))
            .transpose()?,
        revoke_time: None,
        last_use_time: None,
    })
}

/// Organisation and user in one text, so that no two owners have the same.
fn issuer(owner: &Owner) -> String {
    serde_json::Value::from(vec![&owner.org_id[..], &owner.user_id[..]]).to_string()
}

fn named(field: &'static str, asked: String, own: &str) -> Result<String> {
    match asked.as_str() {
        "" => Ok(own.to_owned()),
        name if name_fits(name) => Ok(asked),
        _ => Err(Problem::invalid_field(
            field,
            "must have at most 256 bytes and no control characters",
        )),
    }
}

fn in_future(time: prost_types::Timestamp, now: i64) -> Result<i64> {
    clock::millis(time)
        .filter(|time| now < *time)
        .ok_or_else(|| Problem::invalid_field("expire_time", "must be in the future"))
}

/// A key as operators see it.
pub(crate) fn describe(key: &KeyRecord) -> ApiKey {
    ApiKey {
        api_key_id: key.api_key_id.clone(),
        title: key.title.clone(),
        org_id: key.org_id.clone(),
        user_id: key.user_id.clone(),
        scopes: key.scopes.clone(),
        create_time: Some(clock::timestamp(key.create_time)),
        expire_time: key.expire_time.map(clock::timestamp),
        revoke_time: key.revoke_time.map(clock::timestamp),
        last_use_time: key.last_use_time.map(clock::timestamp),
    }
}
