//! Files through the gateway: bytes in, bytes out.

use bytes::Bytes;
use futures::stream;
use sandgate_proto::v1::{
    ReadFileRequest, WriteFileOpen, WriteFileRequest, file_service_client::FileServiceClient,
    read_file_response::Event,
};

use super::client::{Client, answer, next};
use crate::error::Result;

/// Bytes in a message of a write.
pub(super) const PART: u64 = 256 * 1024;

impl Client {
    /// Writes a file of so many times the same part.
    pub(super) async fn write(
        &self,
        sandbox_id: &str,
        path: &str,
        part: &Bytes,
        parts: u64,
    ) -> Result<()> {
        let first = WriteFileRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            open: Some(WriteFileOpen {
                path: path.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let part = part.clone();
        let rest = (0..parts).map(move |_| WriteFileRequest {
            data: part.clone(),
            ..Default::default()
        });
        let messages = stream::iter(std::iter::once(first).chain(rest));
        let mut files = FileServiceClient::new(self.way.channel(0));
        let written = files.write_file(self.way.request(messages));
        answer(&self.way, written).await.map(drop)
    }

    /// Reads a file to its end; its bytes.
    pub(super) async fn read(&self, sandbox_id: &str, path: &str) -> Result<u64> {
        let asked = ReadFileRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            path: path.to_owned(),
            ..Default::default()
        };
        let mut files = FileServiceClient::new(self.way.channel(0));
        let read = files.read_file(self.way.request(asked));
        let mut stream = answer(&self.way, read).await?;
        let mut bytes = 0;
        loop {
            let event = next(&self.way, &mut stream).await?;
            match event.and_then(|event| event.event) {
                Some(Event::Chunk(chunk)) => bytes += chunk.data.len() as u64,
                Some(Event::End(_)) => return Ok(bytes),
                Some(Event::Info(_)) => {}
                None => return Err(self.way.wrong("a file without its end")),
            }
        }
    }
}
