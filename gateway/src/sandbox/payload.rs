//! What the gateway resolves for one relayed call and appends to its message.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use sandgate_proto::provider::v1::GatewayPayload;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{Sandboxes, Target};
use crate::problem::Result;

impl Sandboxes {
    /// The values of the secrets that a command gets in its environment: those of the sandbox's
    /// spec and those of the call, by their names there; none where there are no names.
    pub(crate) async fn environment(
        &self,
        target: &Target,
        secrets: &[(String, String)],
    ) -> Result<Option<Vec<u8>>> {
        let of_spec = target.spec_secrets();
        if secrets.is_empty() && of_spec.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = of_spec
            .iter()
            .chain(secrets)
            .map(|(_, secret)| secret.as_str())
            .collect();
        let values = self.credentials.secrets(target.session(), &names).await?;
        let (spec_values, values) = values.split_at(of_spec.len());
        Ok(Some(
            GatewayPayload {
                spec_secret_env: by_name(of_spec, spec_values),
                secret_env: by_name(secrets, values),
                git: None,
            }
            .encode_to_vec(),
        ))
    }

    /// The token for git, where the user has one.
    pub(crate) async fn git(&self, target: &Target) -> Result<Option<Vec<u8>>> {
        let git = self.credentials.git(target.session()).await?;
        Ok(git.map(|git| {
            GatewayPayload {
                git: Some(git),
                ..Default::default()
            }
            .encode_to_vec()
        }))
    }
}

/// Of a name that occurs twice the later value counts, as in the map that it was sent in.
fn by_name(names: &[(String, String)], values: &[SecretSlice<u8>]) -> BTreeMap<String, Bytes> {
    let value = |value: &SecretSlice<u8>| Bytes::copy_from_slice(value.expose_secret());
    names
        .iter()
        .zip(values)
        .map(|((name, _), secret)| (name.clone(), value(secret)))
        .collect()
}
