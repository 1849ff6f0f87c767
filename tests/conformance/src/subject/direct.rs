//! The way straight to a provider service: in the gateway's place, the provider context is made
//! here, and the state that answers bring is kept and sent back.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message as _;
use sandgate_proto::{
    CONTEXT_METADATA, STATE_METADATA,
    provider::v1::{Credential, ProviderContext, ProviderState},
};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use uuid::Uuid;

use super::{Road, gateway::bearer};
use crate::{Options, failure::Failure};

/// A provider service, and what its gateway would remember.
pub(super) struct Direct {
    bearer: Option<MetadataValue<Ascii>>,
    gateway_id: String,
    session_id: String,
    credential: Option<Credential>,
    states: Mutex<BTreeMap<String, ProviderState>>,
}

impl Direct {
    pub(super) fn new(options: &Options) -> Result<Self, Failure> {
        let credential = options.api_key.as_ref().map(|key| Credential {
            kind: options.provider.clone(),
            value: key.clone().into(),
        });
        Ok(Self {
            bearer: bearer(options.token.as_ref())?,
            gateway_id: format!("conformance-{}", Uuid::new_v4()),
            session_id: Uuid::new_v4().to_string(),
            credential,
            states: Mutex::default(),
        })
    }

    fn context(&self, sandbox_id: &str) -> ProviderContext {
        let known = self.states().get(sandbox_id).cloned().unwrap_or_default();
        ProviderContext {
            gateway_id: self.gateway_id.clone(),
            org_id: "conformance".to_owned(),
            user_id: "conformance".to_owned(),
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            generation: u64::from(!sandbox_id.is_empty()),
            credential: self.credential.clone(),
            state: known.state,
            state_version: known.state_version,
            provider_sandbox_id: known.provider_sandbox_id,
            instance_id: known.instance_id,
            ..Default::default()
        }
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<String, ProviderState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Road for Direct {
    fn session_id(&self) -> &str {
        &self.session_id
    }

    fn dress(&self, sandbox_id: &str, metadata: &mut MetadataMap) {
        if let Some(bearer) = &self.bearer {
            metadata.insert("authorization", bearer.clone());
        }
        let context = self.context(sandbox_id).encode_to_vec();
        metadata.insert_bin(CONTEXT_METADATA, MetadataValue::from_bytes(&context));
    }

    fn learn(&self, sandbox_id: &str, metadata: &MetadataMap) {
        let Some(new) = metadata
            .get_bin(STATE_METADATA)
            .and_then(|entry| entry.to_bytes().ok())
            .and_then(|bytes| ProviderState::decode(bytes).ok())
        else {
            return;
        };
        let mut states = self.states();
        let known = states.entry(sandbox_id.to_owned()).or_default();
        // As a gateway does: the newer state stays where two answers crossed.
        if new.state_version != known.state_version {
            return;
        }
        known.state = new.state;
        known.instance_id = new.instance_id;
        known.state_version += 1;
        if !new.provider_sandbox_id.is_empty() {
            known.provider_sandbox_id = new.provider_sandbox_id;
        }
    }

    async fn close(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Direct {
        Direct::new(&Options {
            provider: "p".to_owned(),
            api_key: Some("k".to_owned()),
            token: Some("t".to_owned()),
            ..Options::default()
        })
        .unwrap()
    }

    fn sent(direct: &Direct, sandbox_id: &str) -> ProviderContext {
        let mut metadata = MetadataMap::new();
        direct.dress(sandbox_id, &mut metadata);
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer t");
        let entry = metadata.get_bin(CONTEXT_METADATA).unwrap();
        ProviderContext::decode(entry.to_bytes().unwrap()).unwrap()
    }

    fn answer(state: &str, version: u64) -> MetadataMap {
        let state = ProviderState {
            state: state.to_owned().into(),
            provider_sandbox_id: "upstream".to_owned(),
            state_version: version,
            ..Default::default()
        };
        let mut metadata = MetadataMap::new();
        let value = MetadataValue::from_bytes(&state.encode_to_vec());
        metadata.insert_bin(STATE_METADATA, value);
        metadata
    }

    #[test]
    fn state_comes_back_with_its_version() {
        let direct = direct();
        let first = sent(&direct, "s");
        assert_eq!((first.state_version, first.generation), (0, 1));
        assert_eq!(first.credential.unwrap().kind, "p");
        direct.learn("s", &answer("one", 0));
        let second = sent(&direct, "s");
        assert_eq!(second.state, "one");
        assert_eq!(
            (second.state_version, second.provider_sandbox_id.as_str()),
            (1, "upstream")
        );
        // An answer to a call that began before the last change.
        direct.learn("s", &answer("old", 0));
        assert_eq!(sent(&direct, "s").state, "one");
        assert!(sent(&direct, "other").state.is_empty());
    }
}
