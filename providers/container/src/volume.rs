//! Volumes that carry a sandbox's labels.

use bollard::{Docker, models::Volume, query_parameters::ListVolumesOptionsBuilder};

use crate::{call, fault::Fault, names::Filters};

/// Those that the filters find.
pub(crate) async fn all(docker: &Docker, filters: &Filters) -> Result<Vec<Volume>, Fault> {
    let options = ListVolumesOptionsBuilder::new().filters(filters).build();
    let found = call::LIST.run(docker.list_volumes(Some(options))).await?;
    Ok(found.volumes.unwrap_or_default())
}
