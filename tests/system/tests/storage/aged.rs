//! Time that passes for what is to be removed, without waiting for it.

use std::{path::Path, time::Duration};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use crate::stand::objects;

async fn database(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("sandgate.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Makes so many minutes pass for all objects that no file has.
pub(crate) async fn age(data: &Path, minutes: i64) {
    sqlx::query("UPDATE file_parts SET due_time = due_time - ? WHERE due_time IS NOT NULL")
        .bind(minutes * 60_000)
        .execute(&mut database(data).await)
        .await
        .unwrap();
}

/// Waits until the folder of a gateway's files has so many objects, and as many are noted.
pub(crate) async fn has(data: &Path, wanted: usize) {
    let mut database = database(data).await;
    let mut found = (0, 0);
    for _ in 0..600 {
        let noted = sqlx::query_scalar("SELECT COUNT(*) FROM file_parts");
        let noted: i64 = noted.fetch_one(&mut database).await.unwrap();
        found = (objects(data), usize::try_from(noted).unwrap());
        if found == (wanted, wanted) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("not {wanted} objects within a minute, but {found:?}");
}
