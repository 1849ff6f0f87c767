//! Fetches the keys of a token issuer and keeps them fresh. One task does it, so that there is one
//! fetch at a time, whoever wants one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use reqwest::{Client, StatusCode, Url};
use sandgate_service::Drain;
use serde::Deserialize;
use thiserror::Error;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    cache::Verified,
    key_set::KeySet,
    settings::{KeySource, trusted},
};

/// How long a fetch may take, both of its documents together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a document.
const DOCUMENT_BYTES: usize = 256 * 1024;
/// How long keys are used without asking again.
const FRESH: Duration = Duration::from_secs(600);
/// How soon a failed fetch is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How soon keys are asked for again because a token names an unknown one, or because there are none.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(10);
const NO_KEYS_PAUSE: Duration = Duration::from_secs(1);

/// Why keys could not be fetched.
#[derive(Debug, Error)]
enum FetchError {
    #[error("{0}")]
    Web(#[from] reqwest::Error),
    #[error("it took more than 5 s")]
    Slow,
    #[error("{0} answered {1}")]
    Status(Url, StatusCode),
    #[error("{0} answered more than 256 KiB")]
    Large(Url),
    #[error("{0} answered no such document")]
    Document(Url),
    #[error("its discovery document is that of another issuer")]
    Issuer,
    #[error("its discovery document names no https address for the keys")]
    Address,
}

/// What is known of the keys.
#[derive(Clone)]
pub(super) struct Known {
    /// None until they could be fetched once.
    pub(super) keys: Option<Arc<KeySet>>,
    /// Fetches so far, whatever became of them.
    fetches: u64,
    /// Nobody's wish is heard before.
    next: Instant,
}

/// The keys of one issuer.
pub(super) struct Jwks {
    known: watch::Sender<Known>,
    /// How many fetches there have to be before every wish is granted.
    wished: AtomicU64,
    wish: Notify,
    client: Client,
    issuer: String,
    source: KeySource,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Jwks {
    pub(super) fn new(client: Client, issuer: String, source: KeySource) -> Self {
        let none = Known {
            keys: None,
            fetches: 0,
            next: Instant::now(),
        };
        Self {
            known: watch::Sender::new(none),
            wished: AtomicU64::new(0),
            wish: Notify::new(),
            client,
            issuer,
            source,
        }
    }

    /// The keys as they are known now.
    pub(super) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Has the keys fetched again, unless that was just done; what is known then.
    pub(super) async fn newer_than(&self, seen: &Known) -> Known {
        if seen.fetches > 0 && Instant::now() < seen.next {
            return self.known();
        }
        self.wished.fetch_max(seen.fetches + 1, Ordering::Relaxed);
        self.wish.notify_one();
        let mut known = self.known.subscribe();
        let fetched = known.wait_for(|known| known.fetches > seen.fetches);
        let _ = timeout(PATIENCE, fetched).await;
        self.known()
    }

    /// Keeps the keys fresh until the drain begins. Tokens that were verified with others are
    /// forgotten.
    pub(super) fn watch(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        verified: Arc<Verified>,
        drain: Drain,
    ) {
        let jwks = self.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = jwks.keep_fresh(&verified) => {}
                () = drain.started() => {}
            }
        });
    }

    async fn keep_fresh(&self, verified: &Verified) {
        let mut wanted = false;
        loop {
            let fetched = timeout(PATIENCE, self.fetch())
                .await
                .unwrap_or(Err(FetchError::Slow));
            let again = match &fetched {
                Ok(_) => FRESH,
                Err(_) => AGAIN,
            };
            match fetched {
                Ok(keys) => self.found(keys, wanted, verified),
                Err(error) => {
                    tracing::warn!(issuer = self.issuer, %error, "the keys of the token issuer could not be fetched");
                    self.publish(None, wanted);
                }
            }
            wanted = self.wish_before(Instant::now() + again).await;
        }
    }

    fn found(&self, keys: KeySet, wanted: bool, verified: &Verified) {
        let before = self.known().keys;
        if before.is_some_and(|before| before.is(&keys)) {
            return self.publish(None, wanted);
        }
        self.publish(Some(Arc::new(keys)), wanted);
        verified.forget_tokens();
    }

    /// `keys`: where there are others than before. `wanted`: somebody missed one.
    fn publish(&self, keys: Option<Arc<KeySet>>, wanted: bool) {
        self.known.send_modify(|known| {
            known.keys = keys.or_else(|| known.keys.take());
            known.fetches += 1;
            let pause = match (&known.keys, wanted) {
                (None, _) => NO_KEYS_PAUSE,
                (Some(_), true) => UNKNOWN_KEY_PAUSE,
                (Some(_), false) => Duration::ZERO,
            };
            known.next = Instant::now() + pause;
        });
    }

    /// Whether somebody wants the keys before this time, and may.
    async fn wish_before(&self, time: Instant) -> bool {
        loop {
            tokio::select! {
                () = self.wish.notified() => {
                    let known = self.known.borrow();
                    let open = self.wished.load(Ordering::Relaxed) > known.fetches;
                    if open && known.next <= Instant::now() {
                        return true;
                    }
                }
                () = sleep_until(time) => return false,
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let url = match &self.source {
            KeySource::Keys(url) => url.clone(),
            KeySource::Discovery(url) => self.discover(url).await?,
        };
        let document = self.get(&url).await?;
        KeySet::parse(&document).ok_or(FetchError::Document(url))
    }

    async fn discover(&self, url: &Url) -> Result<Url, FetchError> {
        let document = self.get(url).await?;
        let found: Discovery =
            serde_json::from_slice(&document).map_err(|_| FetchError::Document(url.clone()))?;
        if found.issuer != self.issuer {
            return Err(FetchError::Issuer);
        }
        trusted(&found.jwks_uri).ok_or(FetchError::Address)
    }

    async fn get(&self, url: &Url) -> Result<BytesMut, FetchError> {
        let mut response = self.client.get(url.clone()).send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(url.clone(), response.status()));
        }
        let mut document = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if document.len() + chunk.len() > DOCUMENT_BYTES {
                return Err(FetchError::Large(url.clone()));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}
