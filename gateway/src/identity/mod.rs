//! Who is calling: told from an API key, the administrator's key, a token or a client certificate.

mod cache;
mod certificate;
mod jwks;
mod jwt;
mod key;
mod key_set;
mod keys;
mod settings;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use sandgate_service::{Drain, PeerInfo};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use key::secret_in;
pub(crate) use keys::{ApiKeys, describe};
pub use settings::IdentityError;
pub(crate) use settings::Settings;

use crate::{
    clock,
    principal::Principal,
    problem::{self, Result},
    store::{Store, StoreError},
};
use cache::{Digest, Entry, Verified};
use jwt::Tokens;
use key::KeyText;

/// How often revocations at other replicas are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How far the clocks of replicas may differ.
const CLOCKS_DIFFER: i64 = 60_000;
/// Bytes of the name of an organisation or a user.
const NAME_BYTES: usize = 256;

/// An authenticated caller. Hold it for as long as its call runs, so that its end is noticed.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    /// Fires when the API key is revoked or expires, or the certificate expires. A token only has
    /// to be good when a call begins.
    pub(crate) ended: CancellationToken,
}

impl Caller {
    fn new(principal: Principal) -> Self {
        Self {
            principal,
            ended: CancellationToken::new(),
        }
    }
}

/// Tells who is calling.
pub(crate) struct Authenticator {
    store: Arc<dyn Store>,
    verified: Arc<Verified>,
    keys: Arc<ApiKeys>,
    /// Digest of the administrator's key.
    admin: Option<(Digest, Arc<Caller>)>,
    tokens: Option<Tokens>,
    certificates: bool,
    /// Who a caller without any credential is, if that is let in.
    dev: Option<Arc<Caller>>,
}

impl Authenticator {
    /// `open`: callers without a credential are let in where nothing is configured.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        admin_key: Option<&SecretString>,
        settings: Settings,
        open: bool,
    ) -> std::result::Result<Self, IdentityError> {
        let open = open && admin_key.is_none() && settings.is_empty();
        let verified = Arc::<Verified>::default();
        let admin = admin_key.map(|key| {
            let digest = Sha256::digest(key.expose_secret()).into();
            (digest, Arc::new(Caller::new(Principal::admin())))
        });
        Ok(Self {
            keys: Arc::new(ApiKeys::new(store.clone(), verified.clone())),
            store,
            verified,
            admin,
            tokens: settings.tokens.map(Tokens::new).transpose()?,
            certificates: settings.certificates,
            dev: open.then(|| Arc::new(Caller::new(Principal::dev()))),
        })
    }

    /// The API keys.
    pub(crate) fn keys(&self) -> Arc<ApiKeys> {
        self.keys.clone()
    }

    /// Starts what keeps this up to date, until the drain begins.
    pub(crate) fn watch(self: &Arc<Self>, tasks: &TaskTracker, drain: &Drain) {
        if let Some(tokens) = &self.tokens {
            tokens.watch(tasks, self.verified.clone(), drain.clone());
        }
        let (this, drain) = (self.clone(), drain.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = this.keep_up() => {}
                () = this.note_uses() => {}
                () = drain.started() => {}
            }
        });
    }

    /// Who is calling. A credential that is sent has to be good, whatever else would let the call in.
    pub(crate) async fn caller(&self, headers: &HeaderMap, peer: &PeerInfo) -> Result<Arc<Caller>> {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        match (sent.next(), sent.next()) {
            (None, _) => self.without_authorization(peer),
            (Some(value), None) => {
                let credential = bearer(value).ok_or_else(problem::authentication_required)?;
                self.holder(credential).await
            }
            _ => Err(problem::authentication_required()),
        }
    }

    fn without_authorization(&self, peer: &PeerInfo) -> Result<Arc<Caller>> {
        if let Some(dev) = &self.dev {
            return Ok(dev.clone());
        }
        let Some(certificate) = peer.certificates.first().filter(|_| self.certificates) else {
            return Err(problem::authentication_required());
        };
        let (digest, now) = (Sha256::digest(certificate).into(), clock::now());
        loop {
            let ends = self.verified.ends();
            if let Some(caller) = self.verified.find(&digest, now) {
                return Ok(caller);
            }
            let entry = certificate::verify(certificate, now)?;
            if let Some(caller) = self.verified.keep(ends, digest, entry, now) {
                return Ok(caller);
            }
        }
    }

    async fn holder(&self, credential: &str) -> Result<Arc<Caller>> {
        let digest: Digest = Sha256::digest(credential).into();
        if let Some((admin, caller)) = &self.admin
            && bool::from(admin.ct_eq(&digest))
        {
            return Ok(caller.clone());
        }
        loop {
            let (ends, now) = (self.verified.ends(), clock::now());
            if let Some(caller) = self.verified.find(&digest, now) {
                return Ok(caller);
            }
            // Boxed, so that a call with a known credential need not hold it.
            let entry = Box::pin(self.verify(credential, now)).await?;
            if let Some(caller) = self.verified.keep(ends, digest, entry, now) {
                return Ok(caller);
            }
        }
    }

    async fn verify(&self, credential: &str, now: i64) -> Result<Entry> {
        if let Some(key) = KeyText::parse(credential) {
            return self.keys.verify(&key).await;
        }
        match &self.tokens {
            Some(tokens) => tokens.verify(credential, now).await,
            None => Err(problem::authentication_required()),
        }
    }

    async fn keep_up(&self) {
        let (mut looked, mut failing) = (clock::now(), false);
        loop {
            sleep(LOOK_EVERY).await;
            let now = clock::now();
            self.verified.expire(now);
            match self.learn(looked).await {
                Ok(()) => (looked, failing) = (now, false),
                Err(_) if failing => {}
                Err(error) => {
                    tracing::error!(%error, "keys that other replicas revoke are not noticed");
                    failing = true;
                }
            }
        }
    }

    /// Learns what other replicas have revoked since then.
    async fn learn(&self, since: i64) -> std::result::Result<(), StoreError> {
        let revoked = self.store.revoked_since(since - CLOCKS_DIFFER).await?;
        if !revoked.is_empty() {
            self.verified.end_keys(&revoked);
        }
        Ok(())
    }

    /// Stores which keys are used. By itself, since a store that takes no changes is waited for long,
    /// and revocations are read from it all the same.
    async fn note_uses(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            let now = clock::now();
            let uses = self.verified.unwritten(now);
            if uses.is_empty() {
                continue;
            }
            match self.store.touch_keys(&uses).await {
                Ok(()) => self.verified.were_written(&uses, now),
                Err(error) => tracing::warn!(%error, "the last use of keys is not stored"),
            }
        }
    }
}

/// What stands behind `Bearer`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}

/// Whether a text can be the name of an organisation or a user.
fn name_fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES && !text.chars().any(char::is_control)
}
