//! Files into a container and out of it, beside the engine's archive API in the same container; and
//! what a large one costs in memory.

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::{
    client::Client,
    content::PART,
    engine::Engine,
    figure::{Figure, Pair},
    phase::Phase,
    rss,
    stand::Stand,
    table::Kept,
};
use crate::error::Result;

/// Bytes of the file whose way is timed, and of the large one.
pub(super) const FILE: u64 = 64 * 1024 * 1024;
pub(super) const LARGE: u64 = 1024 * 1024 * 1024;
/// Where they lie in the container.
const FOLDER: &str = "/workspace";
const PATH: &str = "/workspace/file";
/// Between two looks at the process that works on files.
const LOOK: Duration = Duration::from_millis(20);

/// What they go to.
pub(super) struct Files {
    client: Client,
    engine: Engine,
    /// Ids of the sandbox and of its container.
    place: (String, String),
    part: Bytes,
    /// The file as the engine takes it.
    archive: Vec<u8>,
}

impl Files {
    /// Makes the container, and a file in it.
    pub(super) async fn prepare(client: &Client, engine: Engine) -> Result<Self> {
        let made = client.create().await?;
        let part = part();
        client
            .write(&made.sandbox_id, PATH, &part, FILE / PART)
            .await?;
        Ok(Self {
            client: client.clone(),
            engine,
            archive: archive(&part).map_err(|error| client.wrong(error.to_string()))?,
            place: (made.sandbox_id, made.provider_sandbox_id),
            part,
        })
    }

    async fn written(&self) -> Result<Pair> {
        let (sandbox, container) = &self.place;
        let parts = FILE / PART;
        let ours = speed(self.client.write(sandbox, PATH, &self.part, parts)).await?;
        let other = speed(self.engine.put(container, FOLDER, &self.archive)).await?;
        Ok(Pair { ours, other })
    }

    async fn read(&self) -> Result<Pair> {
        let (sandbox, container) = &self.place;
        let ours = speed(self.whole(self.client.read(sandbox, PATH))).await?;
        let other = speed(self.whole(self.engine.get(container, PATH))).await?;
        Ok(Pair { ours, other })
    }

    /// Fails where not all came.
    async fn whole(&self, read: impl Future<Output = Result<u64>>) -> Result<()> {
        match read.await? {
            bytes if bytes >= FILE => Ok(()),
            bytes => Err(self.client.wrong(format!("{bytes} bytes, not {FILE}"))),
        }
    }
}

impl Phase for Files {
    async fn take(&self, figure: Figure, _warm_up: bool) -> Result<Pair> {
        match figure {
            Figure::FileIn => self.written().await,
            _ => self.read().await,
        }
    }
}

/// Megabytes (10^6) a second of the file.
async fn speed(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let begun = Instant::now();
    work.await?;
    Ok(FILE as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// Bytes that are no zeros, for which there are shorter ways.
fn part() -> Bytes {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..PART).map(next).collect::<Vec<_>>().into()
}

fn archive(part: &Bytes) -> std::io::Result<Vec<u8>> {
    let content = part.repeat(usize::try_from(FILE / PART).unwrap_or_default());
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(FILE);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", &content[..])?;
    builder.into_inner()
}

/// Writes and reads a large file once, and takes the peaks meanwhile.
pub(super) async fn memory(stand: &Stand, engine: &Engine) -> Result<Kept> {
    let client = &stand.client;
    let made = client.create().await?;
    let (sandbox, part) = (made.sandbox_id, part());
    let runner = engine.main_process(&made.provider_sandbox_id).await?;
    client.write(&sandbox, PATH, &part, FILE / PART).await?;
    let processes = stand.ids();
    processes.into_iter().for_each(rss::forget_peak);
    let before = processes.map(|pid| rss::of(pid).now);
    let work = async {
        client.write(&sandbox, PATH, &part, LARGE / PART).await?;
        client.read(&sandbox, PATH).await
    };
    let (bytes, worker) = beside(work, runner).await;
    let peaks = processes.map(|pid| rss::of(pid).peak);
    if bytes? != LARGE {
        return Err(client.wrong("not all of the large file came back"));
    }
    client.delete(&sandbox).await?;
    let cell = |index: usize| format!("{:.0} MB (before: {:.0})", peaks[index], before[index]);
    Ok(Kept {
        figure: Figure::FileMemory,
        gateway: cell(0),
        provider: cell(1),
        runner: format!("{worker:.0} MB in the process that works on it"),
        bystander: String::new(),
        reached: None,
    })
}

/// Does the work; its result, and the most memory that a child of the runner had meanwhile.
async fn beside<T>(work: impl Future<Output = T>, runner: u32) -> (T, f64) {
    let mut most: f64 = 0.0;
    let watching = async {
        loop {
            let peaks = children(runner).into_iter().map(|pid| rss::of(pid).peak);
            most = peaks.fold(most, f64::max);
            sleep(LOOK).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        never = watching => never,
    };
    (done, most)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let lists = tasks.flatten().map(|task| {
        let list = fs::read_to_string(task.path().join("children"));
        list.unwrap_or_default()
    });
    let all = lists.collect::<Vec<_>>().join(" ");
    all.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
