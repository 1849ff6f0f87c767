//! The gateway's database, as somebody sees it who has the file.

use sandgate_system::World;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// Opens it beside the gateway.
pub(crate) async fn open(world: &World) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(world.database());
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The number that a query gives, which gets this text.
pub(crate) async fn number(world: &World, query: &'static str, text: &str) -> i64 {
    let query = sqlx::query_scalar(query).bind(text);
    query.fetch_one(&mut open(world).await).await.unwrap()
}

/// Sealed values of this name, in use or not.
pub(crate) async fn values(world: &World, name: &str, active: bool) -> i64 {
    let query = match active {
        true => "SELECT COUNT(*) FROM sealed_values WHERE active = 1 AND name = ?",
        false => "SELECT COUNT(*) FROM sealed_values WHERE active = 0 AND name = ?",
    };
    number(world, query, name).await
}
