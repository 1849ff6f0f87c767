//! ListDirectory: order, depth and pages.

use std::time::{Duration, Instant};

use sandgate_proto::{
    Reason,
    v1::{FileKind, ListDirectoryRequest},
};
use sandgate_system::assert_reason;

use crate::{each::on_each, stand::Stand};

/// A hundred pages are to come in this time.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn directories_come_in_order_and_in_pages() {
    on_each(|stand| {
        Box::pin(async move {
            order(stand).await;
            pages(stand).await;
            many(stand).await;
        })
    })
    .await;
}

fn listing(path: &str, depth: u32) -> ListDirectoryRequest {
    ListDirectoryRequest {
        path: path.to_owned(),
        depth,
        ..ListDirectoryRequest::default()
    }
}

async fn order(stand: &Stand) {
    stand.sh("mkdir -p l/a/b/c l/a-b l/d; cd l; touch a.txt a/b/c/deep a/x B é; ln -s a link; mkfifo pipe; chmod 0 d").await;
    let top = format!("{}/l/", stand.workspace);
    let seen = |depth| {
        let top = top.clone();
        async move {
            let all = stand.list("l", depth).await;
            let paths = all
                .iter()
                .map(|one| one.path.strip_prefix(&top).unwrap().to_owned());
            paths.collect::<Vec<_>>().join(" ")
        }
    };
    // Bytewise, of whole paths: `-` and `.` come before `/`.
    let one = "B a a-b a.txt d link pipe é";
    assert_eq!(seen(0).await, one);
    assert_eq!(seen(1).await, one);
    assert_eq!(seen(2).await, "B a a-b a.txt a/b a/x d link pipe é");
    let all = "B a a-b a.txt a/b a/b/c a/b/c/deep a/x d link pipe é";
    assert_eq!(seen(4).await, all);
    assert_eq!(seen(1000).await, all);
    let kinds: Vec<_> = stand
        .list("l", 1)
        .await
        .iter()
        .map(|one| one.kind())
        .collect();
    use FileKind::{Directory, File, Other, Symlink};
    assert_eq!(
        kinds,
        [
            File, Directory, Directory, File, Directory, Symlink, Other, File
        ]
    );
    stand.sh("chmod 755 l/d").await;
    for (path, reason) in [
        ("none", Reason::FileNotFound),
        ("l/B", Reason::NotADirectory),
        ("a\0", Reason::InvalidField),
    ] {
        let refused = stand.page(listing(path, 1)).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
}

async fn pages(stand: &Stand) {
    let (mut token, mut paths) = (String::new(), Vec::new());
    loop {
        let asked = ListDirectoryRequest {
            page_size: 2,
            page_token: token,
            ..listing("l", 3)
        };
        let page = stand.page(asked).await.unwrap();
        assert!((1..=2).contains(&page.entries.len()));
        paths.extend(page.entries.into_iter().map(|one| one.path));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let whole: Vec<_> = stand
        .list("l", 3)
        .await
        .into_iter()
        .map(|one| one.path)
        .collect();
    assert_eq!(paths, whole);
    let first = stand
        .page(ListDirectoryRequest {
            page_size: 2,
            ..listing("l", 3)
        })
        .await
        .unwrap();
    let page_token = first.next_page_token;
    for other in [listing("l", 2), listing("l/a", 3)] {
        let asked = ListDirectoryRequest {
            page_size: 2,
            page_token: page_token.clone(),
            ..other
        };
        let refused = stand.page(asked).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "page_token");
    }
}

async fn many(stand: &Stand) {
    stand
        .sh("mkdir many; cd many; seq -f %06g 100000 | xargs touch")
        .await;
    let begun = Instant::now();
    let all = stand.names("many").await;
    let took = begun.elapsed();
    assert_eq!(all.len(), 100_000);
    assert!(
        all.iter()
            .zip(1..)
            .all(|(name, due)| *name == format!("{due:06}"))
    );
    assert!(took < PATIENCE, "{:?}: {took:?}", stand.kind);
    let first = stand.page(listing("many", 1)).await.unwrap();
    assert_eq!(first.entries.len(), 50);
}
