//! Values in the store, sealed by the vault.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretSlice};
use uuid::Uuid;

use crate::{
    clock,
    problem::Result,
    sealed::Sealed,
    store::{Store, ValueKind, ValueRecord},
    vault::{Label, Vault, VaultError},
};

/// The store and the vault, together. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Safe {
    pub(super) store: Arc<dyn Store>,
    pub(super) vault: Vault,
}

/// What is put into the safe.
pub(super) struct New<'a> {
    pub(super) kind: ValueKind,
    pub(super) org_id: &'a str,
    pub(super) owner: &'a str,
    pub(super) name: &'a str,
    pub(super) value: &'a SecretSlice<u8>,
    pub(super) hint: String,
    pub(super) validate_time: Option<i64>,
}

impl Safe {
    pub(crate) fn new(store: Arc<dyn Store>, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// Seals a value and puts it in use; none where it is the secret of a session that is deleted.
    pub(super) async fn put(&self, new: New<'_>) -> Result<Option<ValueRecord>> {
        let size = new.value.expose_secret().len();
        let mut record = ValueRecord {
            value_id: Uuid::new_v4(),
            org_id: new.org_id.to_owned(),
            owner: new.owner.to_owned(),
            kind: new.kind,
            name: new.name.to_owned(),
            active: true,
            sealed: Vec::new(),
            key_id: String::new(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            hint: new.hint,
            update_time: clock::now(),
            validate_time: new.validate_time,
        };
        let name = versioned(&record);
        let value = new.value.expose_secret();
        let sealed = self.vault.seal(&label(&record, &name), value).await?;
        (record.sealed, record.key_id) = (sealed.bytes, sealed.key_id);
        let kept = self.store.set_value(&record).await?;
        Ok(kept.then_some(record))
    }

    pub(super) async fn open(&self, record: &ValueRecord) -> Result<SecretSlice<u8>> {
        let name = versioned(record);
        let label = label(record, &name);
        Ok(self.vault.open(&label, &record.sealed).await?)
    }

    /// The value under the vault's first key; none where it is already.
    pub(super) async fn rewrap(
        &self,
        record: &ValueRecord,
    ) -> std::result::Result<Option<Sealed>, VaultError> {
        let name = versioned(record);
        let label = label(record, &name);
        self.vault.rewrap(&label, &record.sealed).await
    }
}

/// The name and the version, so that an old version does not open in the place of a new one.
fn versioned(record: &ValueRecord) -> String {
    format!("{}#{}", record.name, record.value_id)
}

fn label<'a>(record: &'a ValueRecord, name: &'a str) -> Label<'a> {
    Label {
        org_id: &record.org_id,
        owner: &record.owner,
        kind: record.kind.name(),
        name,
    }
}
