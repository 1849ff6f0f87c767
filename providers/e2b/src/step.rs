//! The steps of create, stop and delete.

pub(crate) use sandgate_kit::reached;

/// Every step. With the feature `failpoints` the program can be made to end, or the call to fail, at
/// each.
pub const STEPS: &[&str] = &[
    "e2b.create.listed",
    "e2b.create.made",
    "e2b.create.prepared",
    "e2b.create.settled",
    "e2b.stop.paused",
    "e2b.delete.listed",
    "e2b.delete.killed",
];
