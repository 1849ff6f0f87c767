//! The sandboxes of a session or of a gateway, and those of which only a half is there.

use std::{fs, io, sync::Arc};

use bytes::Bytes;
use sandgate_kit::{CallContext, Instance, Page, ProviderError};
use sandgate_proto::v1::SandboxState;
use uuid::Uuid;

use super::{Inner, blocking, internal};
use crate::store::Meta;

impl Inner {
    pub(super) async fn list(
        self: &Arc<Self>,
        context: &CallContext,
        page: Page,
    ) -> Result<Vec<Instance>, ProviderError> {
        let (inner, context) = (self.clone(), context.clone());
        let read = move || {
            let mut found = Vec::new();
            for id in inner.store.ids()? {
                if found.len() >= page.size {
                    break;
                }
                if id.to_string() <= page.after {
                    continue;
                }
                match inner.store.read(id) {
                    Ok(meta) if listed(&meta, &context) => found.push(inner.instance(&meta)),
                    Ok(_) => {}
                    Err(error)
                        if context.owner.session_id.is_empty() && inner.remains(id, &error) =>
                    {
                        found.push(inner.half(id));
                    }
                    // Removed since the folder was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(sandbox_id = %id, %error, "not listed: its file is damaged");
                    }
                }
            }
            Ok(found)
        };
        blocking(read)
            .await
            .map_err(internal("the data folder cannot be read"))
    }

    /// Whether a sandbox whose file cannot be read is only half there, and nobody's.
    fn remains(&self, id: Uuid, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::NotFound => self.store.folder(id).is_dir(),
            kind => matches!(
                kind,
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ),
        }
    }

    /// A sandbox of which only its id is known: it cannot be used, only deleted.
    fn half(&self, id: Uuid) -> Instance {
        let made = fs::metadata(self.store.folder(id)).and_then(|folder| folder.modified());
        let message =
            "only parts of the sandbox are left, without its file; delete it, which removes them";
        Instance {
            sandbox_id: id.to_string(),
            session_id: String::new(),
            provider_sandbox_id: id.to_string(),
            instance_id: self.store.instance_id().to_owned(),
            state: SandboxState::Failed,
            reason: Some(("REMAINS", message.to_owned())),
            generation: 0,
            workspace_path: String::new(),
            home_path: String::new(),
            create_time: made.ok(),
            start_time: None,
            expire_time: None,
            state_data: Bytes::new(),
        }
    }
}

fn listed(meta: &Meta, context: &CallContext) -> bool {
    let owner = &context.owner;
    meta.gateway_id == owner.gateway_id
        && (owner.session_id.is_empty() || meta.session_id == owner.session_id)
}
