//! A token that was lent to a sandbox that is stopped before its time is over.

use std::time::{Duration, Instant};

use crate::{
    credentials::{remove_it, until},
    kinds::Kind,
    stand::Stand,
};

const FILE: &str = "/tmp/.git-credentials";

/// A stop and a start.
async fn lives_again(stand: &Stand) {
    let (session, sandbox) = (&stand.session_id, &stand.sandbox_id);
    stand.client.stop(session, sandbox).await.unwrap();
    stand.client.start(session, sandbox).await.unwrap();
}

async fn is_gone_within(stand: &Stand, patience: Duration) {
    let begun = Instant::now();
    while stand.ran(&format!("test -e {FILE}")).await.0 == Some(0) {
        assert!(begun.elapsed() < patience, "it is still there");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn stopped(kind: Kind) {
    let stand = Stand::start(kind).await;
    stand.repositories.small("r.git");
    stand.configure(&[]).await.unwrap();
    lives_again(&stand).await;
    let file = stand.said(&format!("cat {FILE}")).await;
    assert!(file.contains("# lent by sandgate until "), "{file}");
    remove_it(&stand, &until(&stand).await, 1).await;
    let url = format!("{}/closed/r.git", stand.origin);
    stand
        .said(&format!("git ls-remote --exit-code {url}"))
        .await;

    // As if the hour were over soon, in the next life.
    let soon = format!("sed -i \"s/until .*/until $((($(date +%s) + 20) * 1000))/\" {FILE}");
    stand.said(&soon).await;
    lives_again(&stand).await;
    is_gone_within(&stand, Duration::from_secs(60)).await;

    // And as if it had been over while it was stopped.
    stand.configure(&[]).await.unwrap();
    stand
        .said(&format!("sed -i 's/until .*/until 7/' {FILE}"))
        .await;
    lives_again(&stand).await;
    is_gone_within(&stand, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_goes_on_on_local() {
    stopped(Kind::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_goes_on_on_container() {
    stopped(Kind::Container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_goes_on_on_e2b() {
    stopped(Kind::E2b).await;
}

/// What is there at a start may be of somebody who wants something else removed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_stays() {
    let stand = Stand::start(Kind::Local).await;
    let victim = "printf '# lent by sandgate until 7\\n' > ~/victim";
    for plant in [
        format!("{victim}; ln -s ~/victim {FILE}"),
        format!("mkdir {FILE} && touch {FILE}/mine"),
        format!("mkfifo {FILE}"),
        format!("echo 'https://u:p@host' > {FILE}"),
    ] {
        stand.said(&format!("rm -rf {FILE}; {plant}")).await;
        lives_again(&stand).await;
        // Who would remove it does so before the first command, or soon after.
        tokio::time::sleep(Duration::from_secs(1)).await;
        stand.said(&format!("ls -d {FILE} ~/victim")).await;
        let look = format!("test ! -d {FILE} || ls {FILE}/mine");
        stand.said(&look).await;
    }
}
