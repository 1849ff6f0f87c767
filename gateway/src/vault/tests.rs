//! Sealing and opening.

use std::{collections::BTreeSet, sync::Arc};

use futures::FutureExt as _;
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};

use super::*;

const LABEL: Label<'_> = Label {
    org_id: "acme",
    owner: "ann",
    kind: "connection",
    name: "e2b",
};

fn vault(keys: &str) -> Vault {
    let keys = Keyring::parse(&SecretString::from(keys)).unwrap();
    Vault::new(Arc::new(keys))
}

/// `id:base64` of a key that is 32 times this byte.
fn key(id: &str, byte: u8) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

/// Keys of which the first writes.
fn keys(keys: &[(&str, u8)]) -> String {
    let keys: Vec<_> = keys.iter().map(|(id, byte)| key(id, *byte)).collect();
    keys.join(",")
}

/// What keys in this process answer at once.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

fn seal(vault: &Vault, value: &[u8]) -> Sealed {
    block_on(vault.seal(&LABEL, value)).unwrap()
}

fn open(vault: &Vault, label: &Label<'_>, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
    let opened = block_on(vault.open(label, bytes))?;
    Ok(opened.expose_secret().to_vec())
}

#[tokio::test]
async fn what_was_sealed_opens_under_its_label() {
    let vault = vault(&key("a", 1));
    let sealed = vault.seal(&LABEL, b"value").await.unwrap();
    assert_eq!(sealed.key_id, "a");
    let opened = vault.open(&LABEL, &sealed.bytes).await.unwrap();
    assert_eq!(opened.expose_secret(), b"value");
}

proptest! {
    #[test]
    fn every_value_comes_back_and_none_shows(value in prop::collection::vec(any::<u8>(), 0..2000)) {
        let vault = vault(&key("a", 1));
        let sealed = seal(&vault, &value);
        prop_assert_eq!(open(&vault, &LABEL, &sealed.bytes).unwrap(), &value[..]);
        let shows = sealed.bytes.windows(value.len().max(1)).any(|part| part == value);
        prop_assert!(value.len() < 8 || !shows);
    }

    #[test]
    fn truncated_bytes_never_open(value in prop::collection::vec(any::<u8>(), 0..64), cut: prop::sample::Index) {
        let vault = vault(&key("a", 1));
        let sealed = seal(&vault, &value).bytes;
        prop_assert!(open(&vault, &LABEL, &sealed[..cut.index(sealed.len())]).is_err());
        prop_assert!(open(&vault, &LABEL, &sealed[1..]).is_err());
        prop_assert!(open(&vault, &LABEL, &[sealed.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn a_flipped_bit_never_opens(value in prop::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0..8u8) {
        let vault = vault(&key("a", 1));
        let mut sealed = seal(&vault, &value).bytes;
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(open(&vault, &LABEL, &sealed).is_err());
        prop_assert!(block_on(vault.rewrap(&LABEL, &sealed)).map_or(true, |new| new.is_none()));
    }

    #[test]
    fn bytes_of_another_version_never_open(version in any::<u8>()) {
        let vault = vault(&key("a", 1));
        let mut sealed = seal(&vault, b"value").bytes;
        prop_assume!(version != sealed[0]);
        sealed[0] = version;
        prop_assert!(matches!(open(&vault, &LABEL, &sealed), Err(VaultError::Malformed)));
    }

    #[test]
    fn rubbish_never_opens(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let vault = vault(&key("a", 1));
        prop_assert!(open(&vault, &LABEL, &bytes).is_err());
        prop_assert!(open(&vault, &LABEL, &[&[envelope::VERSION, 1, b'a'], bytes.as_slice()].concat()).is_err());
    }

    #[test]
    fn another_label_never_opens(parts in prop::array::uniform4("[a-c#]{0,3}"), other in prop::array::uniform4("[a-c#]{0,3}")) {
        prop_assume!(parts != other);
        let vault = vault(&key("a", 1));
        let [org_id, owner, kind, name] = &parts;
        let own = Label { org_id, owner, kind, name };
        let sealed = block_on(vault.seal(&own, b"value")).unwrap();
        let [org_id, owner, kind, name] = &other;
        let label = Label { org_id, owner, kind, name };
        prop_assert!(matches!(open(&vault, &label, &sealed.bytes), Err(VaultError::Refused)));
        prop_assert!(open(&vault, &own, &sealed.bytes).is_ok());
    }

    #[test]
    fn malformed_keys_are_never_shown(text in "[A-Za-z0-9+/=:_!-]{9,60}", before in 0..3u8) {
        let mut list: Vec<_> = (0..before).map(|n| key(&format!("k{n}"), n)).collect();
        list.push(text.clone());
        if let Err(error) = Keyring::parse(&SecretString::from(list.join(","))) {
            prop_assert!(!error.to_string().contains(&text));
            let debug = format!("{error:?}");
            prop_assert!(!debug.contains(&text));
            prop_assert_eq!(error, KeyError::Form(usize::from(before) + 1));
        }
    }
}

#[test]
fn each_seal_has_its_own_nonces_and_data_key() {
    const SEALS: usize = 10_000;
    let vault = vault(&key("a", 1));
    let (mut wraps, mut nonces, mut data_keys) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..SEALS {
        let sealed = seal(&vault, b"value").bytes;
        let envelope = Envelope::parse(&sealed).unwrap();
        let wrapped = envelope.wrapped();
        let data_key = block_on(vault.kms.unwrap(&wrapped, &LABEL.bytes())).unwrap();
        wraps.insert(wrapped.bytes[..12].to_vec());
        nonces.insert(envelope.content[..12].to_vec());
        data_keys.insert(data_key.expose_secret().to_vec());
    }
    let unique = [wraps.len(), nonces.len(), data_keys.len()];
    assert_eq!(unique, [SEALS; 3]);
    assert!(wraps.is_disjoint(&nonces));
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let sealed = seal(&vault(&key("gone", 1)), b"value");
    let other = vault(&key("here", 2));
    let named = |error| matches!(error, VaultError::UnknownKey(id) if id == "gone");
    assert!(named(open(&other, &LABEL, &sealed.bytes).unwrap_err()));
    let rewrapped = block_on(other.rewrap(&LABEL, &sealed.bytes));
    assert!(named(rewrapped.unwrap_err()));
    // The same id with other bytes is no such case.
    let wrong = open(&vault(&key("gone", 2)), &LABEL, &sealed.bytes);
    assert!(matches!(wrong, Err(VaultError::Refused)));
}

#[test]
fn all_keys_read_and_the_first_writes() {
    let old = vault(&key("old", 1));
    let sealed = seal(&old, b"value");
    let both = vault(&keys(&[("new", 2), ("older", 3), ("old", 1)]));
    assert_eq!(both.key_id(), "new");
    assert_eq!(open(&both, &LABEL, &sealed.bytes).unwrap(), b"value");
    assert_eq!(seal(&both, b"value").key_id, "new");
}

#[test]
fn rewrapping_keeps_the_content_and_moves_the_key() {
    let old = vault(&key("old", 1));
    let both = vault(&keys(&[("new", 2), ("old", 1)]));
    let sealed = seal(&old, b"value");
    let moved = block_on(both.rewrap(&LABEL, &sealed.bytes))
        .unwrap()
        .unwrap();
    assert_eq!(moved.key_id, "new");
    let content = |sealed: &Sealed| Envelope::parse(&sealed.bytes).unwrap().content.to_vec();
    assert_eq!(content(&moved), content(&sealed));
    let new = vault(&key("new", 2));
    assert_eq!(open(&new, &LABEL, &moved.bytes).unwrap(), b"value");
    assert!(open(&old, &LABEL, &moved.bytes).is_err());
    assert!(
        block_on(both.rewrap(&LABEL, &moved.bytes))
            .unwrap()
            .is_none()
    );
    let elsewhere = Label {
        owner: "bob",
        ..LABEL
    };
    assert!(block_on(both.rewrap(&elsewhere, &sealed.bytes)).is_err());
    // What was changed is not made to look new.
    let mut changed = sealed.bytes;
    *changed.last_mut().unwrap() ^= 1;
    assert!(block_on(both.rewrap(&LABEL, &changed)).is_err());
}

#[test]
fn a_list_of_keys_is_read_or_refused() {
    let read = |text: &str| Keyring::parse(&SecretString::from(text));
    let shown = read(&format!(
        " {}\n{},\t{}\r\n",
        key("a", 1),
        key("b-2", 2),
        key("c.3", 3)
    ));
    assert_eq!(format!("{:?}", shown.unwrap()), r#"["a", "b-2", "c.3"]"#);
    assert_eq!(read(" ,\n").unwrap_err(), KeyError::None);
    let twice = [key("a", 1), key("a", 2)].join(" ");
    assert_eq!(read(&twice).unwrap_err(), KeyError::Twice("a".into()));
    let good = key("a", 1);
    let long = "x".repeat(65);
    for bad in [
        "a",
        "a:",
        ":AAAA",
        "a:AAAA",
        "a:not base64",
        &good.replace("a:", &format!("{long}:")),
        &good.replace("a:", "a b:"),
        &good.replace("a:", "é:"),
        &good[..good.len() - 1],
        &format!("{good}A"),
    ] {
        let error = read(bad).unwrap_err();
        assert!(matches!(error, KeyError::Form(_)), "{bad}: {error}");
    }
}
