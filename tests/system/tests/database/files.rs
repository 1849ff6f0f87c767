//! The files of a gateway's database, from outside.

use std::{fs, path::Path};

use sandgate_system::World;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// Name of the database in a folder of data.
pub(crate) const DATABASE: &str = "sandgate.db";

/// Opens a database beside whoever has it.
pub(crate) async fn open(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Runs a statement.
pub(crate) async fn run(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::query(sql).execute(connection).await.unwrap();
}

/// Moves all that was committed into the database's main file.
pub(crate) async fn settle(world: &World) {
    let mut connection = open(&world.database()).await;
    run(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
}

/// The folder of data as it lies on the disk now: what a crash would leave.
pub(crate) fn as_after_a_crash(world: &World) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let database = world.database();
    for entry in fs::read_dir(database.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // Shared memory does not survive a crash; content of session files is of no interest here.
        if path.is_file() && !name.ends_with("-shm") {
            fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    copy
}
