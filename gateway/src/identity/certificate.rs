//! The caller that a client certificate names. That it is genuine, TLS has verified.

use std::sync::Arc;

use x509_parser::{
    certificate::X509Certificate,
    prelude::FromDer as _,
    x509::{AttributeTypeAndValue, X509Name},
};

use super::{
    Caller,
    cache::{Entry, Kind},
    name_fits,
};
use crate::{
    principal::{Identity, Owner, Principal, Scopes},
    problem::{self, Result},
};

/// Who the subject is: its organisation (O) and its name (CN), each once.
pub(super) fn verify(der: &[u8], now: i64) -> Result<Entry> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| problem::certificate_names_nobody())?;
    let until = certificate
        .validity()
        .not_after
        .timestamp()
        .saturating_mul(1000);
    // The connection may have outlived it.
    if until <= now {
        return Err(problem::authentication_required());
    }
    let owner = owner(certificate.subject()).ok_or_else(problem::certificate_names_nobody)?;
    let principal = Principal {
        identity: Identity::Certificate(owner.user_id.clone()),
        scopes: Scopes::of([]),
        owner,
    };
    Ok(Entry {
        caller: Arc::new(Caller::new(principal)),
        until,
        kind: Kind::Certificate,
    })
}

fn owner(subject: &X509Name<'_>) -> Option<Owner> {
    Some(Owner {
        org_id: only(subject.iter_organization())?,
        user_id: only(subject.iter_common_name())?,
    })
}

fn only<'a>(mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Option<String> {
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let text = value.as_str().ok()?;
    name_fits(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use sandgate_proto::Reason;

    use super::*;

    fn verified(names: &[(DnType, &str)]) -> Result<Entry> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        verify(certificate.der(), 0)
    }

    #[test]
    fn the_subject_is_the_caller() {
        let entry = verified(&[
            (DnType::OrganizationName, "acme"),
            (DnType::CommonName, "ann"),
        ])
        .unwrap();
        let principal = &entry.caller.principal;
        assert!(principal.owns("acme", "ann") && !principal.owns("acme", "bob"));
        assert_eq!(principal.identity.to_string(), "cert:ann");
        assert!(principal.allowed("sessions.read").is_ok() && principal.allowed("admin").is_err());
    }

    #[test]
    fn half_a_subject_is_nobody() {
        for names in [
            &[(DnType::CommonName, "ann")][..],
            &[(DnType::OrganizationName, "acme")],
            &[(DnType::OrganizationName, ""), (DnType::CommonName, "ann")],
            &[],
        ] {
            let refused = verified(names).err().unwrap();
            assert_eq!(refused.reason(), Reason::AuthenticationRequired);
        }
        assert!(verify(b"no certificate", 0).is_err());
    }
}
