//! The archive API: files into a container and out of it, as tar.

use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{Engine, PATIENCE};
use crate::error::{Error, Result};

/// Bytes asked for at once.
const READ: usize = 256 * 1024;

impl Engine {
    /// Unpacks an archive in a folder of a container.
    pub(crate) async fn put(&self, container: &str, folder: &str, archive: &[u8]) -> Result<()> {
        let path = format!("/containers/{container}/archive?path={folder}");
        let work = async {
            let kind = "application/x-tar";
            let mut answer = self.send("PUT", &path, kind, archive).await?;
            answer.stream.read_to_end(&mut answer.begun).await?;
            Ok::<_, std::io::Error>(answer.status)
        };
        let status = self.in_time("PUT of an archive", work).await?;
        good("PUT of an archive", status)
    }

    /// Reads the archive of a path to its end; its bytes.
    pub(crate) async fn get(&self, container: &str, path: &str) -> Result<u64> {
        let path = format!("/containers/{container}/archive?path={path}");
        let work = async {
            let mut answer = self.send("GET", &path, "application/json", b"").await?;
            let mut bytes = answer.begun.len() as u64;
            let mut buffer = vec![0; READ];
            loop {
                match answer.stream.read(&mut buffer).await? {
                    0 => return Ok::<_, std::io::Error>((answer.status, bytes)),
                    read => bytes += read as u64,
                }
            }
        };
        let (status, bytes) = self.in_time("GET of an archive", work).await?;
        good("GET of an archive", status).map(|()| bytes)
    }

    async fn in_time<T>(
        &self,
        doing: &str,
        work: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T> {
        let wrong = |what: String| Error::Engine {
            doing: doing.to_owned(),
            what,
        };
        timeout(PATIENCE, work)
            .await
            .map_err(|_| wrong("no end in time".to_owned()))?
            .map_err(|error| wrong(error.to_string()))
    }
}

fn good(doing: &str, status: u16) -> Result<()> {
    if status < 400 {
        return Ok(());
    }
    Err(Error::Engine {
        doing: doing.to_owned(),
        what: format!("status {status}"),
    })
}
