//! SQL of a new sandbox, and of what may be in its way.

use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{
    events,
    row::{self, SandboxRow},
    sandboxes, sessions,
};
use crate::store::{InsertOutcome, NewEvent, SandboxInsert, SandboxRecord, StoreError};

pub(super) async fn insert(
    pool: &SqlitePool,
    sandbox: &SandboxRecord,
    most: Option<u32>,
    event: Option<&NewEvent>,
) -> Result<SandboxInsert, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(there) = in_the_way(&mut transaction, sandbox).await? {
        return Ok(SandboxInsert::Done(there));
    }
    if let Some(refused) = refused(&mut transaction, sandbox, most).await? {
        return Ok(refused);
    }
    add(&mut transaction, sandbox).await?;
    events::append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(SandboxInsert::Done(InsertOutcome::Inserted))
}

async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
) -> Result<(), StoreError> {
    let id = sandbox.sandbox_id.to_string();
    let session_id = sandbox.session_id.to_string();
    let request_id = sandbox.request_id.map(|id| id.to_string());
    let labels = row::json(&sandbox.labels);
    let credential_id = sandbox.credential_id.map(|id| id.to_string());
    sqlx::query!(
        "INSERT INTO sandboxes (sandbox_id, session_id, alias, request_id, fingerprint, provider,
             spec, labels, state, reason_code, reason_message, generation, version,
             provider_sandbox_id, instance_id, provider_state, workspace_path, home_path,
             create_time, start_time, delete_time, org_id, credential_id, state_key_id,
             state_time, activity_time, due_time)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        session_id,
        sandbox.alias,
        request_id,
        sandbox.fingerprint,
        sandbox.provider,
        sandbox.spec,
        labels,
        sandbox.state,
        sandbox.reason_code,
        sandbox.reason_message,
        sandbox.generation,
        sandbox.version,
        sandbox.provider_sandbox_id,
        sandbox.instance_id,
        sandbox.provider_state,
        sandbox.workspace_path,
        sandbox.home_path,
        sandbox.create_time,
        sandbox.start_time,
        sandbox.delete_time,
        sandbox.org_id,
        credential_id,
        sandbox.state_key_id,
        sandbox.state_time,
        sandbox.activity_time,
        sandbox.due_time,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Why the organisation may not have another sandbox now.
async fn refused(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
    most: Option<u32>,
) -> Result<Option<SandboxInsert>, StoreError> {
    if let Some(most) = most {
        let living = sqlx::query_scalar!(
            "SELECT count(*) FROM sandboxes WHERE org_id = ? AND delete_time IS NULL",
            sandbox.org_id,
        )
        .fetch_one(&mut **transaction)
        .await?;
        if living >= i64::from(most) {
            return Ok(Some(SandboxInsert::OverQuota));
        }
    }
    if let Some(credential_id) = sandbox.credential_id {
        let id = credential_id.to_string();
        let kept = sqlx::query_scalar!("SELECT count(*) FROM sealed_values WHERE value_id = ?", id)
            .fetch_one(&mut **transaction)
            .await?;
        if kept == 0 {
            return Ok(Some(SandboxInsert::KeyGone));
        }
    }
    Ok(None)
}

/// The row that has the id, the request_id or the alias already.
async fn in_the_way(
    transaction: &mut Transaction<'_, Sqlite>,
    sandbox: &SandboxRecord,
) -> Result<Option<InsertOutcome<SandboxRecord>>, StoreError> {
    if let Some(request_id) = sandbox.request_id {
        let (session_id, request_id) = (sandbox.session_id.to_string(), request_id.to_string());
        let found = sqlx::query_as!(
            SandboxRow,
            "SELECT * FROM sandboxes WHERE session_id = ? AND request_id = ?",
            session_id,
            request_id,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(found) = found {
            return Ok(Some(InsertOutcome::SameRequest(found.try_into()?)));
        }
    }
    if let Some(found) = sandboxes::find(&mut **transaction, sandbox.sandbox_id).await? {
        if !was_taken_back(&found) || found.session_id != sandbox.session_id {
            return Ok(Some(InsertOutcome::SameId(found)));
        }
        let id = found.sandbox_id.to_string();
        sqlx::query!("DELETE FROM sandboxes WHERE sandbox_id = ?", id)
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(alias) = &sandbox.alias
        && let Some(found) =
            sandboxes::find_by_alias(&mut **transaction, sandbox.session_id, alias).await?
    {
        return Ok(Some(InsertOutcome::SameAlias(found)));
    }
    // Seen by the transaction that inserts, so that no sandbox outlives its session unseen.
    let session = sessions::find(&mut **transaction, sandbox.session_id).await?;
    Ok(session.is_none().then_some(InsertOutcome::NoSession))
}

/// A create that failed has freed its id, too.
fn was_taken_back(found: &SandboxRecord) -> bool {
    found.fingerprint.is_empty()
}
