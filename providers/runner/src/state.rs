//! The file `state` of a folder: what a reader without a connection must know, replaced as a whole.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use prost::Message as _;
use sandgate_runner_proto::v1::{ChannelState, Gap, RunState};

use crate::execution::{Execution, Lane};

/// At least so long between two states, but for the last.
const PAUSE: Duration = Duration::from_millis(200);

/// The file.
pub(crate) struct StateFile {
    folder: PathBuf,
    written: Option<Instant>,
    /// It will be written at the end of the pause.
    pub(crate) is_planned: bool,
}

impl StateFile {
    /// In this folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            written: None,
            is_planned: false,
        }
    }

    /// When it may be written next.
    pub(crate) fn next(&self) -> Instant {
        self.written
            .map_or_else(Instant::now, |written| written + PAUSE)
    }

    /// Writes it.
    pub(crate) fn write(&mut self, boot_id: &str, execution: &Execution) {
        self.is_planned = false;
        self.written = Some(Instant::now());
        let state = RunState {
            execution_id: execution.id.clone(),
            boot_id: boot_id.to_owned(),
            pid: std::process::id().cast_signed(),
            start_time_ns: execution.start_time_ns,
            channels: execution.lanes.iter().map(channel).collect(),
            ended: execution.ended(),
        };
        // On a full disk the older state stays, which is true for its moment; the next write tries again.
        let _ = self.replace(&state.encode_to_vec());
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(".state");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        io::Write::write_all(&mut file, bytes)?;
        fs::rename(temporary, self.folder.join("state"))
    }
}

fn channel(lane: &Lane) -> ChannelState {
    let (head_bytes, ring_bytes) = lane.spool.sizes();
    let gaps = lane.spool.gaps().into_iter().map(|range| Gap {
        channel: lane.channel.into(),
        start_offset: range.start,
        end_offset: range.end,
        reason: range.reason.name().to_owned(),
    });
    ChannelState {
        channel: lane.channel.into(),
        total: lane.spool.total(),
        head_bytes,
        ring_bytes,
        gaps: gaps.collect(),
    }
}
