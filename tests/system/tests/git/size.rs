//! A large repository comes whole.

use crate::{kinds::Kind, stand::Stand};

const FILES: usize = 5_000;
const BYTES: usize = 10_500;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_files_of_fifty_mebibytes() {
    let stand = Stand::start(Kind::Container).await;
    stand.repositories.large("large.git", FILES, BYTES);
    let cloned = stand.cloned(stand.request("/closed/large.git")).await;
    let path = &cloned.path;
    let count = stand
        .said(&format!("find {path} -name 'f*' -type f | wc -l"))
        .await;
    assert_eq!(count.trim(), FILES.to_string());
    let state = stand
        .said(&format!(
            "git -C {path} status --porcelain && git -C {path} fsck"
        ))
        .await;
    assert!(
        !state.contains("missing") && !state.contains('?'),
        "{state}"
    );
}
