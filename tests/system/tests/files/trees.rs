//! Round trips of random trees: what goes in comes out.

use std::{path::Path, process::Stdio};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sandgate_proto::v1::{
    Compression, DownloadArchiveRequest, FileKind, MakeDirectoryRequest, WriteFileOpen,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command, runtime::Handle, task::block_in_place};

use crate::{
    calls::{packing, writing},
    each::on_each,
    stand::Stand,
    tree::{Node, Tree, grow, seen, trees},
};

/// Trees on each provider.
const ARCHIVES: u32 = 10;
const FILES: u32 = 4;

/// Another program's archive goes in, and what comes out is for that program, too.
#[tokio::test(flavor = "multi_thread")]
async fn trees_go_through_archives() {
    let name = || {
        prop_oneof![
            Just(b"a".to_vec()),
            Just(b"-b".to_vec()),
            Just(b"c\nd".to_vec()),
            Just(b"'\"$`\\*".to_vec()),
            Just(b"\xff\xfe".to_vec()),
            Just(vec![0xff; 130]),
            Just(vec![b'm'; 255]),
        ]
    };
    on_each(move |stand| {
        Box::pin(async move {
            let asked = (trees(name()), 0_i32..4, any::<bool>());
            all(ARCHIVES, &asked, |(tree, how, pax)| {
                archive(stand, tree, how, pax)
            });
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_go_through_files() {
    let name = || {
        prop_oneof![
            Just("a".to_owned()),
            Just("-b".to_owned()),
            Just("'\"$`\\*".to_owned()),
            "[^/\0]{1,40}".prop_filter("no name", |name| name != "." && name != ".."),
        ]
        .prop_map(String::into_bytes)
    };
    on_each(move |stand| {
        Box::pin(async move {
            all(FILES, &trees(name()), |tree| files(stand, tree));
        })
    })
    .await;
}

/// Runs so many cases, one after another; each is a future.
fn all<S: Strategy, F: Future<Output = ()>>(cases: u32, strategy: &S, run: impl Fn(S::Value) -> F) {
    let config = Config {
        cases,
        max_shrink_iters: 50,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let run = |value| {
        Handle::current().block_on(run(value));
        Ok(())
    };
    block_in_place(|| runner.run(strategy, run)).unwrap();
}

async fn archive(stand: &Stand, tree: Tree, how: i32, pax: bool) {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    grow(from.path(), &tree);
    let due = seen(from.path());
    assert_eq!(due, tree);
    // Only the older form of a list of holes is one that is read.
    let how_to: &[&str] = match pax {
        true => &["--create", "--format=posix", "."],
        false => &["--create", "--format=gnu", "--sparse", "."],
    };
    let packed = gnu_tar(from.path(), how_to, b"").await;
    let top = format!("t-{}", uuid::Uuid::new_v4());
    let done = stand.upload(&top, &packed).await.unwrap();
    assert_eq!(
        (done.entries, done.skipped_count),
        (due.len() as u64, 0),
        "{done:?}"
    );
    let compression = Compression::try_from(how).unwrap();
    let asked = DownloadArchiveRequest {
        compression: compression.into(),
        ..packing(&top)
    };
    let (archive, summary) = stand.download(asked).await.unwrap();
    assert_eq!(summary, done);
    let plain = match compression {
        Compression::Zstd => zstd::decode_all(&archive[..]).unwrap(),
        Compression::Gzip => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&archive[..]);
            std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            plain
        }
        Compression::Unspecified | Compression::None => archive,
    };
    gnu_tar(to.path(), &["--extract", "--preserve-permissions"], &plain).await;
    assert_eq!(seen(to.path()), due);
}

/// Runs the tar of this machine in a folder; what it writes.
async fn gnu_tar(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("tar")
        .args(["--file", "-", "--no-same-owner", "--directory"])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let give = async move { stdin.write_all(input).await.unwrap() };
    let (output, ()) = tokio::join!(child.wait_with_output(), give);
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

async fn files(stand: &Stand, tree: Tree) {
    let top = format!("f-{}", uuid::Uuid::new_v4());
    stand.make(making(&top, 0o755)).await.unwrap();
    let path = |name: &[u8]| format!("{top}/{}", std::str::from_utf8(name).unwrap());
    for (name, node) in &tree {
        let path = path(name);
        match node {
            Node::Folder(mode) => drop(stand.make(making(&path, *mode)).await.unwrap()),
            Node::File(mode, _, content) => {
                let open = WriteFileOpen {
                    mode: Some(*mode),
                    ..writing(&path)
                };
                stand.write_as(open, content).await.unwrap();
            }
            Node::Link(target) => {
                let target = std::str::from_utf8(target).unwrap();
                stand.run(&["ln", "-sT", "--", target, &path]).await;
            }
        }
    }
    let all = stand.list(&top, 64).await;
    assert_eq!(all.len(), tree.len());
    for (info, (name, node)) in all.iter().zip(&tree) {
        let path = path(name);
        assert_eq!(info.path, format!("{}/{path}", stand.workspace));
        assert_eq!(stand.stat(&path).await.unwrap(), *info);
        match node {
            Node::Folder(mode) => {
                assert_eq!((info.kind(), info.mode), (FileKind::Directory, Some(*mode)));
            }
            Node::File(mode, _, content) => {
                assert_eq!((info.kind(), info.mode), (FileKind::File, Some(*mode)));
                assert!(stand.read(&path).await.unwrap() == *content);
            }
            Node::Link(target) => {
                assert_eq!(info.kind(), FileKind::Symlink);
                assert_eq!(info.symlink_target.as_bytes(), target);
            }
        }
    }
}

fn making(path: &str, mode: u32) -> MakeDirectoryRequest {
    MakeDirectoryRequest {
        path: path.to_owned(),
        mode: Some(mode),
        ..MakeDirectoryRequest::default()
    }
}
