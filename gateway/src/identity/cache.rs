//! Credentials that were found good, in memory, so that most calls ask neither the database nor a
//! cipher. What is here is trusted: whatever ends a credential takes it out.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use super::Caller;

/// Entries at most, besides those whose calls are under way.
const CAPACITY: usize = 10_000;
/// How exact the time of a key's last use is kept in memory, so that calls seldom write it.
const USE_STEP: i64 = 1_000;
/// How often the time of a key's last use is stored.
const WRITE_EVERY: i64 = 60_000;

/// SHA-256 of a credential as it was presented.
pub(super) type Digest = [u8; 32];

/// What a credential is, as far as its end depends on it.
pub(super) enum Kind {
    Key {
        api_key_id: String,
        /// When it was last used, and when that was last stored.
        used: AtomicI64,
        written: AtomicI64,
    },
    /// Good as long as the issuer's keys are.
    Token,
    Certificate,
}

/// A credential that is good until a time.
pub(super) struct Entry {
    pub(super) caller: Arc<Caller>,
    pub(super) until: i64,
    pub(super) kind: Kind,
}

/// All good credentials.
#[derive(Default)]
pub(super) struct Verified {
    entries: RwLock<HashMap<Digest, Entry>>,
    /// Counts what ended credentials. What was verified before such an end must not be kept after it.
    ends: AtomicU64,
}

impl Verified {
    /// To be asked before a credential is verified, for [`Self::keep`].
    pub(super) fn ends(&self) -> u64 {
        self.ends.load(Ordering::SeqCst)
    }

    /// The holder of a credential that is known to be good.
    pub(super) fn find(&self, digest: &Digest, now: i64) -> Option<Arc<Caller>> {
        let entries = self.read();
        let entry = entries.get(digest).filter(|entry| now < entry.until)?;
        if let Kind::Key { used, .. } = &entry.kind
            && used.load(Ordering::Relaxed) + USE_STEP <= now
        {
            used.store(now, Ordering::Relaxed);
        }
        Some(entry.caller.clone())
    }

    /// Keeps a credential that was verified since `ends` was asked. None where it may have ended
    /// meanwhile: verify it again.
    pub(super) fn keep(
        &self,
        ends: u64,
        digest: Digest,
        entry: Entry,
        now: i64,
    ) -> Option<Arc<Caller>> {
        let mut entries = self.write();
        if self.ends() != ends {
            return None;
        }
        // Another call was quicker: all calls with one credential share what ends them.
        if let Some(there) = entries.get(&digest).filter(|there| now < there.until) {
            return Some(there.caller.clone());
        }
        if entries.len() >= CAPACITY {
            make_room(&mut entries);
        }
        let caller = entry.caller.clone();
        if now < entry.until {
            entries.insert(digest, entry);
        }
        Some(caller)
    }

    /// Ends API keys: their calls are cancelled, and they are asked for in the database again.
    pub(super) fn end_keys(&self, ids: &[String]) {
        self.ends.fetch_add(1, Ordering::SeqCst);
        self.remove(|entry| match &entry.kind {
            Kind::Key { api_key_id, .. } => ids.contains(api_key_id),
            Kind::Token | Kind::Certificate => false,
        });
    }

    /// Forgets all tokens, whose signatures have to be verified with other keys now.
    pub(super) fn forget_tokens(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
        self.remove(|entry| matches!(entry.kind, Kind::Token));
    }

    /// Ends what has expired.
    pub(super) fn expire(&self, now: i64) {
        if self.read().values().any(|entry| entry.until <= now) {
            self.remove(|entry| entry.until <= now);
        }
    }

    /// Keys that were used, and whose last use is to be stored now.
    pub(super) fn unwritten(&self, now: i64) -> Vec<(String, i64)> {
        let due = |entry: &Entry| match &entry.kind {
            Kind::Key {
                api_key_id,
                used,
                written,
            } => {
                let (used, written) = (
                    used.load(Ordering::Relaxed),
                    written.load(Ordering::Relaxed),
                );
                (used > written && now - written >= WRITE_EVERY).then(|| (api_key_id.clone(), used))
            }
            Kind::Token | Kind::Certificate => None,
        };
        self.read().values().filter_map(due).collect()
    }

    /// Notes that these uses are stored.
    pub(super) fn were_written(&self, uses: &[(String, i64)], now: i64) {
        let uses: HashMap<&str, i64> = uses.iter().map(|(id, used)| (&id[..], *used)).collect();
        for entry in self.read().values() {
            if let Kind::Key {
                api_key_id,
                written,
                ..
            } = &entry.kind
                && uses.contains_key(&api_key_id[..])
            {
                written.store(now, Ordering::Relaxed);
            }
        }
    }

    fn remove(&self, ended: impl Fn(&Entry) -> bool) {
        self.write().retain(|_, entry| {
            let ended = ended(entry);
            // A token that is verified anew from time to time has not ended.
            if ended && !matches!(entry.kind, Kind::Token) {
                entry.caller.ended.cancel();
            }
            !ended
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Digest, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Digest, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out one entry that no call is using. Those in use have to stay, so that a revocation reaches
/// their calls.
fn make_room(entries: &mut HashMap<Digest, Entry>) {
    let idle = |entry: &Entry| Arc::strong_count(&entry.caller) == 1;
    let victim = entries.iter().find(|(_, entry)| idle(entry));
    if let Some(digest) = victim.map(|(digest, _)| *digest) {
        entries.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Principal;

    fn key(id: &str, until: i64) -> Entry {
        Entry {
            caller: Arc::new(Caller::new(Principal::dev())),
            until,
            kind: Kind::Key {
                api_key_id: id.to_owned(),
                used: AtomicI64::new(0),
                written: AtomicI64::new(0),
            },
        }
    }

    fn keep(cache: &Verified, digest: u8, entry: Entry) -> Arc<Caller> {
        cache.keep(cache.ends(), [digest; 32], entry, 0).unwrap()
    }

    #[test]
    fn a_key_that_ends_takes_its_calls_along() {
        let cache = Verified::default();
        let (one, two) = (keep(&cache, 1, key("1", 9)), keep(&cache, 2, key("2", 5)));
        assert!(Arc::ptr_eq(&one, &keep(&cache, 1, key("1", 9))));
        assert!(cache.find(&[2; 32], 4).is_some() && cache.find(&[2; 32], 5).is_none());
        cache.end_keys(&["1".to_owned()]);
        assert!(one.ended.is_cancelled() && !two.ended.is_cancelled());
        assert!(cache.find(&[1; 32], 0).is_none());
        cache.expire(5);
        assert!(two.ended.is_cancelled());
    }

    #[test]
    fn what_ended_while_it_was_verified_is_not_kept() {
        let cache = Verified::default();
        let before = cache.ends();
        cache.end_keys(&["1".to_owned()]);
        assert!(cache.keep(before, [1; 32], key("1", 9), 0).is_none());
        assert!(cache.find(&[1; 32], 0).is_none());
    }

    #[test]
    fn a_full_cache_drops_what_nobody_uses() {
        let cache = Verified::default();
        let used = keep(&cache, 0, key("used", 9));
        for number in 1..CAPACITY + 5 {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            cache.keep(0, digest, key("x", 9), 0).unwrap();
        }
        assert_eq!(cache.read().len(), CAPACITY);
        assert!(Arc::ptr_eq(&used, &cache.find(&[0; 32], 0).unwrap()));
    }

    #[test]
    fn a_use_is_stored_once_a_minute() {
        let cache = Verified::default();
        keep(&cache, 1, key("1", i64::MAX));
        let now = 1_000_000;
        cache.find(&[1; 32], now);
        let due = cache.unwritten(now);
        assert_eq!(due, [("1".to_owned(), now)]);
        cache.were_written(&due, now);
        cache.find(&[1; 32], now + 59_000);
        assert!(cache.unwritten(now + 59_999).is_empty());
        assert_eq!(cache.unwritten(now + 60_000).len(), 1);
    }
}
