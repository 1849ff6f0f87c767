//! The steps of create and delete.

pub(crate) use sandgate_kit::reached;

/// Every step. With the feature `failpoints` the program can be made to end, or the call to fail, at
/// each.
pub const STEPS: &[&str] = &[
    "container.look.made",
    "container.create.begin",
    "container.create.network",
    "container.create.network.made",
    "container.create.container",
    "container.create.container.made",
    "container.run.start",
    "container.run.started",
    "container.run.answered",
    "container.pool.network.made",
    "container.pool.container.made",
    "container.take.taken",
    "container.take.owned",
    "container.take.renamed",
    "container.take.answered",
    "container.delete.begin",
    "container.delete.networks",
    "container.delete.volumes",
    "container.delete.slots",
    "container.delete.end",
    "container.delete.owned",
    "container.delete.owned.network",
    "container.delete.owned.slot",
    "container.delete.owned.file",
];
