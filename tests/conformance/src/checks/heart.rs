//! A process, and its family, that can be seen to live and to be dead.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    failure::{Failure, broken, ensure},
    subject::Place,
};

/// How often it beats in a second, at most.
pub(super) const BEATS: u64 = 5;
/// Seconds within which one that was frozen is seen to go on.
const GOES_ON: u32 = 10;

/// A process that shows that it lives by writing to files of the workspace.
pub(super) struct Heart<'a> {
    place: &'a Place<'a>,
    file: String,
}

impl<'a> Heart<'a> {
    pub(super) fn of(place: &'a Place<'a>, name: &str) -> Self {
        let file = format!("heart-{name}-{}", Uuid::new_v4());
        Self { place, file }
    }

    /// A shell line that beats for two minutes at most.
    pub(super) fn beat(&self) -> String {
        self.beat_into("self")
    }

    fn beat_into(&self, who: &str) -> String {
        let file = format!("{}-{who}", self.file);
        format!("i=0; while [ $i -lt 600 ]; do i=$((i + 1)); echo {who} >> {file}; sleep 0.2; done")
    }

    /// A shell line that starts a child, a double fork and, where the sandbox has setsid, a child in
    /// a session of its own (else in a process group of its own), and beats itself.
    pub(super) fn family(&self) -> String {
        let (child, double, session) = (
            self.beat_into("child"),
            self.beat_into("double"),
            self.beat_into("session"),
        );
        format!(
            "({child}) & ( ({double}) > /dev/null 2>&1 < /dev/null & ); \
             if command -v setsid > /dev/null 2>&1; then setsid sh -c '{session}' > /dev/null 2>&1 < /dev/null & \
             else set -m; sh -c '{session}' & fi; sleep 1; echo up; {}",
            self.beat()
        )
    }

    /// How often it has beaten.
    pub(super) async fn count(&self) -> Result<u64, Failure> {
        Ok(self.counts().await?[0])
    }

    async fn counts(&self) -> Result<Vec<u64>, Failure> {
        let mut counts = Vec::new();
        for who in ["self", "child", "double", "session"] {
            let text = self
                .place
                .text(format!("cat {}-{who} 2> /dev/null; true", self.file))
                .await?;
            counts.push(text.lines().count() as u64);
        }
        Ok(counts)
    }

    /// Fails unless it beats.
    pub(super) async fn beats(&self) -> Result<(), Failure> {
        let before = self.counts().await?;
        sleep(Duration::from_secs(1)).await;
        let after = self.counts().await?;
        ensure(
            after[0] > before[0],
            || "the process that the check starts does not run",
        )
    }

    /// Fails unless it beats more often than it had, soon.
    pub(super) async fn goes_on(&self, from: u64) -> Result<(), Failure> {
        for _ in 0..GOES_ON {
            sleep(Duration::from_secs(1)).await;
            if self.count().await? > from {
                return Ok(());
            }
        }
        Err(broken(format!("the process stands still at beat {from}")))
    }

    /// Fails unless all four beat.
    pub(super) async fn all_beat(&self) -> Result<(), Failure> {
        let before = self.counts().await?;
        sleep(Duration::from_secs(1)).await;
        let after = self.counts().await?;
        let alive = before
            .iter()
            .zip(&after)
            .all(|(before, after)| after > before);
        ensure(alive, || {
            format!(
                "not all of the process, its child, a double fork and a setsid child run: beats {before:?}, 1 s later {after:?}"
            )
        })
    }

    /// Fails unless nothing beats any more, after a grace time.
    pub(super) async fn stands_still(&self) -> Result<(), Failure> {
        let mut seen = Vec::new();
        for _ in 0..15 {
            let before = self.counts().await?;
            sleep(Duration::from_secs(1)).await;
            let after = self.counts().await?;
            if before == after {
                return Ok(());
            }
            let who = [
                "the process",
                "its child",
                "a double fork",
                "a setsid child",
            ];
            seen = (0..4)
                .filter(|i| before[*i] != after[*i])
                .map(|i| who[i])
                .collect();
        }
        Err(broken(format!("still running: {}", seen.join(", "))))
    }
}
