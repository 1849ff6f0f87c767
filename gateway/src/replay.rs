//! Repeated requests: a call that gives a request_id and goes well is answered the same when it is
//! repeated, for a day.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    clock,
    principal::Owner,
    problem::{self, Result},
    store::{AnswerRecord, Store},
    vault::{Label, Vault},
};

/// What the key of the digests is sealed under.
const KEY_LABEL: Label<'_> = Label {
    org_id: "",
    owner: "",
    kind: "installation",
    name: "digest_key",
};

/// The answered requests.
pub(crate) struct Replays {
    store: Arc<dyn Store>,
    vault: Vault,
    /// Requests may hold secrets, so that a plain digest could be guessed at.
    digest: Hmac<Sha256>,
}

/// One request that may be repeated.
pub(crate) struct Repeatable<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) request_id: Uuid,
    /// Path of the rpc.
    pub(crate) method: &'static str,
    /// The request, encoded.
    pub(crate) message: &'a [u8],
}

impl Replays {
    /// With the key that all gateways on the store share.
    pub(crate) async fn open(store: Arc<dyn Store>, vault: Vault) -> Result<Self> {
        let mut new = [0; 32];
        getrandom::fill(&mut new).map_err(|error| problem::internal("random", &error))?;
        let sealed = vault.seal(&KEY_LABEL, &new).await?;
        let kept = store.digest_key(&sealed.bytes, &sealed.key_id).await?;
        let key = vault.open(&KEY_LABEL, &kept).await?;
        let digest = Hmac::new_from_slice(key.expose_secret())
            .map_err(|error| problem::internal("digest key", &error))?;
        Ok(Self {
            store,
            vault,
            digest,
        })
    }

    /// The answer that the request had before, if any.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED` where the request_id had another request.
    pub(crate) async fn find(&self, asked: &Repeatable<'_>) -> Result<Option<Vec<u8>>> {
        let found = self.store.answer(asked.owner, asked.request_id).await?;
        match found {
            None => Ok(None),
            Some(before)
                if before.method == asked.method
                    && before.fingerprint == self.fingerprint(asked) =>
            {
                Ok(Some(before.answer))
            }
            Some(_) => Err(problem::request_id_reused()),
        }
    }

    /// Keeps the answer of a request that went well.
    pub(crate) async fn keep(&self, asked: &Repeatable<'_>, answer: &[u8]) {
        let record = AnswerRecord {
            method: asked.method.to_owned(),
            fingerprint: self.fingerprint(asked),
            answer: answer.to_vec(),
            create_time: clock::now(),
        };
        let kept = self
            .store
            .keep_answer(asked.owner, asked.request_id, &record);
        if let Err(error) = kept.await {
            // The work is done: an answer that cannot be repeated is better than none.
            tracing::error!(%error, "the answer of a repeatable request was not kept");
        }
    }

    /// Seals the key under the vault's first key; whether that was needed.
    pub(crate) async fn reseal(&self) -> Result<bool> {
        let kept = self.store.digest_key(&[], "").await?;
        let Some(sealed) = self.vault.rewrap(&KEY_LABEL, &kept).await? else {
            return Ok(false);
        };
        let resealed = self
            .store
            .reseal_digest_key(&kept, &sealed.bytes, &sealed.key_id);
        Ok(resealed.await?)
    }

    /// As [`Self::fingerprint`], for what is known by nothing else: requests of two methods may look
    /// alike.
    pub(crate) fn fingerprint_with_method(&self, asked: &Repeatable<'_>) -> Vec<u8> {
        let mut digest = self.digest.clone();
        digest.update(asked.method.as_bytes());
        digest.update(&[0]);
        digest.update(asked.message);
        digest.finalize().into_bytes().to_vec()
    }

    /// The digest that tells one request from another of the same method.
    fn fingerprint(&self, asked: &Repeatable<'_>) -> Vec<u8> {
        let mut digest = self.digest.clone();
        digest.update(asked.message);
        digest.finalize().into_bytes().to_vec()
    }
}
