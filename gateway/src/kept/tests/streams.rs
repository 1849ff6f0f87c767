//! Streams of what is kept: the same events as live, a gap for what is gone.

use prost::Message as _;
use sandgate_proto::{
    Reason,
    v1::{
        ChannelTotals, OutputTotals, StreamExecutionRequest, StreamExecutionResponse,
        stream_execution_response::Event,
    },
};

use super::room::{Room, ended, tail, wrote};

/// What a stream sends between its first event and its last: channel, place, and bytes or the end
/// of a gap.
#[derive(Debug, PartialEq)]
enum Sent {
    Data(i32, u64, Vec<u8>),
    Gone(i32, u64, u64),
}

fn asked() -> StreamExecutionRequest {
    StreamExecutionRequest {
        execution_id: "e".into(),
        ..Default::default()
    }
}

async fn stream(room: &Room, asked: StreamExecutionRequest) -> Vec<Sent> {
    let messages = room.answer("StreamExecution", &asked).await;
    let decoded = messages.into_iter().map(|message| {
        let message = StreamExecutionResponse::decode(message).unwrap();
        message.event.unwrap()
    });
    let mut events: Vec<_> = decoded.collect();
    match (events.remove(0), events.pop()) {
        (Event::Started(started), Some(Event::Ended(ended))) => {
            assert!(started.attached && started.start_time.is_some());
            assert_eq!(started.sandbox_id, room.sandbox.sandbox_id.to_string());
            assert!(ended.outcome.is_some());
        }
        others => panic!("{others:?}"),
    }
    events
        .into_iter()
        .map(|event| match event {
            Event::Output(chunk) => Sent::Data(chunk.channel, chunk.offset, chunk.data.to_vec()),
            Event::Gap(gap) => {
                assert_eq!(gap.reason, "SANDBOX_GONE");
                Sent::Gone(gap.channel, gap.start_offset, gap.end_offset)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// 100 bytes of standard output, of which the last 10 are kept, and all 3 of standard error.
async fn room() -> Room {
    let room = Room::new().await;
    let tails = vec![tail(1, 90, b"0123456789"), tail(2, 0, b"err")];
    room.keep(&[wrote("e", [100, 3], tails)]).await;
    room
}

#[tokio::test]
async fn it_goes_on_at_every_offset() {
    let room = room().await;
    let err = || Sent::Data(2, 0, b"err".to_vec());
    let cases = [
        (
            0,
            vec![
                Sent::Gone(1, 0, 90),
                Sent::Data(1, 90, b"0123456789".to_vec()),
            ],
        ),
        (
            89,
            vec![
                Sent::Gone(1, 89, 90),
                Sent::Data(1, 90, b"0123456789".to_vec()),
            ],
        ),
        (90, vec![Sent::Data(1, 90, b"0123456789".to_vec())]),
        (97, vec![Sent::Data(1, 97, b"789".to_vec())]),
        (100, vec![]),
    ];
    for (offset, mut expected) in cases {
        for follow in [false, true] {
            let sent = stream(
                &room,
                StreamExecutionRequest {
                    stdout_offset: Some(offset),
                    follow,
                    // Of a channel that it does not have.
                    terminal_offset: Some(1000),
                    ..asked()
                },
            );
            if !follow {
                expected.push(err());
            }
            assert_eq!(sent.await, expected, "{offset}");
        }
    }
    assert_eq!(stream(&room, asked()).await.len(), 3);
}

#[tokio::test]
async fn a_tail_is_counted_from_the_end_and_an_offset_wins() {
    let room = room().await;
    let tail_of = |tail_bytes, stderr_offset| StreamExecutionRequest {
        tail_bytes: Some(tail_bytes),
        stderr_offset,
        ..asked()
    };
    let sent = stream(&room, tail_of(2, None)).await;
    let expected = [
        Sent::Data(1, 98, b"89".to_vec()),
        Sent::Data(2, 1, b"rr".to_vec()),
    ];
    assert_eq!(sent, expected);
    let sent = stream(&room, tail_of(20, Some(3))).await;
    let expected = [
        Sent::Gone(1, 80, 90),
        Sent::Data(1, 90, b"0123456789".to_vec()),
    ];
    assert_eq!(sent, expected);
    assert_eq!(stream(&room, tail_of(0, None)).await, []);
}

#[tokio::test]
async fn past_the_output_there_is_nothing() {
    let room = room().await;
    let stdout = StreamExecutionRequest {
        stdout_offset: Some(101),
        stderr_offset: Some(100),
        ..asked()
    };
    let stderr = StreamExecutionRequest {
        stderr_offset: Some(4),
        ..asked()
    };
    for (asked, channel, offset) in [
        (stdout, "OUTPUT_CHANNEL_STDOUT", "100"),
        (stderr, "OUTPUT_CHANNEL_STDERR", "3"),
    ] {
        let refused = room.try_answer("StreamExecution", &asked).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), Reason::OffsetOutOfRange);
        let fact = |key| refused.fact(key);
        assert_eq!(
            (fact("channel"), fact("offset")),
            (Some(channel), Some(offset))
        );
    }
}

#[tokio::test]
async fn what_a_provider_tells_badly_is_cut_to_what_can_be() {
    let room = Room::new().await;
    let long = vec![b'x'; 100_000];
    let tails = vec![
        // More than is kept of a channel, and more than there was.
        tail(1, 0, &long),
        // The end of it is missing.
        tail(2, 5, b"ab"),
        // There is no such channel.
        tail(3, 0, b"tty"),
    ];
    room.keep(&[wrote("e", [99_999, 20], tails)]).await;
    let start = 99_999 - 65_536;
    let expected = [
        Sent::Gone(1, 0, start),
        Sent::Data(1, start, long[..65_536].to_vec()),
        Sent::Gone(2, 0, 5),
        Sent::Data(2, 5, b"ab".to_vec()),
        Sent::Gone(2, 7, 20),
    ];
    assert_eq!(stream(&room, asked()).await, expected);
    let at_its_end = StreamExecutionRequest {
        stdout_offset: Some(99_999),
        stderr_offset: Some(10),
        ..asked()
    };
    assert_eq!(stream(&room, at_its_end).await, [Sent::Gone(2, 10, 20)]);
}

#[tokio::test]
async fn totals_say_whether_bytes_are_gone() {
    let room = room().await;
    let listed = room.list("", 0).await.unwrap();
    let execution = &listed.executions[0];
    let end = execution.ended.as_ref().unwrap();
    let totals = |bytes, truncated| Some(ChannelTotals { bytes, truncated });
    // How it ended was said once, when all of it could be read.
    assert_eq!(
        (end.stdout, end.stderr),
        (totals(100, false), totals(3, false))
    );
    let all = execution.totals.unwrap();
    assert_eq!(
        (all.stdout, all.stderr, all.terminal),
        (totals(100, true), totals(3, false), None)
    );
}

#[tokio::test]
async fn a_terminal_is_one_channel() {
    let room = Room::new().await;
    let mut seen = ended("e", 10);
    let execution = seen.execution.as_mut().unwrap();
    let totals = Some(ChannelTotals {
        bytes: 4,
        truncated: false,
    });
    let end = execution.ended.as_mut().unwrap();
    // Told with the execution only.
    (end.stdout, end.stderr) = (None, None);
    execution.totals = Some(OutputTotals {
        terminal: totals,
        ..Default::default()
    });
    seen.tails = vec![tail(3, 1, b"tty")];
    room.keep(&[seen]).await;
    let expected = [Sent::Gone(3, 0, 1), Sent::Data(3, 1, b"tty".to_vec())];
    assert_eq!(stream(&room, asked()).await, expected);
}
