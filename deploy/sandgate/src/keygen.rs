//! Random keys.

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};

use crate::all_in_one::Failure;

/// Bytes of an AES-256 key.
const KEY: usize = 32;

/// `sandgate keygen`: one line, `key_id:base64`, on stdout.
pub(crate) fn run() -> Result<(), Failure> {
    println!("{}", encryption_key()?);
    Ok(())
}

/// A new key-encryption key under a new id.
fn encryption_key() -> Result<String, Failure> {
    let (mut id, mut key) = ([0; 4], [0; KEY]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut key)?;
    Ok(format!(
        "k{:08x}:{}",
        u32::from_be_bytes(id),
        STANDARD.encode(key)
    ))
}

/// A token that cannot be guessed.
pub(crate) fn random_text() -> Result<String, Failure> {
    let mut bytes = [0; KEY];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_an_id_and_32_bytes_and_is_new_each_time() {
        let (one, other) = (encryption_key().unwrap(), encryption_key().unwrap());
        assert_ne!(one, other);
        let (id, key) = one.split_once(':').unwrap();
        assert!(id.len() == 9 && id.starts_with('k'));
        assert_eq!(STANDARD.decode(key).unwrap().len(), KEY);
    }
}
