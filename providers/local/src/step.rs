//! The steps of create and delete.

pub(crate) use sandgate_kit::reached;

/// Every step. With the feature `failpoints` the program can be made to end, or the call to fail, at
/// each.
pub const STEPS: &[&str] = &[
    "local.create.begin",
    "local.create.folders",
    "local.start.begin",
    "local.start.groups",
    "local.start.launched",
    "local.start.noted",
    "local.start.released",
    "local.start.answered",
    "local.end.processes",
    "local.delete.begin",
    "local.delete.ended",
    "local.delete.moved",
    "local.delete.end",
];
