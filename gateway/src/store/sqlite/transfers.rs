//! SQL of copies that can be repeated.

use async_trait::async_trait;
use sandgate_proto::v1::SandboxState;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{SqliteStore, row};
use crate::{
    principal::Owner,
    store::{StoreError, TransferRecord, TransferStore, UploadRecord},
};

/// A row of `transfers`.
struct TransferRow {
    org_id: String,
    user_id: String,
    request_id: String,
    fingerprint: Vec<u8>,
    holder: String,
    claim_time: i64,
    files: i64,
    bytes: i64,
    done: Vec<u8>,
}

/// The texts of its ids.
fn ids(record: &TransferRecord) -> (String, String) {
    (record.request_id.to_string(), record.holder.to_string())
}

/// Adds what is to be copied into a new sandbox, which nobody works on yet. An earlier sandbox of the
/// same id, which was taken back, may have left the same.
pub(super) async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    upload: &UploadRecord,
) -> Result<(), StoreError> {
    let (request_id, nobody) = (upload.request_id.to_string(), Uuid::nil().to_string());
    let sandbox_id = upload.sandbox_id.to_string();
    sqlx::query!(
        "INSERT OR REPLACE INTO transfers (org_id, user_id, request_id, fingerprint, holder,
             claim_time, files, bytes, done, sandbox_id, asked)
         VALUES (?, ?, ?, ?, ?, ?, 0, 0, x'', ?, ?)",
        upload.owner.org_id,
        upload.owner.user_id,
        request_id,
        upload.fingerprint,
        nobody,
        upload.since,
        sandbox_id,
        upload.asked,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[async_trait]
impl TransferStore for SqliteStore {
    async fn claim_transfer(
        &self,
        wanted: &TransferRecord,
        now: i64,
    ) -> Result<TransferRecord, StoreError> {
        let (org_id, user_id) = (&wanted.owner.org_id, &wanted.owner.user_id);
        let (request_id, holder) = ids(wanted);
        // One whose holder is dead goes on from where that one was; another request finds it held.
        let row = sqlx::query_as!(
            TransferRow,
            r#"INSERT INTO transfers (org_id, user_id, request_id, fingerprint, holder, claim_time,
                 files, bytes, done)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, x'')
             ON CONFLICT (org_id, user_id, request_id) DO UPDATE SET
                 holder = CASE WHEN claim_time <= ?7 AND fingerprint = ?4 THEN ?5 ELSE holder END,
                 claim_time = CASE WHEN claim_time <= ?7 AND fingerprint = ?4 THEN ?6
                     ELSE claim_time END
             RETURNING org_id, user_id, request_id, fingerprint, holder, claim_time, files, bytes,
                 done"#,
            org_id,
            user_id,
            request_id,
            wanted.fingerprint,
            holder,
            wanted.claim_time,
            now,
        )
        .fetch_one(&self.writer)
        .await?;
        TransferRecord::try_from(row)
    }

    async fn transfer(
        &self,
        owner: &Owner,
        request_id: Uuid,
    ) -> Result<Option<TransferRecord>, StoreError> {
        let request_id = request_id.to_string();
        sqlx::query_as!(
            TransferRow,
            "SELECT org_id, user_id, request_id, fingerprint, holder, claim_time, files, bytes, done
             FROM transfers WHERE org_id = ? AND user_id = ? AND request_id = ?",
            owner.org_id,
            owner.user_id,
            request_id,
        )
        .fetch_optional(&self.readers)
        .await?
        .map(TransferRecord::try_from)
        .transpose()
    }

    async fn uploads_left(&self, since: i64, limit: u32) -> Result<Vec<UploadRecord>, StoreError> {
        let running = i32::from(SandboxState::Running);
        let rows = sqlx::query!(
            r#"SELECT transfers.org_id, user_id, transfers.request_id, transfers.fingerprint,
                 sandbox_id AS "sandbox_id!", session_id, asked, claim_time
             FROM transfers JOIN sandboxes USING (sandbox_id)
             WHERE claim_time <= ? AND state = ? ORDER BY random() LIMIT ?"#,
            since,
            running,
            limit,
        )
        .fetch_all(&self.readers)
        .await?;
        let mut uploads = Vec::new();
        for row in rows {
            uploads.push(UploadRecord {
                owner: Owner {
                    org_id: row.org_id,
                    user_id: row.user_id,
                },
                request_id: row::uuid(&row.request_id)?,
                fingerprint: row.fingerprint,
                sandbox_id: row::uuid(&row.sandbox_id)?,
                session_id: row::uuid(&row.session_id)?,
                asked: row.asked,
                since: row.claim_time,
            });
        }
        Ok(uploads)
    }

    async fn renew_transfer(&self, record: &TransferRecord) -> Result<bool, StoreError> {
        let (org_id, user_id) = (&record.owner.org_id, &record.owner.user_id);
        let (request_id, holder) = ids(record);
        let done = sqlx::query!(
            "UPDATE transfers SET claim_time = ?, files = ?, bytes = ?, done = ?
             WHERE org_id = ? AND user_id = ? AND request_id = ? AND holder = ?",
            record.claim_time,
            record.files,
            record.bytes,
            record.done,
            org_id,
            user_id,
            request_id,
            holder,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn end_transfer(&self, record: &TransferRecord) -> Result<(), StoreError> {
        let (org_id, user_id) = (&record.owner.org_id, &record.owner.user_id);
        let (request_id, holder) = ids(record);
        sqlx::query!(
            "DELETE FROM transfers
             WHERE org_id = ? AND user_id = ? AND request_id = ? AND holder = ?",
            org_id,
            user_id,
            request_id,
            holder,
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn drop_transfers_before(&self, time: i64, limit: u32) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM transfers WHERE rowid IN
                 (SELECT rowid FROM transfers WHERE claim_time < ? LIMIT ?)",
            time,
            limit,
        )
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }
}

impl TryFrom<TransferRow> for TransferRecord {
    type Error = StoreError;

    fn try_from(row: TransferRow) -> Result<Self, StoreError> {
        Ok(Self {
            owner: Owner {
                org_id: row.org_id,
                user_id: row.user_id,
            },
            request_id: row::uuid(&row.request_id)?,
            fingerprint: row.fingerprint,
            holder: row::uuid(&row.holder)?,
            claim_time: row.claim_time,
            files: row.files,
            bytes: row.bytes,
            done: row.done,
        })
    }
}
