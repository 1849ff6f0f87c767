//! AuditService.

use sandgate_proto::{
    Problem,
    v1::{self, AuditEvent, audit_service_server::AuditService},
};
use tonic::{Request, Response, Status};

use super::{page::Page, principal};
use crate::{
    audit::Log,
    clock, ids,
    problem::Result as Outcome,
    store::{AuditFilter, AuditRecord, PageKey},
};

/// AuditService over the log.
pub(crate) struct AuditRpc {
    log: Log,
}

impl AuditRpc {
    pub(crate) fn new(log: Log) -> Self {
        Self { log }
    }
}

#[tonic::async_trait]
impl AuditService for AuditRpc {
    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Result<Response<v1::ListAuditEventsResponse>, Status> {
        let principal = principal(&request)?;
        let mut asked = request.into_inner();
        let (size, token) = (asked.page_size, std::mem::take(&mut asked.page_token));
        asked.page_size = 0;
        let page = Page::of(&principal, &asked, size, &token)?;
        let named = |id: String| Some(id).filter(|id| !id.is_empty());
        let filter = AuditFilter {
            session_id: ids::optional_uuid("session_id", &asked.session_id)?,
            sandbox_id: ids::optional_uuid("sandbox_id", &asked.sandbox_id)?,
            org_id: named(asked.org_id),
            user_id: named(asked.user_id),
            method: asked.method,
            code: asked.code,
            start_time: time("start_time", asked.start_time)?,
            end_time: time("end_time", asked.end_time)?,
            after: page.after.as_ref().map(|key| key.time),
            limit: page.limit(),
        };
        let mut rows = self.log.list(&principal, filter).await?;
        let next_page_token = page.cut(&mut rows, |row| PageKey {
            time: row.seq,
            id: String::new(),
        });
        let events = rows.into_iter().map(describe).collect();
        Ok(Response::new(v1::ListAuditEventsResponse {
            events,
            next_page_token,
        }))
    }
}

fn time(field: &'static str, time: Option<prost_types::Timestamp>) -> Outcome<Option<i64>> {
    time.map(|time| {
        clock::millis(time)
            .ok_or_else(|| Problem::invalid_field(field, "must be a time after 1970"))
    })
    .transpose()
}

fn describe(record: AuditRecord) -> AuditEvent {
    let micros = record.duration;
    AuditEvent {
        session_id: record.session_id,
        sandbox_id: record.sandbox_id,
        execution_id: record.execution_id,
        event_id: record.event_id,
        time: Some(clock::timestamp(record.time)),
        org_id: record.org_id,
        user_id: record.user_id,
        principal: record.principal,
        method: record.method,
        target: record.target,
        code: record.code,
        reason: record.reason,
        request_id: record.request_id,
        peer_address: record.peer_address,
        trace_id: record.trace_id,
        duration: Some(prost_types::Duration {
            seconds: micros / 1_000_000,
            nanos: i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default(),
        }),
        details: record.details,
    }
}
