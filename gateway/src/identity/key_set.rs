//! The public keys of an issuer (a JWKS), and which of them a token may be signed with.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Keys that signatures can be verified with; others of the document are left out.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// As they were fetched, to tell whether a set is another one.
    source: Vec<Value>,
}

struct Key {
    jwk: Jwk,
    key: DecodingKey,
}

/// Why a set has no key for a token.
#[derive(Debug, PartialEq)]
pub(super) enum NoKey {
    /// None has its id: the issuer may have a new one.
    UnknownId,
    /// None fits its algorithm, or several might.
    Unfit,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// None where it is no set of keys at all.
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let keys = document.keys.iter().filter_map(usable).collect();
        Some(Self {
            keys,
            source: document.keys,
        })
    }

    /// Whether another has the same keys.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.source == other.source
    }

    /// The key of this id, or where the token names none, the only one for its algorithm.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&DecodingKey, NoKey> {
        let named = |key: &&Key| id.is_none() || key.jwk.common.key_id.as_deref() == id;
        if !self.keys.iter().any(|key| named(&key)) {
            return Err(NoKey::UnknownId);
        }
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| named(key) && fits(&key.jwk, algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(&key.key),
            _ => Err(NoKey::Unfit),
        }
    }
}

fn usable(value: &Value) -> Option<Key> {
    let jwk = Jwk::deserialize(value).ok()?;
    let common = &jwk.common;
    let signs = common
        .public_key_use
        .as_ref()
        .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let verifies = common
        .key_operations
        .as_ref()
        .is_none_or(|all| all.contains(&KeyOperations::Verify));
    // A shared secret in a public document is nobody's.
    let public = !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    if !(signs && verifies && public) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { jwk, key })
}

/// Whether a key is for an algorithm: by its kind, and by what it says of itself.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let kind = match (&jwk.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), A::RS256 | A::RS384 | A::RS512)
        | (AlgorithmParameters::RSA(_), A::PS256 | A::PS384 | A::PS512) => true,
        (AlgorithmParameters::EllipticCurve(key), A::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), A::ES384) => key.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(key), A::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let said = jwk.common.key_algorithm.map(|said| said.to_string());
    kind && said.is_none_or(|said| said.parse() == Ok(algorithm))
}
