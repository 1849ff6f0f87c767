//! Metadata by which a sandbox says whose it is.

use sandgate_kit::CallContext;

use crate::api::body::Metadata;

const GATEWAY: &str = "sandgate.gateway_id";
const ORG: &str = "sandgate.org_id";
const USER: &str = "sandgate.user_id";
const SESSION: &str = "sandgate.session_id";
const AGENT: &str = "sandgate.agent_id";
const HARNESS: &str = "sandgate.harness_id";
const SANDBOX: &str = "sandgate.sandbox_id";
const GENERATION: &str = "sandgate.generation";
const TITLE: &str = "sandgate.title";
/// Begins the caller's own labels, so that none passes for one of ours.
const LABEL: &str = "sandgate.label.";

/// Everything that a new sandbox says of itself.
pub(crate) fn all(
    context: &CallContext,
    title: &str,
    labels: &std::collections::BTreeMap<String, String>,
) -> Metadata {
    let owner = &context.owner;
    let generation = context.generation.to_string();
    let ours = [
        (GATEWAY, owner.gateway_id.as_str()),
        (ORG, &owner.org_id),
        (USER, &owner.user_id),
        (SESSION, &owner.session_id),
        (AGENT, &owner.agent_id),
        (HARNESS, &owner.harness_id),
        (SANDBOX, &context.sandbox_id),
        (GENERATION, &generation),
        (TITLE, title),
    ];
    let ours = ours.iter().filter(|(_, value)| !value.is_empty());
    let ours = ours.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let callers = labels
        .iter()
        .map(|(key, value)| (format!("{LABEL}{key}"), value.clone()));
    ours.chain(callers).collect()
}

/// Finds the sandbox of the context.
pub(crate) fn of_sandbox(context: &CallContext) -> Metadata {
    let mut marks = of_owner(context);
    marks.insert(SANDBOX.to_owned(), context.sandbox_id.clone());
    marks
}

/// Finds all sandboxes of the context's session, or of its gateway if it names none.
pub(crate) fn of_owner(context: &CallContext) -> Metadata {
    let owner = &context.owner;
    let mut marks = Metadata::from([(GATEWAY.to_owned(), owner.gateway_id.clone())]);
    if !owner.session_id.is_empty() {
        marks.insert(SESSION.to_owned(), owner.session_id.clone());
    }
    marks
}

/// Whether something with this metadata is the sandbox of the context.
pub(crate) fn own(context: &CallContext, metadata: &Metadata) -> bool {
    let wanted = of_sandbox(context);
    let is_ours = wanted
        .iter()
        .all(|(key, value)| metadata.get(key) == Some(value));
    is_ours && (context.generation == 0 || generation(metadata) == context.generation)
}

pub(crate) fn sandbox_id(metadata: &Metadata) -> String {
    metadata.get(SANDBOX).cloned().unwrap_or_default()
}

pub(crate) fn session_id(metadata: &Metadata) -> String {
    metadata.get(SESSION).cloned().unwrap_or_default()
}

pub(crate) fn generation(metadata: &Metadata) -> u64 {
    let text = metadata.get(GENERATION);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
