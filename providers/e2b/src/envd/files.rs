//! Files by envd's own HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use sandgate_e2b_envd::filesystem::RemoveRequest;
use sandgate_kit::Upload;
use tokio::time::timeout;

use super::{Envd, EnvdFault, pace::paced};

/// Whose our own files are.
pub(super) const ROOT: &str = "root";
/// For files of some megabytes.
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
        let late = |_| EnvdFault::Garbage("the files were not taken in time".to_owned());
        timeout(WITHIN, self.post(ROOT, form)).await.map_err(late)?
    }

    /// Writes a file of this user's from what comes, at the pace at which it is taken.
    pub(crate) async fn upload_all(
        &self,
        path: &str,
        user: &str,
        content: Upload,
    ) -> Result<(), EnvdFault> {
        let (pace, watch) = paced(content);
        let part = Part::stream(Body::wrap_stream(pace)).file_name(path.to_owned());
        tokio::select! {
            sent = self.post(user, Form::new().part("file", part)) => sent,
            () = watch.stalled() => Err(EnvdFault::Garbage("envd takes no more of a file".to_owned())),
        }
    }

    async fn post(&self, user: &str, form: Form) -> Result<(), EnvdFault> {
        let request = self
            .client
            .post(format!("{}/files", self.base))
            .query(&[("username", user)])
            .headers(self.headers.clone())
            .multipart(form);
        let answer = request.send().await;
        let answer = answer.map_err(|error| EnvdFault::Lost(error.without_url()))?;
        EnvdFault::check(answer).await.map(drop)
    }

    /// Removes a file; one that is not there is no error.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), EnvdFault> {
        let request = RemoveRequest {
            path: path.to_owned(),
            ..RemoveRequest::default()
        };
        let removed = self.filesystem()?.remove(request).await;
        removed.map(drop).map_err(|error| EnvdFault::of(&error))
    }
}
