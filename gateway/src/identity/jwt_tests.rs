//! Tokens: what is let in, and everything that is not.

use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use reqwest::Url;
use serde_json::json;

use super::*;
use crate::{clock, identity::settings::KeySource};

/// Signed with a key that was thrown away; good until 2100.
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lzc3VlciIsImF1ZCI6InVzIiwic3ViIjoiYW5uIiwib3JnX2lkIjoiYWNtZSIsImV4cCI6NDEwMjQ0NDgwMH0.KdL7Ob11VuCxgWuXvs3QlppavCsgd6Ch2Z7JrYjPXqJg2OiNPZwNGQQgFomneQFtLhsbXaBzLBAWkghjMnfRYZ_58-xhSUtXN2LZaOMei0OwHU4hfiajEL8otIXUDtbKmTK8WxTBAkNPSg1aPu72-nbG4nanB9jMITz75YcTNRqOSOdGrQU8aGvkOHPEiuKBlacietmPxFnV53JSB4nOZaZal78BSJI0339YOMgeivQeCWvYzVOUZkU0uhJsLEIUIQLRZj9K_72ExLuZ3mihF_EFacVUyMarT1wRe8VxiVQs3dOW7qjRFwMdXiFTxEZK5HWSq53z3qlc-pCfR5y8tw";
const PS256: &str = "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lzc3VlciIsImF1ZCI6InVzIiwic3ViIjoiYW5uIiwib3JnX2lkIjoiYWNtZSIsImV4cCI6NDEwMjQ0NDgwMH0.m7oQx-kUo778o5kHCb1q262kS18X3uKkRqVEGnCdNA9tpkHJTwhOA-SGlG26L3mR_AlazVrYGxZtQwAvvK2-MvezT1ABOL0nOHofNN3fsl7YCGtfr_MK3owV6wlGj-IDnVk64VQk2IZtxsAp8728eWKi9H4U91DITGfxabMIJZ0ga0mLdpPJQfN2-A6Zd_vN8f-uYnlDbNfl5tSYLshD1FIu_xe4S2VmB_WQ461NWb_SFHzVaFYDzWImw018Sunni7UlWZpwfS6BbzXCy7wpf0H_AA_iUt-FIzfwCxlZIhShU7K3YflMCPGflqn6Sj13HFw3nk7tW-2e4aTHIcitTQ";
const MODULUS: &str = "vcp-6q5R6TAO-sFojhxEoHmf7vVUHX-MybaddlqPyVVe1_ithI0DKiXwlw2FX57mA5wRFEgzOCVUty_lH_sQptMnrTMpisBXJbBj88v7bH82QNFrurEKa5rzwKUkOZRjz8rKhgNgFv_FtfS8SC9VEMb0HowNYLVvG6oizbpdhTXDl1ZrTa9t6spyhnKc4CTKojf_pu2sLnjbX-C7narV9TqmKMIIemi9YY5F5KwvTk0TfqTrC0RebNpPweX9q-nqN7lMG6HXCsQ4WV0IHPZFHaLaRn0SaGz65M4x86wec6272UUqNjMXHOlsbdvMFNu0dnxI0ZD6L7UyRpGBKDQg1w";

fn settings() -> TokenSettings {
    TokenSettings {
        issuer: "https://issuer".to_owned(),
        audience: "us".to_owned(),
        keys: KeySource::Keys(Url::parse("https://issuer/keys").unwrap()),
        organisation: Organisation::Claim("org_id".to_owned()),
        user_claim: "sub".to_owned(),
    }
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn check_with(settings: &TokenSettings, keys: &KeySet, token: &str) -> Option<Entry> {
    let head = head(token)?;
    let key = keys.find(head.kid.as_deref(), head.alg).ok()?;
    verified(settings, token, head.alg, key, clock::now())
}

fn check(keys: &KeySet, token: &str) -> Option<Principal> {
    check_with(&settings(), keys, token).map(|entry| entry.caller.principal.clone())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key, with how it signs and how others see it.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn new(algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
            _ => &PKCS_ED25519,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let public = pair.public_key_raw();
        let (key, jwk) = if algorithm == Algorithm::EdDSA {
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(public)});
            (EncodingKey::from_ed_der(pair.serialized_der()), jwk)
        } else {
            let (x, y) = public[1..].split_at(public.len() / 2);
            let curve = if x.len() == 32 { "P-256" } else { "P-384" };
            let jwk = json!({"kty": "EC", "crv": curve, "kid": "k", "x": b64(x), "y": b64(y)});
            (EncodingKey::from_ec_der(pair.serialized_der()), jwk)
        };
        Self {
            key,
            algorithm,
            jwk,
        }
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header {
            kid: kid.map(str::to_owned),
            ..Header::new(self.algorithm)
        };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// Good claims, with these changes; a null takes one away.
fn claims(changes: &Value) -> Value {
    let now = clock::now() / 1000;
    let mut claims = json!({"iss": "https://issuer", "aud": "us", "exp": now + 300, "sub": "ann", "org_id": "acme"});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[test]
fn every_asymmetric_algorithm_is_good_with_its_own_key() {
    let rsa = json!({"kty": "RSA", "kid": "rsa", "n": MODULUS, "e": "AQAB"});
    for token in [RS256, PS256] {
        let ann = check(&set(std::slice::from_ref(&rsa)), token).unwrap();
        assert!(ann.owns("acme", "ann"), "{ann:?}");
        let mut broken = token.to_owned();
        broken.replace_range(token.len() - 5..token.len() - 4, "_");
        assert!(check(&set(std::slice::from_ref(&rsa)), &broken).is_none());
    }
    let only = json!({"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": MODULUS, "e": "AQAB"});
    assert!(check(&set(std::slice::from_ref(&only)), RS256).is_some());
    assert!(check(&set(&[only]), PS256).is_none());
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let (signer, other) = (Signer::new(algorithm), Signer::new(algorithm));
        let token = signer.sign(Some("k"), &claims(&json!({})));
        assert!(check(&set(std::slice::from_ref(&signer.jwk)), &token).is_some());
        assert!(check(&set(&[other.jwk]), &token).is_none());
    }
}

#[test]
fn a_shared_secret_or_no_signature_is_never_good() {
    let signer = Signer::new(Algorithm::ES256);
    let public = signer.jwk["x"].as_str().unwrap();
    let oct = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": b64(b"secret")});
    let keys = set(&[signer.jwk.clone(), oct]);
    let good = claims(&json!({}));
    for secret in [
        &b"secret"[..],
        public.as_bytes(),
        signer.jwk.to_string().as_bytes(),
    ] {
        let header = Header {
            kid: Some("k".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let token = encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap();
        assert!(check(&keys, &token).is_none());
    }
    let payload = b64(good.to_string().as_bytes());
    for head in [
        json!({"alg": "none", "kid": "k"}),
        json!({"alg": "None"}),
        json!({"kid": "k"}),
        json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false}),
    ] {
        let head = b64(head.to_string().as_bytes());
        for token in [format!("{head}.{payload}."), format!("{head}.{payload}")] {
            assert!(check(&keys, &token).is_none(), "{token}");
        }
    }
    // Without its signature, or with that of another payload.
    let token = signer.sign(Some("k"), &good);
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert!(check(&keys, &format!("{message}.")).is_none());
    let other = b64(claims(&json!({"sub": "bob"})).to_string().as_bytes());
    let head = message.split_once('.').unwrap().0;
    assert!(check(&keys, &format!("{head}.{other}.{signature}")).is_none());
    assert!(check(&keys, &token).is_some());
}

#[test]
fn claims_have_to_be_right() {
    let signer = Signer::new(Algorithm::EdDSA);
    let keys = set(std::slice::from_ref(&signer.jwk));
    let good = |changes: Value| check(&keys, &signer.sign(Some("k"), &claims(&changes))).is_some();
    let now = clock::now() / 1000;
    for fine in [
        json!({}),
        json!({"aud": ["them", "us"]}),
        json!({"exp": now - 20}),
        json!({"exp": 4_102_444_800.5}),
        json!({"nbf": now + 20}),
    ] {
        assert!(good(fine.clone()), "{fine}");
    }
    for wrong in [
        json!({"iss": "https://other"}),
        json!({"iss": ["https://issuer"]}),
        json!({"iss": null}),
        json!({"aud": "them"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"exp": now - 40}),
        json!({"exp": null}),
        json!({"exp": "4102444800"}),
        json!({"nbf": now + 40}),
        json!({"nbf": "soon"}),
        json!({"nbf": 1e300}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"org_id": null}),
        json!({"org_id": ""}),
        json!({"org_id": "a\nb"}),
    ] {
        assert!(!good(wrong.clone()), "{wrong}");
    }
}

#[test]
fn claims_say_who_it_is_and_what_it_may() {
    let signer = Signer::new(Algorithm::EdDSA);
    let keys = set(std::slice::from_ref(&signer.jwk));
    let ann = |changes| check(&keys, &signer.sign(Some("k"), &claims(&changes))).unwrap();
    assert!(
        ann(json!({"scope": "openid email"}))
            .allowed("sessions.write")
            .is_ok()
    );
    for scopes in [
        json!({"scope": "openid sessions.read act_as"}),
        json!({"scp": "sessions.read act_as"}),
        json!({"scp": ["x", "sessions.read", "act_as"]}),
    ] {
        let ann = ann(scopes);
        assert!(ann.allowed("sessions.read").is_ok() && ann.allowed("act_as").is_ok());
        assert!(ann.allowed("sessions.write").is_err() && ann.allowed("admin").is_err());
    }
    let named = TokenSettings {
        organisation: Organisation::Fixed("ours".to_owned()),
        user_claim: "email".to_owned(),
        ..settings()
    };
    let token = signer.sign(Some("k"), &claims(&json!({"email": "a@b"})));
    let entry = check_with(&named, &keys, &token).unwrap();
    assert!(entry.caller.principal.owns("ours", "a@b"));
    assert_eq!(entry.caller.principal.identity.to_string(), "jwt:ann");
    assert!(entry.until <= clock::now() + 60_000);
}

#[test]
fn a_token_without_a_key_id_needs_a_key_that_is_alone() {
    let (one, two) = (Signer::new(Algorithm::EdDSA), Signer::new(Algorithm::EdDSA));
    let other = Signer::new(Algorithm::ES256);
    let token = one.sign(None, &claims(&json!({})));
    assert!(check(&set(&[one.jwk.clone(), other.jwk]), &token).is_some());
    assert!(check(&set(&[one.jwk.clone(), two.jwk]), &token).is_none());
    let unknown = set(std::slice::from_ref(&one.jwk));
    let missing = unknown.find(Some("new"), Algorithm::EdDSA);
    assert_eq!(missing.err(), Some(NoKey::UnknownId));
    let unfit = unknown.find(Some("k"), Algorithm::ES256);
    assert_eq!(unfit.err(), Some(NoKey::Unfit));
    // What cannot verify is left out, what cannot be read spoils nothing.
    let mut encrypts = one.jwk.clone();
    encrypts["use"] = json!("enc");
    assert!(check(&set(&[encrypts]), &token).is_none());
    assert!(check(&set(&[json!({"kty": "new"}), json!(7), one.jwk]), &token).is_some());
    assert!(KeySet::parse(b"<html>").is_none() && KeySet::parse(b"{}").is_none());
}
