//! The database of a gateway: filled while it does not run, and told while it runs what is due.

use std::{
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use sandgate_proto::v1::SandboxState;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use crate::{
    control::fill,
    error::{Error, Result},
    hop::{listed, load::Ids},
};

/// No disk is as slow as this.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a statement waits for the gateway's.
const BUSY: Duration = Duration::from_secs(30);
/// Far enough for nothing to be due in a run.
const FAR: i64 = 3_600_000;

const SETTLE: &str = "
    UPDATE sandboxes SET state = CASE WHEN sandbox_id = ?1 THEN state ELSE ?2 END,
        state_time = ?3, activity_time = ?3, due_time = ?4";
const NOT_COPIED: &str = "DELETE FROM sandboxes WHERE session_id = ?1";
const AWAKE: &str = "UPDATE installation SET awake_time = ?1";
const NOTHING_DUE: &str = "UPDATE sandboxes SET due_time = ?1 + ?2";
/// In no order of the rows, as it is after a while of life.
const SPREAD: &str = "
    UPDATE sandboxes SET due_time = ?1 + (rowid * 2654435761 & 4294967295) % ?2";
const DUE_AT_ONCE: &str = "
    UPDATE sandboxes SET due_time = ?1 - 1 - (rowid * 2654435761 & 4294967295) % 1000
    WHERE sandbox_id IN (SELECT sandbox_id FROM sandboxes ORDER BY sandbox_id LIMIT ?2)";

/// A connection to it.
pub(super) struct Database(SqliteConnection);

impl Database {
    /// Opens that of the gateway with its data here.
    pub(super) async fn open(data_dir: &Path) -> Result<Self> {
        let file = data_dir.join("sandgate.db");
        let options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(BUSY);
        Ok(Self(SqliteConnection::connect_with(&options).await?))
    }

    /// Fills it with so many copies of what the gateway made, in this state but for the first, which
    /// runs; nothing is due. What was copied is removed. The first.
    pub(super) async fn fill(
        &mut self,
        made: &Ids,
        sandboxes: u32,
        state: SandboxState,
    ) -> Result<Ids> {
        let [session_id, sandbox_id] = listed::ids(1);
        let fill = async {
            let database = &mut self.0;
            fill::copy(database, &made.session_id, sandboxes).await?;
            let removed = sqlx::query(NOT_COPIED).bind(&made.session_id);
            removed.execute(&mut *database).await?;
            sqlx::query(SETTLE)
                .bind(&sandbox_id)
                .bind(i32::from(state))
                .bind(now())
                .bind(now() + FAR)
                .execute(&mut *database)
                .await?;
            // Where no gateway was awake for a while all clocks begin anew.
            let awake = sqlx::query(AWAKE).bind(now());
            awake.execute(&mut *database).await
        };
        in_time(fill).await?;
        Ok(Ids {
            session_id,
            sandbox_id,
        })
    }

    /// Nothing is due for long.
    pub(super) async fn nothing_due(&mut self) -> Result<()> {
        self.execute(NOTHING_DUE, FAR).await
    }

    /// All become due, evenly spread over some time.
    pub(super) async fn spread(&mut self, over: Duration) -> Result<()> {
        self.execute(SPREAD, millis(over)).await
    }

    /// So many are due at once, in no order.
    pub(super) async fn due_at_once(&mut self, count: u32) -> Result<()> {
        self.execute(DUE_AT_ONCE, i64::from(count)).await
    }

    /// How many are due later than this; those that were just looked at are due later than others.
    pub(super) async fn due_after(&mut self, time: i64) -> Result<u32> {
        let count = sqlx::query_scalar("SELECT count(*) FROM sandboxes WHERE due_time > ?")
            .bind(time)
            .fetch_one(&mut self.0);
        in_time(count).await
    }

    /// How many are due before this.
    pub(super) async fn due_before(&mut self, time: i64) -> Result<u32> {
        let count = sqlx::query_scalar("SELECT count(*) FROM sandboxes WHERE due_time < ?")
            .bind(time)
            .fetch_one(&mut self.0);
        in_time(count).await
    }

    async fn execute(&mut self, statement: &'static str, value: i64) -> Result<()> {
        let query = sqlx::query(statement).bind(now()).bind(value);
        in_time(query.execute(&mut self.0)).await?;
        Ok(())
    }
}

/// The time as the database has it, milliseconds since the epoch.
pub(super) fn now() -> i64 {
    millis(UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// A length, as the database has it.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    let done = timeout(PATIENCE, work).await;
    Ok(done.map_err(|_| Error::Late("work on the database"))??)
}
