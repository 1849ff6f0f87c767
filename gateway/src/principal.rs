//! Who is calling, and what it may do.

use std::{collections::BTreeSet, fmt};

use sandgate_proto::methods;

use crate::problem::{self, Result};

/// The scope that lets its holder act for any user of any organisation: a backend's.
pub(crate) const ACT_AS: &str = "act_as";
/// The scope of operators.
pub(crate) const ADMIN: &str = "admin";

/// Whose a thing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) org_id: String,
    pub(crate) user_id: String,
}

/// An authenticated caller. What it makes belongs to its owner, unless it acts for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) owner: Owner,
    pub(crate) identity: Identity,
    pub(crate) scopes: Scopes,
}

/// How a caller proved who it is; its text is what the audit log shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Not at all.
    Dev,
    /// By `SANDGATE_ADMIN_KEY`.
    Admin,
    /// By an API key, with this id.
    Key(String),
    /// By a token, with this subject.
    Jwt(String),
    /// By a client certificate, with this name.
    Certificate(String),
    /// It is no caller: the gateway goes on with what an owner has begun.
    Gateway,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev => f.write_str("dev"),
            Self::Admin => f.write_str("key:admin"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Jwt(subject) => write!(f, "jwt:{subject}"),
            Self::Certificate(name) => write!(f, "cert:{name}"),
            Self::Gateway => f.write_str("gateway"),
        }
    }
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// None: everything on the caller's own things.
    own: Option<BTreeSet<String>>,
    act_as: bool,
    admin: bool,
}

impl Scopes {
    /// Every scope.
    pub(crate) fn all() -> Self {
        Self {
            own: None,
            act_as: true,
            admin: true,
        }
    }

    /// Those of a list; an empty one means everything on the caller's own things, and neither
    /// `act_as` nor `admin`.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut own: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        let none = own.is_empty();
        Self {
            act_as: own.remove(ACT_AS),
            admin: own.remove(ADMIN),
            own: (!none).then_some(own),
        }
    }

    /// Whether a call that wants this scope is allowed.
    pub(crate) fn allow(&self, scope: &str) -> bool {
        match scope {
            ADMIN => self.admin,
            ACT_AS => self.act_as,
            scope => self.own.as_ref().is_none_or(|own| own.contains(scope)),
        }
    }

    /// Whether there is a scope of this name.
    pub(crate) fn exists(name: &str) -> bool {
        name == ACT_AS || methods::ALL.iter().any(|method| method.scope == name)
    }
}

impl Principal {
    /// The caller of a gateway on loopback that has nothing configured to tell callers apart.
    pub(crate) fn dev() -> Self {
        Self::with_everything("dev", Identity::Dev)
    }

    /// The holder of `SANDGATE_ADMIN_KEY`.
    pub(crate) fn admin() -> Self {
        Self::with_everything("admin", Identity::Admin)
    }

    /// The gateway, as it goes on with what an owner has begun; allowed what has this scope.
    pub(crate) fn of_owner(owner: Owner, scope: &str) -> Self {
        Self {
            owner,
            identity: Identity::Gateway,
            scopes: Scopes::of([scope]),
        }
    }

    fn with_everything(name: &str, identity: Identity) -> Self {
        Self {
            owner: Owner {
                org_id: name.to_owned(),
                user_id: name.to_owned(),
            },
            identity,
            scopes: Scopes::all(),
        }
    }

    /// Whether something with this owner is the caller's own, or of somebody it may act for.
    pub(crate) fn owns(&self, org_id: &str, user_id: &str) -> bool {
        self.scopes.act_as || (self.owner.org_id == org_id && self.owner.user_id == user_id)
    }

    /// Whether it may call something that wants this scope.
    pub(crate) fn allowed(&self, scope: &str) -> Result<()> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        Err(problem::scope_required(scope))
    }

    /// Whom a request names; the caller where it names nobody.
    pub(crate) fn or_named(&self, org_id: &str, user_id: &str) -> Owner {
        let asked = |asked: &str, own: &str| match asked {
            "" => own.to_owned(),
            asked => asked.to_owned(),
        };
        Owner {
            org_id: asked(org_id, &self.owner.org_id),
            user_id: asked(user_id, &self.owner.user_id),
        }
    }

    /// Whom a request is for: the caller, or whom it names where the caller may act for others.
    pub(crate) fn acting_for(&self, org_id: &str, user_id: &str) -> Result<Owner> {
        let owner = self.or_named(org_id, user_id);
        if owner != self.owner {
            self.allowed(ACT_AS)?;
        }
        Ok(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann(scopes: &[&str]) -> Principal {
        Principal {
            owner: Owner {
                org_id: "acme".into(),
                user_id: "ann".into(),
            },
            identity: Identity::Key("k".into()),
            scopes: Scopes::of(scopes.iter().copied()),
        }
    }

    #[test]
    fn no_scopes_are_all_on_ones_own_things() {
        let ann = ann(&[]);
        assert!(ann.allowed("sandboxes.write").is_ok() && ann.owns("acme", "ann"));
        assert!(ann.allowed(ADMIN).is_err() && ann.allowed(ACT_AS).is_err());
        assert!(!ann.owns("acme", "bob") && !ann.owns("other", "ann"));
        assert!(ann.acting_for("", "bob").is_err() && ann.acting_for("other", "").is_err());
        assert_eq!(ann.acting_for("acme", "").unwrap(), ann.owner);
    }

    #[test]
    fn a_list_of_scopes_is_all_there_is() {
        let ann = ann(&["sessions.read", ACT_AS]);
        assert!(ann.allowed("sessions.read").is_ok() && ann.allowed("sessions.write").is_err());
        assert!(ann.owns("other", "bob") && ann.allowed(ADMIN).is_err());
        assert_eq!(ann.acting_for("other", "").unwrap().user_id, "ann");
        assert!(Scopes::exists("files.write") && Scopes::exists(ADMIN) && !Scopes::exists("x"));
    }
}
