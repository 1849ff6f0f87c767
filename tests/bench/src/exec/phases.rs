//! The parts of the run, one after the other: each starts what it needs, measures, and takes it down
//! again, also where it fails.

use std::{future::Future, path::PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    commands::Commands,
    creates::{Creates, POOL, Pooled},
    engine::Engine,
    figure::Figure,
    files, groups, idle, local, memory,
    phase::{Measured, measure},
    stand::{Plan, Stand},
    table::{self, Kept},
};
use crate::{
    config::RunArgs,
    error::{Error, Result, machine},
    programs,
};

/// Networks of the providers' sandboxes; nothing else should use it.
const SUBNETS: &str = "10.231.0.0/17";
/// More than the longest output that must come whole.
const OUTPUT_LIMIT: &str = "1073741824";
/// Streams that do nothing are spread over so many connections at least.
const IDLE_CONNECTIONS: u16 = 8;

/// What every part needs.
#[derive(Clone)]
struct Run {
    args: RunArgs,
    engine: Engine,
    /// Begins the name of all that is made in the engine.
    name: String,
    figures: Vec<Figure>,
    stop: CancellationToken,
    gateway: PathBuf,
}

/// All that was measured.
#[derive(Default)]
struct Taken {
    measured: Vec<Measured>,
    kept: Vec<Kept>,
}

/// Takes the figures; their table. Whatever happens, nothing stays in the engine.
pub(crate) async fn run(args: &RunArgs, engine: Engine, figures: Vec<Figure>) -> Result<String> {
    let run = Run {
        args: args.clone(),
        engine: engine.clone(),
        name: format!(
            "sandgate-bench-{}",
            &Uuid::new_v4().simple().to_string()[..8]
        ),
        stop: CancellationToken::new(),
        gateway: programs::find(args.gateway.as_ref(), programs::GATEWAY).await?,
        figures,
    };
    let docker = run.figures.iter().any(|figure| figure.needs_docker());
    let (stop, name) = (run.stop.clone(), run.name.clone());
    // In a task: the main thread of the runtime hands every wake-up to another thread.
    let mut parts = tokio::spawn(async move { run.parts().await });
    let taken = tokio::select! {
        taken = &mut parts => taken,
        heard = told_to_end() => {
            heard?;
            stop.cancel();
            parts.await
        }
    };
    let taken = taken.map_err(|_| Error::Late("the measurement")).flatten();
    let cleaned = if docker {
        engine.clean(&name).await
    } else {
        Ok(())
    };
    groups::clean(&name);
    let taken = taken?;
    cleaned?;
    let version = if docker {
        engine.version().await
    } else {
        String::new()
    };
    Ok(table::render(&taken.measured, &taken.kept, &version, args).await)
}

async fn told_to_end() -> Result<()> {
    let cannot = "cannot listen for signals";
    let mut term = signal(SignalKind::terminate()).map_err(machine(cannot))?;
    tokio::select! {
        heard = tokio::signal::ctrl_c() => heard.map_err(machine(cannot)),
        _ = term.recv() => Ok(()),
    }
}

impl Run {
    async fn parts(&self) -> Result<Taken> {
        let mut taken = Taken::default();
        taken.measured.extend(self.commands().await?);
        taken.measured.extend(self.creates().await?);
        taken.measured.extend(self.local().await?);
        taken.measured.extend(self.files().await?);
        taken.kept.extend(self.lasting().await?);
        Ok(taken)
    }

    fn wanted(&self, of: &[Figure]) -> Vec<Figure> {
        let figures = of.iter().copied();
        figures.filter(|one| self.figures.contains(one)).collect()
    }

    async fn commands(&self) -> Result<Vec<Measured>> {
        use Figure::{Containers, InFlight, Stdout, True};
        let figures = self.wanted(&[True, InFlight, Containers, Stdout]);
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let limit = ("SANDGATE_OUTPUT_LIMIT", OUTPUT_LIMIT.to_owned());
        let stand = self.containers("commands", Some(limit), 0).await?;
        let work = async {
            let commands = Box::pin(Commands::prepare(&stand.client, self.engine.clone())).await?;
            measure(&commands, &figures, self.args.rounds).await
        };
        let taken = self.unless_stopped(work).await;
        stand.stop().await;
        taken
    }

    async fn creates(&self) -> Result<Vec<Measured>> {
        let figures = self.wanted(&[Figure::Warm, Figure::Cold]);
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let cold = self.containers("cold", None, 0).await?;
        let pooled = self.pooled(figures.contains(&Figure::Warm)).await;
        let taken = match &pooled {
            Ok(warm) => {
                let work = self.measure_creates(&cold, warm.as_ref(), &figures);
                self.unless_stopped(work).await
            }
            Err(_) => Ok(Vec::new()),
        };
        cold.stop().await;
        if let Some(stand) = pooled? {
            stand.stop().await;
        }
        taken
    }

    async fn measure_creates(
        &self,
        cold: &Stand,
        warm: Option<&Stand>,
        figures: &[Figure],
    ) -> Result<Vec<Measured>> {
        let warm = warm.map(|stand| Pooled {
            client: stand.client.clone(),
            name: self.named("warm"),
        });
        let (client, engine) = (cold.client.clone(), self.engine.clone());
        let bare = self.named("bare");
        let creates = Box::pin(Creates::prepare(client, warm, engine, &bare)).await?;
        measure(&creates, figures, self.args.rounds).await
    }

    async fn pooled(&self, wanted: bool) -> Result<Option<Stand>> {
        if !wanted {
            return Ok(None);
        }
        let pool = ("SANDGATE_CONTAINER_POOL", POOL.to_string());
        self.containers("warm", Some(pool), 0).await.map(Some)
    }

    async fn local(&self) -> Result<Vec<Measured>> {
        let figures = self.wanted(&[Figure::Local]);
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let given = self.args.provider_local.as_ref();
        let plan = Plan {
            id: "local",
            file: programs::find(given, programs::LOCAL).await?,
            env: vec![("SANDGATE_BWRAP", self.args.bwrap.clone().into())],
        };
        let stand = Box::pin(Stand::start(&self.gateway, plan, self.args.connections)).await?;
        let work = async {
            let local = Box::pin(local::Local::prepare(&stand.client, &self.args.bwrap)).await?;
            measure(&local, &figures, self.args.rounds).await
        };
        let taken = self.unless_stopped(work).await;
        stand.stop().await;
        taken
    }

    async fn files(&self) -> Result<Vec<Measured>> {
        let figures = self.wanted(&[Figure::FileIn, Figure::FileOut]);
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let stand = self.containers("files", None, 0).await?;
        let work = async {
            let files = files::Files::prepare(&stand.client, self.engine.clone());
            let files = Box::pin(files).await?;
            measure(&files, &figures, self.args.rounds).await
        };
        let taken = self.unless_stopped(work).await;
        stand.stop().await;
        taken
    }

    async fn lasting(&self) -> Result<Vec<Kept>> {
        let figures = self.wanted(&[Figure::Idle, Figure::Memory, Figure::FileMemory]);
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let stand = self.containers("lasting", None, IDLE_CONNECTIONS).await?;
        let work = async {
            let mut kept = Vec::new();
            for figure in figures {
                eprintln!("{figure:?}");
                kept.push(match figure {
                    Figure::Idle => Box::pin(idle::take(&stand)).await?,
                    Figure::FileMemory => Box::pin(files::memory(&stand, &self.engine)).await?,
                    _ => Box::pin(memory::take(&stand, &self.engine)).await?,
                });
            }
            Ok(kept)
        };
        let taken = self.unless_stopped(work).await;
        stand.stop().await;
        taken
    }

    /// A stand with the provider of containers, whose containers have the name of the part.
    async fn containers(
        &self,
        part: &str,
        more: Option<(&'static str, String)>,
        connections: u16,
    ) -> Result<Stand> {
        let given = self.args.provider_container.as_ref();
        let host = format!("unix://{}", self.args.docker.display());
        let mut env = vec![
            ("CONTAINER_SANDBOX_DOCKER_HOST", host.into()),
            ("SANDGATE_CONTAINER_IMAGE", self.args.image.clone().into()),
            ("SANDGATE_CONTAINER_SUBNETS", SUBNETS.into()),
            ("SANDGATE_NAME_PREFIX", self.named(part).into()),
        ];
        env.extend(more.map(|(name, value)| (name, value.into())));
        let plan = Plan {
            id: "container",
            file: programs::find(given, programs::CONTAINER).await?,
            env,
        };
        let connections = connections.max(self.args.connections);
        Box::pin(Stand::start(&self.gateway, plan, connections)).await
    }

    fn named(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(Error::Interrupted),
        }
    }
}
