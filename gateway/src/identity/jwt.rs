//! Tokens (JWT) of one issuer: whether they are good, and who their holders are.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use sandgate_service::Drain;
use sandgate_service::web;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;

use super::{
    Caller,
    cache::{Entry, Kind, Verified},
    jwks::Jwks,
    key_set::{KeySet, NoKey},
    name_fits,
    settings::{IdentityError, Organisation, TokenSettings},
};
use crate::{
    clock::span,
    principal::{Identity, Owner, Principal, Scopes},
    problem::{self, Result},
};

/// How far the clocks of issuer and gateway may differ.
const LEEWAY: i64 = 30_000;
/// How long a token counts as verified.
const KEPT: Duration = Duration::from_secs(60);

/// The tokens of one issuer.
pub(super) struct Tokens {
    settings: TokenSettings,
    jwks: Arc<Jwks>,
}

/// What a token's header says.
#[derive(Deserialize)]
struct Head {
    alg: Algorithm,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

type Claims = Map<String, Value>;

impl Tokens {
    pub(super) fn new(settings: TokenSettings) -> std::result::Result<Self, IdentityError> {
        let jwks = Jwks::new(
            web::client()?,
            settings.issuer.clone(),
            settings.keys.clone(),
        );
        Ok(Self {
            settings,
            jwks: Arc::new(jwks),
        })
    }

    /// Keeps the issuer's keys fresh until the drain begins.
    pub(super) fn watch(&self, tasks: &TaskTracker, verified: Arc<Verified>, drain: Drain) {
        self.jwks.watch(tasks, verified, drain);
    }

    /// Whose token this is.
    pub(super) async fn verify(&self, token: &str, now: i64) -> Result<Entry> {
        let head = head(token).ok_or_else(problem::authentication_required)?;
        let keys = self.keys(&head).await?;
        let key = keys
            .find(head.kid.as_deref(), head.alg)
            .map_err(|_| problem::authentication_required())?;
        verified(&self.settings, token, head.alg, key, now)
            .ok_or_else(problem::authentication_required)
    }

    /// The issuer's keys, fetched anew where the token names one that is not among them.
    async fn keys(&self, head: &Head) -> Result<Arc<KeySet>> {
        let mut known = self.jwks.known();
        let missing = known.keys.as_ref().is_none_or(|keys| {
            keys.find(head.kid.as_deref(), head.alg).err() == Some(NoKey::UnknownId)
        });
        if missing {
            known = self.jwks.newer_than(&known).await;
        }
        known.keys.ok_or_else(problem::token_keys_unavailable)
    }
}

/// None where it is no token, or one that cannot be good whatever its key.
fn head(token: &str) -> Option<Head> {
    let mut parts = token.split('.');
    let (head, Some(_), Some(_), None) = (parts.next()?, parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let head = URL_SAFE_NO_PAD.decode(head).ok()?;
    let head: Head = serde_json::from_slice(&head).ok()?;
    // With a shared secret, whoever can verify could also sign.
    let shared = matches!(
        head.alg,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
    );
    (head.crit.is_none() && !shared).then_some(head)
}

fn verified(
    settings: &TokenSettings,
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    now: i64,
) -> Option<Entry> {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    // Below: there, a time that is no number would count as none.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .ok()?
        .claims;
    let end = millis(claims.get("exp")?)?;
    let begin = match claims.get("nbf") {
        None => i64::MIN,
        Some(begin) => millis(begin)?,
    };
    let timely = now < end.saturating_add(LEEWAY) && begin <= now.saturating_add(LEEWAY);
    if !timely || claims.get("iss")?.as_str() != Some(&settings.issuer) {
        return None;
    }
    Some(Entry {
        caller: Arc::new(Caller::new(principal(settings, &claims)?)),
        until: end.min(now.saturating_add(span(KEPT))),
        kind: Kind::Token,
    })
}

/// Seconds as a token has them, in milliseconds.
fn millis(time: &Value) -> Option<i64> {
    let seconds = time.as_f64().filter(|seconds| seconds.is_finite())?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is right")]
    let millis = (seconds * 1000.0) as i64;
    Some(millis)
}

/// None where the claims name nobody.
fn principal(settings: &TokenSettings, claims: &Claims) -> Option<Principal> {
    let name = |claim: &str| {
        let text = claims.get(claim)?.as_str()?;
        name_fits(text).then(|| text.to_owned())
    };
    let user_id = name(&settings.user_claim)?;
    let org_id = match &settings.organisation {
        Organisation::Claim(claim) => name(claim)?,
        Organisation::Fixed(org_id) => org_id.clone(),
    };
    Some(Principal {
        identity: Identity::Jwt(name("sub").unwrap_or_else(|| user_id.clone())),
        owner: Owner { org_id, user_id },
        scopes: Scopes::of(scopes(claims).filter(|scope| Scopes::exists(scope))),
    })
}

/// Scopes as issuers write them: names in a text, or a list. Most of them are not ours.
fn scopes(claims: &Claims) -> impl Iterator<Item = &str> {
    let claim = claims.get("scope").or_else(|| claims.get("scp"));
    let texts = match claim {
        Some(Value::Array(list)) => list.as_slice(),
        Some(text) => std::slice::from_ref(text),
        None => &[],
    };
    texts
        .iter()
        .filter_map(Value::as_str)
        .flat_map(str::split_ascii_whitespace)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
