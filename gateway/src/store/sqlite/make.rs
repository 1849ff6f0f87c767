//! SQL of a new sandbox, and of what may be in its way.

use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{
    events,
    row::{self, SandboxRow},
    sandboxes, sessions, transfers,
};
use crate::store::{
    InsertOutcome, NewEvent, SandboxInsert, SandboxRecord, StoreError, UploadRecord,
};

pub(super) async fn insert(
    pool: &SqlitePool,
    sandbox: &SandboxRecord,
    most: Option<u32>,
    event: Option<&NewEvent>,
    upload: Option<&UploadRecord>,
) -> Result<SandboxInsert, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(there) = in_the_way(&mut transaction, sandbox).await? {
        return Ok(SandboxInsert::Done(there));
    }
    if let Some(refused) = refused(&mut transaction, sandbox, most).await? {
        return Ok(refused);
    }
    add(&mut transaction, sandbox).await?;
    if let Some(upload) = upload {
        transfers::add(&mut transaction, upload).await?;
    }
    events::append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(SandboxInsert::Done(InsertOutcome::Inserted))
}

pub(super) async fn was_asked_for(
    pool: &SqlitePool,
    sandbox: &SandboxRecord,
) -> Result<bool, StoreError> {
    let (id, session_id) = (
        sandbox.sandbox_id.to_string(),
        sandbox.session_id.to_string(),
    );
    let request_id = sandbox.request_id.map(|id| id.to_string());
    // One that was taken back has freed its id, and its fingerprint is empty.
    let found = sqlx::query_scalar!(
        "SELECT count(*) FROM sandboxes
         WHERE session_id = ?1 AND (request_id = ?2 OR sandbox_id = ?3 AND fingerprint <> x'')",
        session_id,
        request_id,
        id,
    )
    .fetch_one(pool)
    .await?;
    Ok(found > 0)
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
        // Or the files that it was to begin with would be copied into the next.
        sqlx::query!("DELETE FROM transfers WHERE sandbox_id = ?", id)
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

#[cfg(test)]
mod tests {
    use sandgate_proto::v1::SandboxState;
    use uuid::Uuid;

    use crate::{
        principal::Owner,
        store::{
            SandboxRecord, SessionRecord, SqliteStore, Store as _, TransferStore as _, UploadRecord,
        },
    };

    /// What is to be copied into a sandbox.
    fn upload(sandbox: &SandboxRecord) -> UploadRecord {
        UploadRecord {
            owner: Owner {
                org_id: "acme".into(),
                user_id: "ann".into(),
            },
            request_id: Uuid::new_v4(),
            fingerprint: vec![1],
            sandbox_id: sandbox.sandbox_id,
            session_id: sandbox.session_id,
            asked: b"files".to_vec(),
            since: 5,
        }
    }

    #[tokio::test]
    async fn the_next_sandbox_of_an_id_begins_without_the_files_of_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("db")).await.unwrap();
        let session = SessionRecord::new(Uuid::new_v4(), "acme".into(), "ann".into(), 1);
        store.insert_session(&session).await.unwrap();
        let row = |id| SandboxRecord {
            fingerprint: vec![1],
            ..SandboxRecord::new(id, &session, "local".into(), Vec::new(), 2)
        };
        let (sandbox, other) = (row(Uuid::new_v4()), row(Uuid::new_v4()));
        let kept = upload(&other);
        for (sandbox, upload) in [(&sandbox, &upload(&sandbox)), (&other, &kept)] {
            let inserted = store.insert_sandbox_with(sandbox, None, None, Some(upload));
            inserted.await.unwrap();
        }
        let taken_back = sandbox.unchanged();
        let id = sandbox.sandbox_id;
        let taken_back = store.forget_sandbox(id, sandbox.version, &taken_back, None);
        assert!(taken_back.await.unwrap());
        store.insert_sandbox(&sandbox, None, None).await.unwrap();
        for sandbox in [&sandbox, &other] {
            let mut runs = sandbox.unchanged();
            runs.state = SandboxState::Running.into();
            let changed = store.change_sandbox(sandbox.sandbox_id, sandbox.version, &runs, None);
            changed.await.unwrap().unwrap();
        }
        assert_eq!(store.uploads_left(9, 9).await.unwrap(), [kept]);
    }
}
