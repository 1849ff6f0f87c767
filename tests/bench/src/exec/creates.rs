//! Creates: from the warm pool, cold, and by the bare calls of the Docker API.

use std::time::{Duration, Instant};

use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    client::Client,
    engine::{Engine, Recipe},
    figure::{Figure, Pair},
    phase::Phase,
};
use crate::error::{Error, Result};

/// Containers that the pool holds ready.
pub(super) const POOL: usize = 2;
/// How long the pool may take to fill.
const FILLING: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// What a container that runs may still have to do before it can be given away.
const SETTLING: Duration = Duration::from_millis(500);

/// A provider with a pool.
pub(super) struct Pooled {
    /// Makes sandboxes there.
    pub(super) client: Client,
    /// The name that its containers have.
    pub(super) name: String,
}

/// What creates sandboxes.
pub(super) struct Creates {
    cold: Client,
    warm: Option<Pooled>,
    engine: Engine,
    recipe: Mutex<Recipe>,
}

impl Creates {
    /// Makes a first sandbox, whose container the bare ones are like.
    pub(super) async fn prepare(
        cold: Client,
        warm: Option<Pooled>,
        engine: Engine,
        bare: &str,
    ) -> Result<Self> {
        let model = cold.create().await?;
        let recipe = Recipe::of(&engine, &model.provider_sandbox_id, bare).await?;
        Ok(Self {
            cold,
            warm,
            engine,
            recipe: Mutex::new(recipe),
        })
    }

    /// Waits until the pool is as full as it gets.
    async fn filled(&self, pooled: &Pooled) -> Result<()> {
        let filled = async {
            while self.engine.running(&pooled.name).await? < POOL {
                sleep(PAUSE).await;
            }
            sleep(SETTLING).await;
            Ok(())
        };
        let late = Error::Late("filling the warm pool");
        timeout(FILLING, filled).await.map_err(|_| late)?
    }
}

impl Phase for Creates {
    async fn take(&self, figure: Figure, _warm_up: bool) -> Result<Pair> {
        let Some(pooled) = self.warm.as_ref().filter(|_| figure == Figure::Warm) else {
            let ours = create(&self.cold).await?;
            let other = self.recipe.lock().await.time(&self.engine).await? * 1e3;
            return Ok(Pair { ours, other });
        };
        // The cold one first: taking one out of the pool makes it work in the background.
        self.filled(pooled).await?;
        let other = create(&self.cold).await?;
        let ours = create(&pooled.client).await?;
        self.filled(pooled).await?;
        Ok(Pair { ours, other })
    }
}

/// Milliseconds until a sandbox runs; deletes it again.
async fn create(client: &Client) -> Result<f64> {
    let begun = Instant::now();
    let made = client.create().await?;
    let took = begun.elapsed();
    client.delete(&made.sandbox_id).await?;
    Ok(took.as_secs_f64() * 1e3)
}
