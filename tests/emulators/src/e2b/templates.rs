//! The templates that there are.

/// What a sandbox is made from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// As answers name it.
    pub(crate) id: &'static str,
    /// As callers name it.
    pub(crate) alias: &'static str,
}

/// What its sandboxes are said to have.
pub(crate) const CPUS: u32 = 2;
pub(crate) const MEMORY_MB: u32 = 512;
pub(crate) const DISK_MB: u32 = 10_240;

const ALL: [Template; 3] = [
    Template {
        id: "rki5dems9wqfm4r03t7g",
        alias: "base",
    },
    Template {
        id: "nlhz8vlwyupq845jsdg9",
        alias: "code-interpreter-v1",
    },
    Template {
        id: "k0wmnzir0zuzye6dndlw",
        alias: "desktop",
    },
];

/// By id or alias, with or without a tag.
pub(crate) fn find(name: &str) -> Option<&'static Template> {
    let name = name.split(':').next().unwrap_or_default();
    ALL.iter()
        .find(|template| template.id == name || template.alias == name)
}
