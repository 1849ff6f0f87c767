//! A disk that is full: told, and nothing is changed by it.

use sandgate_proto::{
    Reason,
    v1::{Disposition, MoveFileRequest, WriteFileOpen},
};
use sandgate_system::assert_reason;

use crate::{calls::writing, each::on_each, stand::Stand, tar::Tar};

/// What is left on the disk, 4 MiB, is less than this.
const SIZE: usize = 6 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told() {
    on_each(|stand| {
        Box::pin(async move {
            // A disk in memory, of 64 MiB.
            stand.sh("cd /dev/shm; printf old >file; head -c 60M /dev/zero | tr '\\0' x >fill; mkdir d").await;
            writes(stand).await;
            archives(stand).await;
            moves(stand).await;
            stand.sh("rm /dev/shm/fill").await;
            stand.write("/dev/shm/file", &vec![1; SIZE]).await;
            assert_eq!(stand.stat("/dev/shm/file").await.unwrap().size, SIZE as u64);
        })
    })
    .await;
}

async fn writes(stand: &Stand) {
    for disposition in [Disposition::Replace, Disposition::Append] {
        let open = WriteFileOpen {
            disposition: disposition.into(),
            ..writing("/dev/shm/file")
        };
        let refused = stand.write_as(open, &vec![1; SIZE]).await.unwrap_err();
        assert_reason(&refused, Reason::DiskFull, "remove something");
        assert_eq!(stand.read("/dev/shm/file").await.unwrap(), b"old");
    }
    assert_eq!(stand.names("/dev/shm").await, ["d", "file", "fill"]);
}

async fn archives(stand: &Stand) {
    let archive = Tar::default()
        .file("fits", b"fits")
        .file("large", &vec![1; SIZE])
        .end();
    let refused = stand.upload("/dev/shm/d", &archive).await.unwrap_err();
    assert_reason(&refused, Reason::DiskFull, "");
    assert_eq!(stand.names("/dev/shm/d").await, ["fits"]);
}

/// To another file system it is a copy.
async fn moves(stand: &Stand) {
    stand.write("large", &vec![1; SIZE]).await;
    let rename = MoveFileRequest {
        path: "large".to_owned(),
        new_path: "/dev/shm/d/large".to_owned(),
        ..MoveFileRequest::default()
    };
    let refused = stand.rename(rename).await.unwrap_err();
    assert_reason(&refused, Reason::DiskFull, "");
    assert_eq!(stand.stat("large").await.unwrap().size, SIZE as u64);
    assert_eq!(stand.names("/dev/shm/d").await, ["fits"]);
}
