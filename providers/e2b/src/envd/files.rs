//! Files by envd's own HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};

use super::{Envd, EnvdFault};

/// For a file of some megabytes.
const WITHIN: Duration = Duration::from_secs(60);

impl Envd {
    /// Writes files of root's, by their absolute paths, and the folders above them; what is there is
    /// replaced.
    pub(crate) async fn upload(&self, files: Vec<(String, Bytes)>) -> Result<(), EnvdFault> {
        let form = files
            .into_iter()
            .fold(Form::new(), |form, (path, content)| {
                form.part("file", Part::stream(content).file_name(path))
            });
        let request = self
            .client
            .post(format!("{}/files", self.base))
            .query(&[("username", "root")])
            .headers(self.headers.clone())
            .timeout(WITHIN)
            .multipart(form);
        let answer = request.send().await;
        let answer = answer.map_err(|error| EnvdFault::Lost(error.without_url()))?;
        EnvdFault::check(answer).await.map(drop)
    }
}
