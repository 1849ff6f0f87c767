//! A reader of an execution that prints numbered lines: it knows what each byte has to be.

use sandgate_proto::v1::{
    ExecutionEnded, StartExecutionRequest, StreamExecutionRequest, StreamExecutionResponse,
    stream_execution_response::Event,
};
use sandgate_system::{Client, reason};
use tonic::{Status, Streaming};

/// Bytes of a line.
const LINE: u64 = 8;
/// So often a stream may break until nobody follows it any more.
const MOST: usize = 50;
/// The execution.
const ID: &str = "lines";

/// Reads it.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) offset: u64,
    pub(crate) ended: Option<ExecutionEnded>,
}

/// Starts an execution of so many lines, after which comes `then`; a line is eight bytes.
pub(crate) async fn begin(client: &Client, ids: &(String, String), lines: u64, then: &str) {
    let request = StartExecutionRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: ID.to_owned(),
        command: format!("seq -f %07.0f 0 {}; {then}", lines - 1),
        ..Default::default()
    };
    client.executions().start_execution(request).await.unwrap();
}

impl Reader {
    /// Follows from where this reader is.
    pub(crate) async fn open(
        &self,
        client: &Client,
        ids: &(String, String),
    ) -> Result<Streaming<StreamExecutionResponse>, Status> {
        let request = StreamExecutionRequest {
            session_id: ids.0.clone(),
            sandbox_id: ids.1.clone(),
            execution_id: ID.to_owned(),
            stdout_offset: Some(self.offset),
            follow: true,
            ..Default::default()
        };
        let answer = client.executions().stream_execution(request).await?;
        Ok(answer.into_inner())
    }

    /// Reads to an offset, or to the end.
    pub(crate) async fn read(
        &mut self,
        stream: &mut Streaming<StreamExecutionResponse>,
        to: u64,
    ) -> Result<(), Status> {
        while self.offset < to {
            let Some(message) = stream.message().await? else {
                assert!(self.ended.is_some(), "a clean end without `ended`");
                return Ok(());
            };
            match message.event.unwrap() {
                Event::Output(chunk) => {
                    assert_eq!(chunk.offset, self.offset);
                    self.check(&chunk.data);
                }
                Event::Ended(ended) => self.ended = Some(ended),
                Event::Started(_) | Event::KeepAlive(_) => {}
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    /// Follows until the end is told, again and again; how often the stream broke. One that is not
    /// mended behind the scenes has to be typed.
    pub(crate) async fn follow(&mut self, client: &Client, ids: &(String, String)) -> usize {
        let mut breaks = 0;
        while self.ended.is_none() {
            let read = match self.open(client, ids).await {
                Ok(mut stream) => self.read(&mut stream, u64::MAX).await,
                Err(error) => Err(error),
            };
            if let Err(error) = read {
                reason(&error);
                breaks += 1;
                assert!(breaks < MOST, "{error:?}");
            }
        }
        breaks
    }

    /// Whole lines are compared, and what a chunk has of its first and last.
    fn check(&mut self, data: &[u8]) {
        let first = self.offset / LINE;
        let last = (self.offset + data.len() as u64) / LINE;
        let lines: String = (first..=last).map(|line| format!("{line:07}\n")).collect();
        let skip = usize::try_from(self.offset % LINE).unwrap();
        let expected = &lines.as_bytes()[skip..skip + data.len()];
        assert!(data == expected, "other bytes behind {}", self.offset);
        self.offset += data.len() as u64;
    }
}
