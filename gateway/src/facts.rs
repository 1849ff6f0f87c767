//! What a call was about, gathered while it is served, for the audit log.

use uuid::Uuid;

use crate::principal::Owner;

/// Names of what a call was about; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whose thing it was; none where that is not known.
    pub(crate) owner: Option<Owner>,
    pub(crate) session_id: String,
    pub(crate) sandbox_id: String,
    pub(crate) execution_id: String,
    pub(crate) request_id: String,
    /// A secret's or a provider's name, a path, another id.
    pub(crate) target: String,
}

/// What a call made that its request did not name; its service lays it beside the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) session_id: Option<Uuid>,
    pub(crate) sandbox_id: Option<Uuid>,
    /// As in [`Facts`].
    pub(crate) target: String,
}

impl Facts {
    /// Adds what the call made.
    pub(crate) fn add(&mut self, made: &Made) {
        if let Some(session_id) = made.session_id {
            self.session_id = session_id.to_string();
        }
        if let Some(sandbox_id) = made.sandbox_id {
            self.sandbox_id = sandbox_id.to_string();
        }
        if !made.target.is_empty() {
            self.target.clone_from(&made.target);
        }
    }
}
