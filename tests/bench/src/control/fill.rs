//! Fills the database of a gateway that does not run: one session and sandbox that the gateway made
//! itself are copied, for many users.

use std::{path::Path, time::Duration};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use crate::{
    error::{Error, Result},
    hop::load::Ids,
};

/// Sessions, each with one sandbox.
pub(super) const SESSIONS: u32 = 100_000;
/// Users that they belong to.
pub(super) const USERS: u32 = 1_000;
/// Organisations that these belong to.
pub(super) const ORGANISATIONS: u32 = 100;
/// No disk is as slow as this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ids look as random as real ones: the factor is odd, so that no two products are the same.
const COPY_SESSIONS: &str = "
    WITH RECURSIVE numbers (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)
    INSERT INTO sessions (session_id, org_id, user_id, request_id, fingerprint, definition,
        agent_id, harness_id, labels, version, create_time, update_time)
    SELECT printf('%08x-0000-4000-8000-%012x', (n * 2654435761) & 4294967295, n),
        'org-' || (n % ?4), 'user-' || (n % ?3), NULL, fingerprint, definition,
        agent_id, harness_id, labels, version, create_time, update_time
    FROM numbers, sessions WHERE session_id = ?1";

/// The provider's state is sealed for the one sandbox and means nothing to the others.
const COPY_SANDBOXES: &str = "
    INSERT INTO sandboxes (sandbox_id, session_id, org_id, alias, request_id, fingerprint, provider,
        spec, labels, state, reason_code, reason_message, generation, version, provider_sandbox_id,
        instance_id, provider_state, state_key_id, workspace_path, home_path, create_time,
        start_time)
    SELECT replace(sessions.session_id, '-4000-8000-', '-4000-9000-'), sessions.session_id,
        sessions.org_id, NULL, NULL, made.fingerprint, made.provider,
        made.spec, made.labels, made.state, made.reason_code, made.reason_message, made.generation,
        made.version, made.provider_sandbox_id, made.instance_id, x'', '', made.workspace_path,
        made.home_path, made.create_time, made.start_time
    FROM sessions, sandboxes AS made
    WHERE made.session_id = ?1 AND sessions.session_id <> made.session_id";

/// In no order, so that no call finds its rows beside those of the call before.
const COPIES: &str = "
    SELECT session_id, sandbox_id, sessions.org_id, user_id
    FROM sandboxes JOIN sessions USING (session_id) WHERE session_id <> ?1 ORDER BY random()";

/// What the database has now.
pub(super) struct Filled {
    /// One of the sandboxes.
    pub(super) one: Ids,
    /// Organisation and user whose that one is.
    pub(super) owner: (String, String),
    /// All the others, in no order.
    pub(super) others: Vec<Ids>,
}

/// Copies the session `made` and its sandbox.
pub(super) async fn fill(data_dir: &Path, made: &Ids) -> Result<Filled> {
    let options = SqliteConnectOptions::new().filename(data_dir.join("sandgate.db"));
    let work = async {
        let mut database = SqliteConnection::connect_with(&options).await?;
        copy(&mut database, &made.session_id, SESSIONS).await?;
        let filled = copies(&mut database, &made.session_id).await?;
        database.close().await?;
        Ok(filled)
    };
    timeout(PATIENCE, work)
        .await
        .map_err(|_| Error::Late("filling the database"))?
}

/// Copies the session `made` and its sandbox so many times. The ids are those of `hop::listed`.
pub(crate) async fn copy(
    database: &mut SqliteConnection,
    made: &str,
    sessions: u32,
) -> sqlx::Result<()> {
    let mut transaction = database.begin().await?;
    sqlx::query(COPY_SESSIONS)
        .bind(made)
        .bind(sessions)
        .bind(USERS)
        .bind(ORGANISATIONS)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(COPY_SANDBOXES)
        .bind(made)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

async fn copies(database: &mut SqliteConnection, made: &str) -> sqlx::Result<Filled> {
    let mut rows = sqlx::query_as(COPIES)
        .bind(made)
        .fetch_all(database)
        .await?;
    let (session_id, sandbox_id, org_id, user_id) = rows.pop().ok_or(sqlx::Error::RowNotFound)?;
    let ids = |(session_id, sandbox_id, _, _): (String, String, String, String)| Ids {
        session_id,
        sandbox_id,
    };
    Ok(Filled {
        one: Ids {
            session_id,
            sandbox_id,
        },
        owner: (org_id, user_id),
        others: rows.into_iter().map(ids).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sqlx::migrate::Migrator;
    use uuid::Uuid;

    use super::*;

    const MADE: &str = "7b0cbb10-6f5c-4c0f-9a3e-52b1a5fd2f0e";

    /// With the gateway's schema, and what the gateway made.
    async fn database() -> SqliteConnection {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/migrations");
        let schema = Migrator::new(Path::new(folder)).await.unwrap();
        schema.run(&mut database).await.unwrap();
        for made in [
            "INSERT INTO sessions (session_id, org_id, user_id, request_id, fingerprint, definition,
                agent_id, harness_id, labels, version, create_time, update_time)
             VALUES (?1, 'admin', 'admin', ?1, x'01', x'02', '', '', '{}', 1, 5, 6)",
            "INSERT INTO sandboxes (sandbox_id, session_id, org_id, request_id, fingerprint,
                provider, spec, labels, state, reason_code, reason_message, generation, version,
                provider_sandbox_id, instance_id, provider_state, state_key_id, workspace_path,
                home_path, create_time)
             VALUES (?1, ?1, 'admin', ?1, x'01', 'bench', x'03', '{}', 2, '', '', 1, 2,
                'bench-1', '', x'04', 'k', '/workspace', '', 5)",
        ] {
            let made = sqlx::query(made).bind(MADE);
            made.execute(&mut database).await.unwrap();
        }
        database
    }

    #[tokio::test]
    async fn copies_are_as_what_the_gateway_made_with_owners_and_ids_of_their_own() {
        let mut database = database().await;
        copy(&mut database, MADE, 2_500).await.unwrap();
        let filled = copies(&mut database, MADE).await.unwrap();
        let all = filled.others.iter().chain([&filled.one]);
        let ids: HashSet<&String> = all
            .flat_map(|ids| [&ids.session_id, &ids.sandbox_id])
            .collect();
        assert_eq!(ids.len(), 5_000);
        for number in [1, 2_500] {
            let [session_id, sandbox_id] = crate::hop::listed::ids(number);
            assert!(ids.contains(&session_id) && ids.contains(&sandbox_id));
        }
        for id in ids {
            assert_eq!(&Uuid::parse_str(id).unwrap().to_string(), id);
        }
        let counts: (i64, i64, i64) = sqlx::query_as(
            "SELECT count(DISTINCT user_id), count(DISTINCT sessions.org_id), count(*)
             FROM sessions JOIN sandboxes USING (session_id, org_id, fingerprint, create_time)
             WHERE definition = x'02' AND spec = x'03' AND state = 2 AND provider_state = x''
                 AND state_key_id = '' AND sandboxes.request_id IS NULL",
        )
        .fetch_one(&mut database)
        .await
        .unwrap();
        assert_eq!(counts, (1_000, 100, 2_500));
        let (org_id, user_id) = filled.owner;
        let whose: (String, String) =
            sqlx::query_as("SELECT org_id, user_id FROM sessions WHERE session_id = ?")
                .bind(&filled.one.session_id)
                .fetch_one(&mut database)
                .await
                .unwrap();
        assert_eq!(whose, (org_id, user_id));
    }

    #[tokio::test]
    async fn nothing_to_copy_is_an_error() {
        let mut database = database().await;
        let other = Uuid::new_v4().to_string();
        copy(&mut database, &other, 10).await.unwrap();
        assert!(copies(&mut database, MADE).await.is_err());
    }
}
