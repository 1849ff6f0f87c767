//! Finds and removes what a run made in the engine, by the label that all of it has.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Engine, text};
use crate::error::Result;

/// What containers and networks are known by; its value begins with the run's name.
pub(super) const LABEL: &str = "managed-by";
/// How long something may go on appearing, from calls that were under way when their caller ended.
const APPEARING: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Running containers of exactly this name.
    pub(crate) async fn running(&self, name: &str) -> Result<usize> {
        let all = self.ask("GET", "/containers/json", None).await?;
        Ok(ids(&all, |label| label == name).len())
    }

    /// Id on this machine of a container's main process.
    pub(crate) async fn main_process(&self, container: &str) -> Result<u32> {
        let found = self
            .ask("GET", &format!("/containers/{container}/json"), None)
            .await?;
        let pid = found["State"]["Pid"].as_u64();
        Ok(pid
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or_default())
    }

    /// Removes all containers and networks of the run `name`, until none is left.
    ///
    /// # Errors
    /// Where the engine does not let one go.
    pub(crate) async fn clean(&self, name: &str) -> Result<()> {
        let end = Instant::now() + APPEARING;
        loop {
            let removed = self.clean_once(name).await;
            match removed {
                Ok(0) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error),
                _ => sleep(PAUSE).await,
            }
        }
    }

    async fn clean_once(&self, name: &str) -> Result<usize> {
        let ours = |label: &str| label.starts_with(name);
        let all = self.ask("GET", "/containers/json?all=1", None).await?;
        let containers = ids(&all, ours);
        for id in &containers {
            self.remove_container(id).await?;
        }
        let all = self.ask("GET", "/networks", None).await?;
        let networks = ids(&all, ours);
        for id in &networks {
            self.remove_network(id).await?;
        }
        Ok(containers.len() + networks.len())
    }

    pub(super) async fn remove_container(&self, id: &str) -> Result<()> {
        let path = format!("/containers/{id}?force=1&v=1");
        self.ask("DELETE", &path, None).await.map(|_| ())
    }

    pub(super) async fn remove_network(&self, id: &str) -> Result<()> {
        let path = format!("/networks/{id}");
        self.ask("DELETE", &path, None).await.map(|_| ())
    }
}

/// Those of a listing whose label fits.
fn ids(listing: &Value, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let all = listing.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter(|one| one["Labels"][LABEL].as_str().is_some_and(&fits))
        .filter_map(|one| text(one, "Id"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_the_label_is_found() {
        let listing = json!([
            {"Id": "a", "Labels": {"managed-by": "bench-1-cold"}},
            {"Id": "b", "Labels": {"managed-by": "sandgate"}},
            {"Id": "c", "Labels": null},
            {"Id": "d", "Labels": {"other": "bench-1"}},
        ]);
        assert_eq!(ids(&listing, |label| label.starts_with("bench-1")), ["a"]);
        assert!(ids(&Value::Null, |_| true).is_empty());
    }
}
