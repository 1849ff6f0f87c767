//! ReadFile and StatFile: ranges, etags, what is no file.

use sandgate_proto::{
    Reason,
    v1::{FileKind, ReadFileRequest},
};
use sandgate_system::{assert_reason, fact};

use crate::{
    calls::reading,
    each::on_each,
    stand::{Kind, Stand},
};

/// More than one frame of the runner and many chunks of the contract.
const SIZE: usize = 700_000;

fn content() -> Vec<u8> {
    (0..SIZE).map(|place| (place % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_ranges_are_read() {
    on_each(|stand| {
        Box::pin(async move {
            ranges(stand).await;
            etags(stand).await;
            empty_and_sparse(stand).await;
            what_is_no_file(stand).await;
            links(stand).await;
        })
    })
    .await;
}

async fn ranges(stand: &Stand) {
    let due = content();
    let written = stand.write("data", &due).await;
    let whole = stand.read_as(reading("data")).await.unwrap();
    assert!(whole.bytes == due);
    assert_eq!(whole.info, written);
    assert_eq!(whole.info, stand.stat("data").await.unwrap());
    assert_eq!(whole.info.path, format!("{}/data", stand.workspace));
    assert_eq!(
        (whole.info.kind(), whole.info.size),
        (FileKind::File, SIZE as u64)
    );
    let end = SIZE as u64;
    for (offset, limit, from, to) in [
        (0, Some(0), 0, 0),
        (0, Some(1), 0, 1),
        (65_535, Some(2), 65_535, 65_537),
        (end - 5, None, SIZE - 5, SIZE),
        (end - 5, Some(1000), SIZE - 5, SIZE),
        (end, None, SIZE, SIZE),
    ] {
        let asked = ReadFileRequest {
            offset,
            limit,
            ..reading("data")
        };
        let read = stand.read_as(asked).await.unwrap();
        assert!(read.bytes == due[from..to], "{offset} {limit:?}");
        assert_eq!(read.info.size, end);
    }
    let past = ReadFileRequest {
        offset: end + 1,
        ..reading("data")
    };
    let refused = stand.read_as(past).await.unwrap_err();
    assert_reason(&refused, Reason::OffsetOutOfRange, "");
    assert_eq!(fact(&refused, "size"), Some(end.to_string()));
}

async fn etags(stand: &Stand) {
    let first = stand.write("tagged", b"one").await;
    let asked = |if_match: &str| ReadFileRequest {
        if_match: if_match.to_owned(),
        ..reading("tagged")
    };
    let read = stand.read_as(asked(&first.etag)).await.unwrap();
    assert_eq!((&read.bytes[..], &read.etag), (&b"one"[..], &first.etag));
    // The same size, and it may be the same second.
    let second = stand.write("tagged", b"two").await;
    assert_ne!(first.etag, second.etag);
    let refused = stand.read_as(asked(&first.etag)).await.unwrap_err();
    assert_reason(&refused, Reason::EtagMismatch, "");
    let again = ReadFileRequest {
        offset: 1,
        ..asked(&second.etag)
    };
    assert_eq!(stand.read_as(again).await.unwrap().bytes, b"wo");
}

async fn empty_and_sparse(stand: &Stand) {
    stand.write("empty", b"").await;
    let read = stand.read_as(reading("empty")).await.unwrap();
    assert_eq!((read.info.size, read.bytes.len()), (0, 0));
    stand
        .sh("truncate -s 5G sparse && printf tail >>sparse")
        .await;
    let size = 5 << 30;
    assert_eq!(stand.stat("sparse").await.unwrap().size, size + 4);
    let asked = ReadFileRequest {
        offset: size - 4,
        ..reading("sparse")
    };
    assert_eq!(stand.read_as(asked).await.unwrap().bytes, b"\0\0\0\0tail");
    // What the kernel makes up says that it is empty.
    let status = stand.read("/proc/self/status").await.unwrap();
    assert!(status.starts_with(b"Name:"));
}

async fn what_is_no_file(stand: &Stand) {
    stand.sh("mkfifo pipe; mkdir folder").await;
    stand.write("plain", b"x").await;
    for (path, reason) in [
        ("nothing", Reason::FileNotFound),
        ("folder", Reason::IsADirectory),
        ("plain/below", Reason::NotADirectory),
        ("pipe", Reason::NotARegularFile),
        ("/dev/null", Reason::NotARegularFile),
    ] {
        assert_reason(&stand.read(path).await.unwrap_err(), reason, "");
    }
    for path in ["", "a\0b", &"a".repeat(4097)] {
        let refused = stand.read(path).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "");
    }
    // Who is root in a container may read all.
    if stand.kind != Kind::Container {
        stand.sh("printf secret >closed && chmod 0 closed").await;
        let refused = stand.read("closed").await.unwrap_err();
        assert_reason(&refused, Reason::FileAccessDenied, "");
    }
    let kinds = [
        ("folder", FileKind::Directory),
        ("pipe", FileKind::Other),
        ("/dev/null", FileKind::Other),
    ];
    for (path, kind) in kinds {
        let info = stand.stat(path).await.unwrap();
        assert_eq!(
            (info.kind(), info.size, info.etag),
            (kind, 0, String::new()),
            "{path}"
        );
    }
}

async fn links(stand: &Stand) {
    stand.write("aim", b"aimed at").await;
    stand
        .sh("ln -s aim link; ln -s nowhere dangling; ln -s loop loop")
        .await;
    assert_eq!(stand.read("link").await.unwrap(), b"aimed at");
    let info = stand.stat("link").await.unwrap();
    assert_eq!(
        (info.kind(), &info.symlink_target[..]),
        (FileKind::Symlink, "aim")
    );
    for path in ["dangling", "loop"] {
        assert_eq!(stand.stat(path).await.unwrap().kind(), FileKind::Symlink);
        assert_reason(
            &stand.read(path).await.unwrap_err(),
            Reason::FileNotFound,
            "",
        );
    }
}
