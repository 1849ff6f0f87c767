//! WriteFile: what it does with a file that is there, and what it checks.

use futures::{StreamExt as _, stream};
use sandgate_proto::{
    Reason,
    v1::{Disposition, FileKind, WriteFileOpen, WriteFileRequest},
};
use sandgate_system::assert_reason;
use sha2::{Digest as _, Sha256};

use crate::{
    calls::writing,
    each::on_each,
    stand::{Kind, Stand},
};

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_as_a_whole() {
    on_each(|stand| {
        Box::pin(async move {
            dispositions(stand).await;
            dispositions_of_none(stand).await;
            modes(stand).await;
            announced(stand).await;
            parents_and_links(stand).await;
            messages(stand).await;
            refused_early(stand).await;
            only_what_was_written_is_there(stand).await;
        })
    })
    .await;
}

fn sha256(bytes: &[u8]) -> bytes::Bytes {
    Sha256::digest(bytes).to_vec().into()
}

async fn dispositions(stand: &Stand) {
    let open = |disposition: Disposition| WriteFileOpen {
        disposition: disposition.into(),
        ..writing("w/file")
    };
    stand.sh("mkdir w").await;
    let made = stand
        .write_as(open(Disposition::Create), b"one")
        .await
        .unwrap();
    assert_eq!(made.sha256, sha256(b"one"));
    let info = made.info.unwrap();
    assert_eq!(
        (info.kind(), info.size, info.mode),
        (FileKind::File, 3, Some(0o644))
    );
    let again = stand
        .write_as(open(Disposition::Create), b"no")
        .await
        .unwrap_err();
    assert_reason(&again, Reason::FileExists, "");
    let longer = stand
        .write_as(open(Disposition::Append), b" and more")
        .await
        .unwrap();
    assert_eq!(
        longer.sha256,
        sha256(b" and more"),
        "of the bytes that came"
    );
    assert_eq!(longer.info.unwrap().size, 12);
    assert_eq!(stand.read("w/file").await.unwrap(), b"one and more");
    stand
        .write_as(open(Disposition::Replace), b"two")
        .await
        .unwrap();
    stand
        .write_as(open(Disposition::Unspecified), b"three")
        .await
        .unwrap();
    assert_eq!(stand.read("w/file").await.unwrap(), b"three");
}

async fn dispositions_of_none(stand: &Stand) {
    let open = WriteFileOpen {
        disposition: 77,
        ..writing("w/file")
    };
    let unknown = stand.write_as(open, b"").await.unwrap_err();
    assert_reason(&unknown, Reason::InvalidField, "disposition");
    let open = WriteFileOpen {
        disposition: Disposition::Append.into(),
        ..writing("w/new")
    };
    stand.write_as(open, b"new").await.unwrap();
    assert_eq!(stand.read("w/new").await.unwrap(), b"new");
}

async fn modes(stand: &Stand) {
    let mode = |mode| WriteFileOpen {
        mode,
        ..writing("w/mode")
    };
    for (asked, due) in [
        (Some(0o640), 0o640),
        (None, 0o640),
        (Some(0o7777), 0o7777),
        (Some(0o200), 0o200),
    ] {
        let info = stand
            .write_as(mode(asked), b"x")
            .await
            .unwrap()
            .info
            .unwrap();
        assert_eq!(info.mode, Some(due), "{asked:?}");
    }
    let refused = stand.write_as(mode(Some(0o10000)), b"x").await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "mode");
    assert_eq!(stand.stat("w/mode").await.unwrap().mode, Some(0o200));
}

/// What is not as `right` says, and why.
fn wrong(right: &WriteFileOpen) -> [(WriteFileOpen, Reason); 5] {
    [
        (
            WriteFileOpen {
                expected_size: Some(299_999),
                ..right.clone()
            },
            Reason::ContentMismatch,
        ),
        (
            WriteFileOpen {
                expected_size: Some(0),
                ..right.clone()
            },
            Reason::ContentMismatch,
        ),
        (
            WriteFileOpen {
                sha256: sha256(b""),
                ..right.clone()
            },
            Reason::ContentMismatch,
        ),
        (
            WriteFileOpen {
                if_match: "other".to_owned(),
                ..right.clone()
            },
            Reason::EtagMismatch,
        ),
        (
            WriteFileOpen {
                sha256: b"short"[..].into(),
                ..right.clone()
            },
            Reason::InvalidField,
        ),
    ]
}

/// What is not as it was announced leaves the old file.
async fn announced(stand: &Stand) {
    let bytes = vec![7; 300_000];
    let old = stand.write("w/old", b"old").await;
    let right = WriteFileOpen {
        expected_size: Some(300_000),
        sha256: sha256(&bytes),
        if_match: old.etag.clone(),
        ..writing("w/old")
    };
    for (open, reason) in wrong(&right) {
        let refused = stand.write_as(open, &bytes).await.unwrap_err();
        assert_reason(&refused, reason, "");
        assert_eq!(stand.read("w/old").await.unwrap(), b"old");
    }
    let new = stand
        .write_as(right.clone(), &bytes)
        .await
        .unwrap()
        .info
        .unwrap();
    assert_ne!(new.etag, old.etag);
    assert!(stand.read("w/old").await.unwrap() == bytes);
    let late = stand.write_as(right, &bytes).await.unwrap_err();
    assert_reason(&late, Reason::EtagMismatch, "");
    let missing = WriteFileOpen {
        if_match: old.etag,
        ..writing("w/missing")
    };
    let missing = stand.write_as(missing, b"").await.unwrap_err();
    assert_reason(&missing, Reason::EtagMismatch, "");
}

async fn parents_and_links(stand: &Stand) {
    let deep = "w/a/b/c/file";
    let refused = stand.write_as(writing(deep), b"x").await.unwrap_err();
    assert_reason(&refused, Reason::FileNotFound, "");
    let open = WriteFileOpen {
        create_parents: true,
        ..writing(deep)
    };
    stand.write_as(open.clone(), b"x").await.unwrap();
    stand.write_as(open, b"y").await.unwrap();
    assert_eq!(stand.stat("w/a/b").await.unwrap().mode, Some(0o755));
    stand
        .sh("ln -s a/b/c/file w/link; ln -s a/b/made w/dangling; mkfifo w/pipe")
        .await;
    stand.write("w/link", b"through").await;
    assert_eq!(
        stand.stat("w/link").await.unwrap().kind(),
        FileKind::Symlink
    );
    assert_eq!(stand.read(deep).await.unwrap(), b"through");
    stand.write("w/dangling", b"made").await;
    assert_eq!(stand.read("w/a/b/made").await.unwrap(), b"made");
    let below = WriteFileOpen {
        create_parents: true,
        ..writing("w/link/below")
    };
    for (open, reason) in [
        (writing("w/a"), Reason::IsADirectory),
        (writing("w/pipe"), Reason::NotARegularFile),
        (writing("w/link/below"), Reason::NotADirectory),
        (below, Reason::NotADirectory),
    ] {
        let refused = stand.write_as(open, b"x").await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
    let closed = match stand.kind {
        Kind::Container => "/sys/file",
        Kind::Local | Kind::E2b => "/usr/file",
    };
    let refused = stand.write_as(writing(closed), b"x").await.unwrap_err();
    assert_reason(&refused, Reason::FileAccessDenied, "");
}

async fn messages(stand: &Stand) {
    let all = vec![9; 3 << 20];
    let mut first = stand.first_write(writing("w/one"));
    first.data = all.clone().into();
    stand
        .files()
        .write_file(stream::iter([first.clone()]))
        .await
        .unwrap();
    assert!(stand.read("w/one").await.unwrap() == all);
    // Empty messages are as good as none.
    let empty = WriteFileRequest::default();
    let messages = [first.clone(), empty.clone(), empty.clone()];
    stand
        .files()
        .write_file(stream::iter(messages))
        .await
        .unwrap();
    assert_eq!(stand.stat("w/one").await.unwrap().size, 3 << 20);
    let twice = stand
        .files()
        .write_file(stream::iter([first.clone(), first]))
        .await;
    assert_reason(&twice.unwrap_err(), Reason::InvalidField, "open");
    let mut unopened = stand.first_write(writing("w/one"));
    unopened.open = None;
    let unopened = stand.files().write_file(stream::iter([unopened])).await;
    assert_reason(&unopened.unwrap_err(), Reason::InvalidField, "open");
    assert!(stand.read("w/one").await.unwrap() == all);
}

/// A caller that would send for ever hears that it need not.
async fn refused_early(stand: &Stand) {
    if stand.kind == Kind::E2b {
        // There the content is taken in before the sandbox is asked.
        return;
    }
    let first = stand.first_write(writing("w"));
    let endless = stream::repeat(WriteFileRequest {
        data: vec![1; 100_000].into(),
        ..WriteFileRequest::default()
    });
    let messages = stream::iter([first]).chain(endless);
    let refused = stand.files().write_file(messages).await.unwrap_err();
    assert_reason(&refused, Reason::IsADirectory, "");
}

async fn only_what_was_written_is_there(stand: &Stand) {
    let names = stand.names("w").await;
    let due = [
        "a", "dangling", "file", "link", "mode", "new", "old", "one", "pipe",
    ];
    assert_eq!(names, due);
}
