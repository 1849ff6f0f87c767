//! Objects in a folder; and what addresses of stores mean.

mod answers;

use std::{fs, os::unix::fs::PermissionsExt as _};

use secrecy::SecretString;

use super::*;

const KEY: &str = "0a1b2c";

fn in_folder() -> (Objects, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let place = FilesPlace::Folder(folder.path().join("files"));
    (Objects::open(&place).unwrap(), folder)
}

#[tokio::test]
async fn what_was_put_is_read_in_parts_and_removed_twice() {
    let (objects, folder) = in_folder();
    objects
        .put(KEY, Bytes::from_static(b"hello"))
        .await
        .unwrap();
    assert_eq!(objects.get(KEY, 1..4).await.unwrap(), "ell");
    assert!(matches!(
        objects.get(KEY, 1..9).await,
        Err(ObjectsError::Cut | ObjectsError::Store(_))
    ));
    let place = folder.path().join("files");
    assert_eq!(fs::read(place.join("0a").join(KEY)).unwrap(), b"hello");
    let mode = fs::metadata(&place).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for _ in 0..2 {
        assert_eq!(objects.remove(vec![KEY.to_owned()]).await, [KEY]);
    }
    assert!(matches!(
        objects.get(KEY, 0..1).await,
        Err(ObjectsError::Missing)
    ));
}

#[tokio::test]
async fn drafts_of_a_gateway_that_died_go_with_their_object() {
    let (objects, folder) = in_folder();
    let beside = folder.path().join("files/0a");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("0a1b2c#1"), "half").unwrap();
    fs::write(beside.join("0a1b2c#2"), "half of another try").unwrap();
    fs::write(beside.join("0a1b2d#1"), "another's").unwrap();
    assert_eq!(objects.remove(vec![KEY.to_owned()]).await, [KEY]);
    let left: Vec<_> = fs::read_dir(beside).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn stores_are_told_by_their_address() {
    let open = |url: &str, options: &[(&str, &str)]| {
        let options = options.iter();
        let options = options.map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
        Objects::open(&FilesPlace::Store {
            url: url.to_owned(),
            options: options.collect(),
        })
    };
    let s3 = open("s3://bucket/some/prefix", &[("region", "eu-west-1")]).unwrap();
    assert_eq!(s3.at(KEY).as_ref(), "some/prefix/0a/0a1b2c");
    assert!(
        open(
            "az://box/x",
            &[("account_name", "a"), ("account_key", "aGk=")]
        )
        .is_ok()
    );
    for (url, options) in [
        ("ftp://x/y", [("region", "x")]),
        ("http://x/y", [("region", "x")]),
        ("nonsense", [("region", "x")]),
        ("s3://bucket", [("no_such_setting", "secret")]),
    ] {
        let error = open(url, &options).err().unwrap().to_string();
        assert!(!error.contains("secret"), "{url}: {error}");
    }
}
