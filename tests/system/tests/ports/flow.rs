//! Each stream has its own pace, and none takes much memory.

use std::{fs, time::Duration};

use tokio::io::AsyncReadExt as _;

use crate::{
    stand::Stand,
    visitor::{digest, get, open, pattern},
};

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_up_no_other_and_costs_little() {
    let stand = Stand::local(&[]).await;
    let (_ids, at) = stand.served().await;
    get(at, "/bytes/1000000").await.unwrap();
    let before = resident(stand.pid());
    let mut stuck = Vec::new();
    for _ in 0..50 {
        stuck.push(open(at, "FLOOD\n").await);
    }
    // All of them have filled what there is to fill.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let size = 16 << 20;
    let came = get(at, &format!("/bytes/{size}")).await.unwrap();
    assert_eq!(digest(&came), digest(&pattern(size)));
    let more = resident(stand.pid()).saturating_sub(before);
    assert!(
        more < 32 * 1024,
        "{more} KiB more for 50 streams that nobody reads"
    );
    // Theirs is whole, as far as it is read.
    let mut stream = stuck.swap_remove(7);
    let mut bytes = vec![0; 8 << 20];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(digest(&bytes), digest(&pattern(8 << 20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_takes_no_memory() {
    let stand = Stand::local(&[]).await;
    let (_ids, at) = stand.served().await;
    get(at, "/bytes/1000000").await.unwrap();
    let before = resident(stand.pid());
    let mut stream = open(at, "FLOOD\n").await;
    let (mut bytes, mut left) = (vec![0; 1 << 20], 1_u64 << 30);
    let mut most = before;
    while left > 0 {
        left = left.saturating_sub(stream.read(&mut bytes).await.unwrap() as u64);
        most = most.max(resident(stand.pid()));
    }
    let more = most - before;
    assert!(more < 16 * 1024, "{more} KiB more for a gigabyte");
}
