//! Requests of the gateway's own to a provider.

use std::time::Duration;

use http::header::AUTHORIZATION;
use sandgate_proto::CONTEXT_METADATA;
use tonic::{
    Request,
    metadata::{MetadataMap, MetadataValue},
};

use super::{Context, Lane};

impl Lane {
    /// A request that is to be answered in time.
    pub(super) fn request<T>(
        &self,
        body: T,
        context: Option<&Context>,
        patience: Duration,
    ) -> Request<T> {
        let mut request = self.addressed(body, context);
        request.set_timeout(patience);
        request
    }

    /// With what lets it in, and whom it is about.
    pub(super) fn addressed<T>(&self, body: T, context: Option<&Context>) -> Request<T> {
        let mut request = Request::new(body);
        let metadata = request.metadata_mut();
        if let Some(context) = context {
            let mut value = MetadataValue::from_bytes(&context.encoded);
            value.set_sensitive(true);
            metadata.insert_bin(CONTEXT_METADATA, value);
        }
        if let Some(authorization) = &self.authorization {
            let mut headers = std::mem::take(metadata).into_headers();
            headers.insert(AUTHORIZATION, authorization.clone());
            *metadata = MetadataMap::from_headers(headers);
        }
        request
    }
}
