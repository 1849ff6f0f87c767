//! The sentences of a runner.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use bytes::Bytes;
use sandgate_runner_proto::v1::{
    Ended, Execution, Gap, Output, Refused, SnapshotEnd, Started, Totals, ended::Outcome,
    from_runner::Body,
};

pub fn started(id: &str) -> Body {
    Body::Started(Started {
        execution_id: id.into(),
        start_time_ns: 1_500_000_000,
        attached: false,
    })
}

pub fn output(channel: i32, offset: u64, data: impl Into<Bytes>) -> Body {
    Body::Output(Output {
        channel,
        offset,
        data: data.into(),
    })
}

pub fn gap(channel: i32, start_offset: u64, end_offset: u64) -> Body {
    Body::Gap(Gap {
        channel,
        start_offset,
        end_offset,
        reason: "DISK_FULL".into(),
    })
}

pub fn totals(stdout: u64, stderr: u64) -> Totals {
    Totals {
        stdout: Some(stdout),
        stderr: Some(stderr),
        terminal: None,
    }
}

pub fn end(stdout: u64, stderr: u64) -> Ended {
    Ended {
        outcome: Some(Outcome::ExitCode(7)),
        totals: Some(totals(stdout, stderr)),
        duration_ns: 1_000_000,
        ended_number: 1,
        ..Ended::default()
    }
}

pub fn ended(stdout: u64, stderr: u64) -> Body {
    Body::Ended(end(stdout, stderr))
}

pub fn snapshot_end(stdout: u64, stderr: u64) -> Body {
    Body::SnapshotEnd(SnapshotEnd {
        totals: Some(totals(stdout, stderr)),
    })
}

pub fn refused(reason: &str, offset: u64) -> Body {
    Body::Refused(Refused {
        reason: reason.into(),
        message: "no\u{7}".into(),
        offset,
        channel: 1,
    })
}

pub fn execution(id: &str, number: u64, stdout: u64, over: bool) -> Execution {
    Execution {
        execution_id: id.into(),
        number,
        totals: Some(totals(stdout, 0)),
        ended: over.then(|| Ended {
            ended_number: number,
            ..end(stdout, 0)
        }),
        ..Execution::default()
    }
}
