//! One file, copied between a session's storage and a sandbox: a stream from one to the other.

use std::sync::{Arc, Mutex, PoisonError};

use futures::stream;
use sandgate_proto::{
    Problem, Reason,
    v1::{FileTransfer, WriteFileOpen},
};

use super::{AtRest, Needs, Sandboxes, Target};
use crate::{
    file::{Open, Reading, normal},
    fleet::{Lane, Moved},
    ids::SandboxRef,
    principal::Principal,
    problem::Result,
    store::SessionRecord,
};

/// Between which two places a copy goes, and how far it is.
#[derive(Clone)]
pub(crate) struct Road {
    pub(crate) principal: Principal,
    pub(crate) session: SessionRecord,
    pub(crate) sandbox: SandboxRef,
    pub(crate) moved: Moved,
    needs: Needs,
    /// The sandbox that is in use, so that it does not rest meanwhile.
    used: Arc<Mutex<Option<Arc<Target>>>>,
}

impl Road {
    /// `scope`: what the caller has to be allowed.
    pub(crate) fn new(
        principal: Principal,
        session: SessionRecord,
        sandbox: SandboxRef,
        scope: &'static str,
    ) -> Self {
        Self {
            principal,
            session,
            sandbox,
            moved: Moved::default(),
            needs: Needs {
                scope,
                default_sandbox: false,
                at_rest: AtRest::Start,
                uses: true,
            },
            used: Arc::default(),
        }
    }

    /// Notes that the sandbox is still in use.
    pub(crate) fn keep_awake(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = &*used {
            target.used(self.needs);
        }
    }
}

/// Where an error of reading is kept that the other side of a copy cannot tell.
type Broken = Arc<Mutex<Option<Problem>>>;

impl Sandboxes {
    /// The sandbox at the end of a road, running, and the way to its provider.
    pub(crate) async fn travel(&self, road: &Road) -> Result<(Arc<Target>, Lane)> {
        let session_id = road.session.session_id;
        let target = self.route(&road.principal, session_id, &road.sandbox, road.needs);
        let target = target.await?;
        let lane = self.own_lane_to(&target)?;
        *road.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.clone());
        Ok((target, lane))
    }

    /// Copies a file of the session into the sandbox; its bytes.
    pub(crate) async fn copy_in(&self, road: &Road, file: &FileTransfer) -> Result<u64> {
        let (target, lane) = self.travel(road).await?;
        match self.write_in(road, file, &target, &lane).await {
            Err(problem) if self.woke(&problem, &target).await? => {
                let (target, lane) = self.travel(road).await?;
                self.write_in(road, file, &target, &lane).await
            }
            done => done,
        }
    }

    /// Copies a file of the sandbox into the session's storage; its bytes.
    pub(crate) async fn copy_out(&self, road: &Road, file: &FileTransfer) -> Result<u64> {
        let (target, lane) = self.travel(road).await?;
        match self.read_out(road, file, &target, &lane).await {
            Err(problem) if self.woke(&problem, &target).await? => {
                let (target, lane) = self.travel(road).await?;
                self.read_out(road, file, &target, &lane).await
            }
            done => done,
        }
    }

    /// Whether the sandbox was stopped without this gateway's knowing: then it is worth another try.
    pub(crate) async fn woke(&self, problem: &Problem, target: &Target) -> Result<bool> {
        match problem.reason() {
            Reason::SandboxNotRunning => self.has_stopped(target).await,
            _ => Ok(false),
        }
    }

    async fn write_in(
        &self,
        road: &Road,
        file: &FileTransfer,
        target: &Target,
        lane: &Lane,
    ) -> Result<u64> {
        road.moved.begin();
        let path = normal("session_path", &file.session_path)?;
        let all = (0, None);
        let reading = self
            .files
            .open(road.session.session_id, &path, all, "")
            .await?;
        let facts = reading.file();
        let size = u64::try_from(facts.size).unwrap_or_default();
        let open = WriteFileOpen {
            path: file.sandbox_path.clone(),
            create_parents: true,
            // Both keep a file from being taken for whole that broke off here.
            expected_size: Some(size),
            sha256: facts.sha256.clone().into(),
            ..Default::default()
        };
        let broken = Broken::default();
        let content = content(road.clone(), reading, broken.clone());
        let context = target.context();
        let write = lane.write_file(context, open, content, road.moved.clone());
        // Boxed, since it is large: it would make every future around it so.
        let written = Box::pin(write).await;
        let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        match broken {
            Some(problem) => Err(problem),
            None => written.map(|_| size),
        }
    }

    async fn read_out(
        &self,
        road: &Road,
        file: &FileTransfer,
        target: &Target,
        lane: &Lane,
    ) -> Result<u64> {
        road.moved.begin();
        let path = normal("session_path", &file.session_path)?;
        let mut incoming = lane.read_file(target.context(), &file.sandbox_path).await?;
        if incoming.info.size > self.files.largest() {
            let largest = self.files.largest();
            return Err(crate::problem::file_too_large(&path, largest));
        }
        let mut writing = self
            .files
            .write(road.session.clone(), Open::replace(path))
            .await?;
        while let Some(data) = incoming.next().await? {
            road.moved.add(data.len());
            road.keep_awake();
            writing.push(data).await?;
        }
        let file = writing.finish().await?;
        Ok(u64::try_from(file.size).unwrap_or_default())
    }
}

/// What is read, up to the end or to the first error, which is kept.
fn content(
    road: Road,
    reading: Reading,
    broken: Broken,
) -> impl futures::Stream<Item = bytes::Bytes> + Send + 'static {
    stream::unfold(
        (road, reading, broken),
        |(road, mut reading, broken)| async {
            road.keep_awake();
            match reading.next().await {
                Ok(data) => data.map(|data| (data, (road, reading, broken))),
                Err(problem) => {
                    *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                    None
                }
            }
        },
    )
}
