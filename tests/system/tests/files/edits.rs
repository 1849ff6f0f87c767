//! MakeDirectory, RemoveFile, MoveFile.

use sandgate_proto::{
    Reason,
    v1::{FileKind, MakeDirectoryRequest, MoveFileRequest, RemoveFileRequest},
};
use sandgate_system::assert_reason;

use crate::{each::on_each, stand::Stand};

#[tokio::test(flavor = "multi_thread")]
async fn names_are_made_moved_and_removed() {
    on_each(|stand| {
        Box::pin(async move {
            directories(stand).await;
            moves(stand).await;
            removes(stand).await;
            what_stays(stand).await;
        })
    })
    .await;
}

fn making(path: &str, parents: bool, mode: Option<u32>) -> MakeDirectoryRequest {
    MakeDirectoryRequest {
        path: path.to_owned(),
        parents,
        mode,
        ..MakeDirectoryRequest::default()
    }
}

fn moving(path: &str, new_path: &str, replace: bool) -> MoveFileRequest {
    MoveFileRequest {
        path: path.to_owned(),
        new_path: new_path.to_owned(),
        replace,
        ..MoveFileRequest::default()
    }
}

fn removing(path: &str, recursive: bool, allow_missing: bool) -> RemoveFileRequest {
    RemoveFileRequest {
        path: path.to_owned(),
        recursive,
        allow_missing,
        ..RemoveFileRequest::default()
    }
}

async fn directories(stand: &Stand) {
    let info = stand.make(making("m", false, None)).await.unwrap();
    assert_eq!((info.kind(), info.mode), (FileKind::Directory, Some(0o755)));
    assert_eq!((info.size, info.etag), (0, String::new()));
    let info = stand
        .make(making("m/a/b", true, Some(0o1700)))
        .await
        .unwrap();
    assert_eq!(info.mode, Some(0o1700));
    stand.make(making("m/a/b", true, None)).await.unwrap();
    stand.write("m/file", b"x").await;
    for (request, reason) in [
        (making("m", false, None), Reason::FileExists),
        (making("m/file", true, None), Reason::FileExists),
        (making("m/file/a", true, None), Reason::NotADirectory),
        (making("m/x/y", false, None), Reason::FileNotFound),
        (making("m/z", false, Some(0o10000)), Reason::InvalidField),
        (making("", true, None), Reason::InvalidField),
    ] {
        let refused = stand.make(request.clone()).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
}

async fn moves(stand: &Stand) {
    stand.sh("mkdir v v/full v/empty; printf 1 >v/one; printf 2 >v/two; printf 3 >v/full/x; ln -s one v/link").await;
    for (request, reason) in [
        (moving("v/one", "v/two", false), Reason::FileExists),
        (moving("v/one", "v/link", false), Reason::FileExists),
        (moving("v/none", "v/two", true), Reason::FileNotFound),
        (moving("v/one", "v/none/x", true), Reason::FileNotFound),
        (moving("v/one", "v/two/x", true), Reason::NotADirectory),
        // Never "into a directory".
        (moving("v/one", "v/empty", true), Reason::IsADirectory),
        (moving("v/empty", "v/full", true), Reason::DirectoryNotEmpty),
        (moving("v/full", "v/one", true), Reason::NotADirectory),
        (moving("v", "v/full/y", false), Reason::InvalidField),
    ] {
        let refused = stand.rename(request).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
    let moved = stand.rename(moving("v/one", "v/two", true)).await.unwrap();
    assert_eq!((&moved.name[..], moved.size), ("two", 1));
    assert_eq!(stand.read("v/two").await.unwrap(), b"1");
    stand
        .rename(moving("v/full", "v/empty", true))
        .await
        .unwrap();
    assert_eq!(stand.read("v/empty/x").await.unwrap(), b"3");
    let link = stand
        .rename(moving("v/link", "v/other", false))
        .await
        .unwrap();
    assert_eq!(
        (link.kind(), &link.symlink_target[..]),
        (FileKind::Symlink, "one")
    );
    // To another file system.
    let far = format!("/tmp/moved-{}", stand.sandbox_id);
    stand.rename(moving("v/two", &far, false)).await.unwrap();
    assert_eq!(stand.read(&far).await.unwrap(), b"1");
    assert_eq!(stand.names("v").await, ["empty", "other"]);
}

async fn removes(stand: &Stand) {
    stand.sh("mkdir -p r/full; printf x >r/full/x; printf kept >kept; ln -s ../kept r/link; ln -s full r/dir; ln -s ../m r/full/out").await;
    for (request, reason) in [
        (removing("r/none", false, false), Reason::FileNotFound),
        (removing("r/full", false, false), Reason::DirectoryNotEmpty),
        (removing("kept/x", true, false), Reason::NotADirectory),
    ] {
        let refused = stand.remove(request).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
    for request in [
        removing("r/none", false, true),
        removing("r/link", true, false),
        removing("r/dir", true, false),
        removing("r/full", true, false),
        removing("r/full", true, true),
    ] {
        stand.remove(request).await.unwrap();
    }
    assert!(stand.names("r").await.is_empty());
    assert_eq!(stand.read("kept").await.unwrap(), b"kept");
    assert_eq!(stand.names("m").await, ["a", "file"]);
}

async fn what_stays(stand: &Stand) {
    let workspace = stand.workspace.clone();
    for path in ["/", "/..", ".", &workspace, &format!("{workspace}/m/..")] {
        for recursive in [false, true] {
            let refused = stand
                .remove(removing(path, recursive, true))
                .await
                .unwrap_err();
            assert_reason(&refused, Reason::InvalidField, "path");
        }
    }
    assert_eq!(stand.names("m").await, ["a", "file"]);
}
