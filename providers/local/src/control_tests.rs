//! What hostile code can put in place of a socket.

use std::{fs, os::unix::net::UnixListener};

use rustix::process::{Pid, getpid, getppid};

use super::*;

fn me() -> Init {
    Init::of(getpid()).unwrap()
}

#[tokio::test]
async fn the_right_process_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    connect(folder.path(), &me()).await.unwrap();
}

#[tokio::test]
async fn another_listener_is_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let parent: Pid = getppid().unwrap();
    let refused = connect(folder.path(), &Init::of(parent).unwrap()).await;
    assert!(matches!(refused, Err(NoWay::Stranger(Some(pid))) if pid == me().pid()));
    // Nothing was said to it.
    let (mut taken, _) = listener.accept().unwrap();
    assert_eq!(io::Read::read(&mut taken, &mut [0; 8]).unwrap(), 0);
}

#[tokio::test]
async fn links_and_files_are_not_followed() {
    let (folder, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let listener = UnixListener::bind(host.path().join("host.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::os::unix::fs::symlink(host.path().join("host.sock"), folder.path().join(SOCKET)).unwrap();
    let refused = connect(folder.path(), &me()).await;
    assert!(matches!(refused, Err(NoWay::NoSocket)));
    assert!(listener.accept().is_err(), "the host's socket was touched");
    fs::remove_file(folder.path().join(SOCKET)).unwrap();
    fs::write(folder.path().join(SOCKET), "").unwrap();
    assert!(matches!(
        connect(folder.path(), &me()).await,
        Err(NoWay::NoSocket)
    ));

    let link = host.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(matches!(connect(&link, &me()).await, Err(NoWay::Io(_))));
}
