//! Who is calling.

/// An authenticated caller. Everything it makes belongs to this user of this organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) org_id: String,
    pub(crate) user_id: String,
}

impl Principal {
    /// The caller of a gateway on loopback that has no keys configured.
    pub(crate) fn dev() -> Self {
        Self {
            org_id: "dev".into(),
            user_id: "dev".into(),
        }
    }

    /// The holder of `SANDGATE_ADMIN_KEY`.
    pub(crate) fn admin() -> Self {
        Self {
            org_id: "admin".into(),
            user_id: "admin".into(),
        }
    }

    /// Whether something with this owner is the caller's own.
    pub(crate) fn owns(&self, org_id: &str, user_id: &str) -> bool {
        self.org_id == org_id && self.user_id == user_id
    }
}
