//! Names are bytes and nothing else: no shell, no pattern, no option is made of them.

use sandgate_proto::{
    Reason,
    v1::{FileKind, MoveFileRequest, RemoveFileRequest},
};
use sandgate_system::assert_reason;

use crate::{calls::packing, each::on_each, stand::Stand};

const ODD: &[&str] = &[
    " ",
    "-rf",
    "--help",
    "a'b",
    "a\"b",
    "a`touch hacked`b",
    "$(touch hacked)",
    "; touch hacked;",
    "a\nb\n",
    "a\tb\r",
    "\u{1b}[31m",
    "*",
    "?[a]",
    "\\",
    "~",
    "%s%n",
    "...",
    "naïve ünïcödé 漢字 🦀",
    "a&b|c>d<e",
    "{x}",
];

#[tokio::test(flavor = "multi_thread")]
async fn names_are_only_names() {
    on_each(|stand| {
        Box::pin(async move {
            odd(stand).await;
            not_utf8(stand).await;
            long(stand).await;
        })
    })
    .await;
}

async fn odd(stand: &Stand) {
    stand.sh("mkdir n").await;
    let longest = "l".repeat(255);
    let all: Vec<&str> = ODD.iter().copied().chain([&longest[..]]).collect();
    for name in &all {
        let path = format!("n/{name}");
        let info = stand.write(&path, name.as_bytes()).await;
        assert_eq!((&info.name[..], info.raw_name.len()), (*name, 0));
        assert_eq!(
            stand.read(&path).await.unwrap(),
            name.as_bytes(),
            "{name:?}"
        );
        assert_eq!(stand.stat(&path).await.unwrap(), info);
    }
    let mut due = all.clone();
    due.sort_unstable();
    assert_eq!(stand.names("n").await, due);
    for name in &all {
        // At the beginning of a path, too, where an option would be.
        let (path, new_path) = (format!("n/{name}"), (*name).to_owned());
        let rename = MoveFileRequest {
            path,
            new_path,
            ..MoveFileRequest::default()
        };
        let moved = stand.rename(rename).await.unwrap();
        assert_eq!(moved.path, format!("{}/{name}", stand.workspace));
        assert_eq!(stand.read(name).await.unwrap(), name.as_bytes());
        let (_, summary) = stand.download(packing(name)).await.unwrap();
        assert_eq!((summary.entries, summary.skipped_count), (1, 0), "{name:?}");
        let gone = RemoveFileRequest {
            path: (*name).to_owned(),
            ..RemoveFileRequest::default()
        };
        stand.remove(gone).await.unwrap();
    }
    assert_eq!(stand.names("").await, ["n"]);
    assert!(stand.names("n").await.is_empty());
}

async fn not_utf8(stand: &Stand) {
    // Behind a directory that is not UTF-8 there is no way by path, but there is by archive.
    stand.sh(r"mkdir u; printf x >u/$(printf 'b\377d'); mkdir u/$(printf '\376'); printf y >u/$(printf '\376')/in").await;
    let all = stand.list("u", 2).await;
    let seen: Vec<_> = all
        .iter()
        .map(|one| (&one.name[..], &one.raw_name[..], one.kind()))
        .collect();
    let due = [
        ("b\u{fffd}d", &b"b\xffd"[..], FileKind::File),
        ("\u{fffd}", &b"\xfe"[..], FileKind::Directory),
        ("in", &b""[..], FileKind::File),
    ];
    assert_eq!(seen, due);
    assert_eq!(all[2].path, format!("{}/u/\u{fffd}/in", stand.workspace));
    let (archive, summary) = stand.download(packing("u")).await.unwrap();
    assert_eq!((summary.entries, summary.skipped_count), (3, 0));
    stand.upload("u2", &archive).await.unwrap();
    let same = "diff -r u u2 && ls u2 | od -An -c | tr -d ' \n'";
    assert_eq!(stand.sh(same).await, r"b377d\n376\n");
}

async fn long(stand: &Stand) {
    let name = "l".repeat(256);
    for path in [name.clone(), format!("n/{name}")] {
        let refused = stand.stat(&path).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "path");
    }
    // Short enough for a field, and too long with the workspace before it.
    let deep = "d/".repeat(2047);
    let refused = stand.stat(&deep).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "path");
}
