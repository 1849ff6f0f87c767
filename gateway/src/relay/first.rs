//! The first message of a call, taken from its body; the rest is not looked at.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use sandgate_proto::{Problem, Reason, limits};
use tonic::body::Body;

use crate::problem::{self, Result};

/// Compression flag and length.
const PREFIX: usize = 5;

/// The start of a request.
pub(crate) struct First {
    /// All bytes read so far, the gRPC prefix included: what has to go to the provider.
    pub(super) read: Bytes,
    /// Bytes of the first message within `read`.
    length: usize,
    /// What is left of the body; none where it has ended.
    pub(super) rest: Option<Body>,
}

impl First {
    /// The encoded first message.
    pub(crate) fn message(&self) -> &[u8] {
        &self.read[PREFIX..PREFIX + self.length]
    }

    /// The same, to be kept beside it.
    pub(crate) fn message_bytes(&self) -> Bytes {
        self.read.slice(PREFIX..PREFIX + self.length)
    }

    /// All of it, to be sent once more; none where more is still to come of it.
    pub(super) fn copy(&self) -> Option<Self> {
        self.rest.is_none().then(|| Self {
            read: self.read.clone(),
            length: self.length,
            rest: None,
        })
    }

    /// Adds a length-delimited field behind the message of a call that takes one.
    pub(super) fn append(&mut self, field: u32, value: &[u8]) {
        let mut tail = BytesMut::with_capacity(10);
        put_varint(&mut tail, u64::from(field) << 3 | 2);
        put_varint(&mut tail, value.len() as u64);
        self.length += tail.len() + value.len();
        let mut whole = BytesMut::with_capacity(self.read.len() + tail.len() + value.len());
        whole.put_u8(0);
        whole.put_u32(self.length as u32);
        whole.extend_from_slice(&self.read[PREFIX..]);
        whole.extend_from_slice(&tail);
        whole.extend_from_slice(value);
        self.read = whole.freeze();
    }

    /// The whole body: this message and what is left.
    pub(crate) fn body(self) -> Body {
        super::request::body(self, None)
    }
}

/// Reads until the first message is complete; to the end, for a call of one message.
pub(super) async fn read(mut body: Body, one_message: bool) -> Result<First> {
    let mut read = Chunks::default();
    let mut length = None;
    loop {
        if length.is_none() {
            length = read.message_length()?;
        }
        let ended = body.is_end_stream();
        if let Some(length) = length.filter(|length| read.len() >= PREFIX + length) {
            if one_message && read.len() > PREFIX + length {
                return Err(malformed("this call takes one message; more was sent"));
            }
            if ended || !one_message {
                let rest = (!ended).then_some(body);
                return Ok(First {
                    read: read.join(),
                    length,
                    rest,
                });
            }
        }
        match body.frame().await {
            Some(Ok(frame)) => frame
                .into_data()
                .map(|data| read.push(data))
                .unwrap_or_default(),
            Some(Err(_)) => {
                let message = "the call was cancelled before its request was complete";
                return Err(Problem::new(Reason::Cancelled, message));
            }
            // Only now is it known that the frame before was the last.
            None => {
                let complete = length.filter(|length| read.len() == PREFIX + length);
                let length = complete
                    .ok_or_else(|| malformed("the call ended before its request was complete"))?;
                return Ok(First {
                    read: read.join(),
                    length,
                    rest: None,
                });
            }
        }
    }
}

fn put_varint(into: &mut BytesMut, mut value: u64) {
    while value > 0x7f {
        into.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    into.put_u8(value as u8);
}

fn malformed(what: &str) -> Problem {
    Problem::invalid_field("message", what)
}

/// What was read: mostly one chunk, which is not copied then.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    more: BytesMut,
}

impl Chunks {
    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
        } else {
            self.more.extend_from_slice(&data);
        }
    }

    /// The length that the prefix says, once it is there.
    fn message_length(&self) -> Result<Option<usize>> {
        if self.len() < PREFIX {
            return Ok(None);
        }
        let mut prefix = self.first.as_ref().chain(self.more.as_ref());
        match prefix.get_u8() {
            0 => {}
            1 => {
                return Err(problem::unsupported(
                    "compression",
                    "send the request uncompressed",
                ));
            }
            _ => {
                return Err(Problem::invalid_field(
                    "message",
                    "does not begin as a gRPC message does; use a gRPC client",
                ));
            }
        }
        let length = prefix.get_u32() as usize;
        if length > limits::MESSAGE_BYTES {
            return Err(Problem::invalid_field(
                "message",
                format!("has {length} bytes; at most 4 MiB fit into one message, so send large content as a stream"),
            )
            .with("limit_bytes", limits::MESSAGE_BYTES));
        }
        Ok(Some(length))
    }

    fn join(self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut joined = BytesMut::with_capacity(self.len());
        joined.extend_from_slice(&self.first);
        joined.extend_from_slice(&self.more);
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn body(chunks: Vec<Vec<u8>>) -> Body {
        let frames = chunks
            .into_iter()
            .map(|chunk| Ok::<_, tonic::Status>(http_body::Frame::data(Bytes::from(chunk))));
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_message_is_read_however_it_is_cut() {
        let bytes = framed(b"hello");
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let first = read(body(vec![head.to_vec(), vec![], tail.to_vec()]), true)
                .await
                .unwrap();
            assert_eq!(first.message(), b"hello");
            assert_eq!(first.read, bytes);
            assert!(first.rest.is_none());
        }
    }

    #[tokio::test]
    async fn an_appended_field_is_part_of_the_message() {
        use prost::Message as _;
        use sandgate_proto::v1::ExecRequest;
        let request = ExecRequest {
            command: "true".into(),
            ..Default::default()
        };
        let framed = framed(&request.encode_to_vec());
        for size in [0, 1, 127, 128, 256 * 1024] {
            let mut first = read(body(vec![framed.clone()]), true).await.unwrap();
            first.append(1000, &vec![7; size]);
            let decoded = ExecRequest::decode(first.message()).unwrap();
            assert_eq!(decoded.command, "true");
            assert_eq!(decoded.gateway_payload, vec![7; size]);
            assert_eq!(first.read[1..5], (first.length as u32).to_be_bytes());
        }
    }

    #[tokio::test]
    async fn of_a_stream_only_the_first_message_is_waited_for() {
        let mut bytes = framed(b"open");
        bytes.extend(&framed(b"data")[..6]);
        let first = read(body(vec![bytes.clone(), b"ata".to_vec()]), false)
            .await
            .unwrap();
        assert_eq!(first.message(), b"open");
        assert_eq!(first.read, bytes);
        assert!(first.rest.is_some());
    }

    #[tokio::test]
    async fn what_is_no_single_uncompressed_message_is_refused() {
        let mut two = framed(b"a");
        two.extend(framed(b"b"));
        let mut compressed = framed(b"a");
        compressed[0] = 1;
        let mut large = framed(b"");
        large[1..5].copy_from_slice(&(5u32 << 20).to_be_bytes());
        let cases = [two, compressed, large, framed(b"cut")[..6].to_vec(), vec![]];
        let reasons = [
            Reason::InvalidField,
            Reason::CapabilityUnsupported,
            Reason::InvalidField,
            Reason::InvalidField,
            Reason::InvalidField,
        ];
        for (bytes, reason) in cases.into_iter().zip(reasons) {
            let problem = read(Body::new(Full::new(Bytes::from(bytes))), true)
                .await
                .err()
                .unwrap();
            assert_eq!(problem.reason(), reason, "{problem}");
        }
    }
}
