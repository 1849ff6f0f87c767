//! The environment of a command, from the request and what the gateway resolved for it.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use sandgate_proto::{limits, provider::v1::GatewayPayload};

use crate::{
    Kind, ProviderError,
    spec::{check_env_name, no_nul},
};

/// `NAME=value` strings over the sandbox's own environment: the spec's secrets, then the request's
/// variables, then its secrets; the later wins.
pub(crate) fn merged(
    env: &BTreeMap<String, String>,
    payload: &Bytes,
) -> Result<Vec<Bytes>, ProviderError> {
    let payload = self::payload(payload)?;
    let mut all: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let secrets = |secrets: &'_ BTreeMap<String, Bytes>| {
        secrets.iter().try_for_each(|(name, value)| {
            check_env_name(name, "secret_env")?;
            if value.contains(&0) {
                return Err(ProviderError::new(
                    Kind::InvalidField("secret_env"),
                    format!("the secret of {name} holds a NUL byte, which no environment can; write it to a file instead"),
                ));
            }
            Ok(())
        })
    };
    secrets(&payload.spec_secret_env)?;
    secrets(&payload.secret_env)?;
    for (name, value) in env {
        check_env_name(name, "env")?;
        no_nul("env", value)?;
    }
    all.extend(pairs(&payload.spec_secret_env));
    all.extend(
        env.iter()
            .map(|(name, value)| (&name[..], value.as_bytes())),
    );
    all.extend(pairs(&payload.secret_env));
    Ok(all
        .into_iter()
        .map(|(name, value)| {
            let mut string = BytesMut::with_capacity(name.len() + 1 + value.len());
            string.put_slice(name.as_bytes());
            string.put_u8(b'=');
            string.put_slice(value);
            string.freeze()
        })
        .collect())
}

fn pairs(map: &BTreeMap<String, Bytes>) -> impl Iterator<Item = (&str, &[u8])> {
    map.iter().map(|(name, value)| (&name[..], &value[..]))
}

/// What the gateway resolved for a call.
pub(crate) fn payload(payload: &Bytes) -> Result<GatewayPayload, ProviderError> {
    let refused =
        |message: &str| ProviderError::new(Kind::InvalidField("gateway_payload"), message);
    if payload.len() > limits::PAYLOAD_BYTES {
        return Err(refused("is over 256 KiB; use fewer or smaller secrets"));
    }
    GatewayPayload::decode(payload.clone()).map_err(|_| {
        refused("is not a sandbox.provider.v1.GatewayPayload; only the gateway sets it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_wins() {
        let map = |pairs: &[(&str, &'static [u8])]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value)))
                .collect()
        };
        let payload = GatewayPayload {
            spec_secret_env: map(&[("A", b"spec"), ("B", b"spec"), ("D", b"\xff")]),
            secret_env: map(&[("C", b"secret")]),
            git: None,
        };
        let env = [("B", "request"), ("C", "request")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let merged = merged(&env, &payload.encode_to_vec().into()).unwrap();
        assert_eq!(
            merged,
            [&b"A=spec"[..], b"B=request", b"C=secret", b"D=\xff"]
        );
    }

    #[test]
    fn what_no_environment_can_hold_is_refused() {
        let env = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        let none = Bytes::new();
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0")] {
            assert!(merged(&env(name, value), &none).is_err());
        }
        assert!(merged(&BTreeMap::new(), &Bytes::from_static(b"\xff")).is_err());
    }
}
