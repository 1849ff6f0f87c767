//! Runners that keep to the protocol only sometimes.

use bytes::Bytes;
use proptest::prelude::*;
use sandgate_runner_proto::{
    put_frame,
    v1::{
        Ended, FromRunner, Gap, Output, SnapshotEnd, Started, Totals, ended::Outcome,
        from_runner::Body,
    },
};

use super::*;

const CREDIT: u64 = 1000;

fn started(id: &str) -> Body {
    Body::Started(Started {
        execution_id: id.into(),
        ..Started::default()
    })
}

fn output(channel: i32, offset: u64, size: usize) -> Body {
    let data = Bytes::from(vec![0; size]);
    Body::Output(Output {
        channel,
        offset,
        data,
    })
}

fn ended(stdout: u64, stderr: u64) -> Body {
    Body::Ended(Ended {
        outcome: Some(Outcome::ExitCode(0)),
        totals: Some(Totals {
            stdout: Some(stdout),
            stderr: Some(stderr),
            terminal: None,
        }),
        ..Ended::default()
    })
}

/// Frames that are often right: small numbers, few kinds.
fn body() -> impl Strategy<Value = Body> {
    let channel = prop_oneof![9 => 1..3i32, 1 => -1..9i32];
    prop_oneof![
        2 => Just(started("e")),
        1 => Just(started("other")),
        6 => (channel.clone(), 0..40u64, 0..40usize)
            .prop_map(|(channel, offset, size)| output(channel, offset, size)),
        3 => (channel, 0..40u64, 0..60u64).prop_map(|(channel, start_offset, end_offset)| {
            Body::Gap(Gap { channel, start_offset, end_offset, reason: "x y".into() })
        }),
        1 => (0..40u64, 0..40u64).prop_map(|(stdout, stderr)| ended(stdout, stderr)),
        1 => Just(Body::SnapshotEnd(SnapshotEnd::default())),
    ]
}

fn watched() -> Watched {
    Watched::new("e".into(), true, [0; 3], CREDIT, Arc::new(Notify::new()))
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_error_or_in_waiting(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        read_hostile(&bytes);
    }

    #[test]
    fn any_frames_do(calls in prop::collection::vec((0..12u64, body()), 0..50)) {
        let mut bytes = Vec::new();
        for (call, body) in calls {
            put_frame(&FromRunner { call, body: Some(body) }, &mut bytes);
        }
        read_hostile(&bytes);
    }

    /// What gets through has no hole that is not said, no byte twice, and one end, last.
    #[test]
    fn what_gets_through_is_whole(bodies in prop::collection::vec(body(), 0..60)) {
        let mut watched = watched();
        let mut next = [0; 3];
        let mut over = false;
        for body in bodies {
            let accepted = watched.accept(body).is_ok();
            while let Some(seen) = watched.take() {
                prop_assert!(!over);
                let (channel, from, to) = match seen {
                    Seen::Output { channel, offset, data } => (channel, offset, offset + data.len() as u64),
                    Seen::Gap(gap) => (gap.channel, gap.start_offset, gap.end_offset),
                    Seen::Ended(ended) => {
                        let totals = ended.totals.unwrap();
                        prop_assert_eq!([totals.stdout, totals.stderr], [Some(next[0]), Some(next[1])]);
                        over = true;
                        continue;
                    }
                    Seen::SnapshotEnd(_) => return Err(TestCaseError::fail("a snapshot was not asked for")),
                };
                let next = &mut next[channel as usize - 1];
                prop_assert!(from == *next && to > from);
                *next = to;
            }
            if !accepted {
                break;
            }
        }
    }
}

#[test]
fn each_rule_is_held() {
    for (bodies, what) in [
        (vec![output(1, 0, 1)], "output before the start"),
        (vec![started("e"), started("e")], "two starts"),
        (vec![started("other")], "another execution"),
        (vec![started("e"), output(1, 1, 1)], "a hole"),
        (
            vec![started("e"), output(1, 0, 2), output(1, 1, 1)],
            "again",
        ),
        (vec![started("e"), output(9, 0, 1)], "no such channel"),
        (vec![started("e"), output(1, 0, 0)], "nothing"),
        (vec![started("e"), output(1, 0, 1001)], "over the credit"),
        (vec![started("e"), ended(1, 0)], "wrong totals"),
        (vec![started("e"), ended(0, 0), ended(0, 0)], "two ends"),
    ] {
        let mut watched = watched();
        let broken = bodies
            .into_iter()
            .try_for_each(|body| watched.accept(body))
            .is_err();
        assert!(broken, "{what}");
    }
}

#[test]
fn credit_is_given_for_what_was_taken() {
    let mut watched = watched();
    watched.accept(started("e")).unwrap();
    watched.accept(output(1, 0, 1000)).unwrap();
    assert!(watched.take().is_some());
    assert_eq!(watched.give(), 1000);
    watched.accept(output(1, 1000, 1000)).unwrap();
    assert!(watched.accept(output(1, 2000, 1)).is_err());
}
