//! Agents that come with Sandgate, in every organisation, and never change.

use sandgate_proto::v1::{Agent, AgentKind, CapabilityRef};

use super::Filter;

/// The harness that only some gateways have.
const CONTAINER_HARNESS: &str = "coding-container";

struct Preset {
    id: &'static str,
    kind: AgentKind,
    title: &'static str,
    capabilities: &'static [&'static str],
}

/// In the order of a list: by id, the last first.
const PRESETS: &[Preset] = &[
    Preset {
        id: "daytona-coder",
        kind: AgentKind::Agent,
        title: "Daytona Coder",
        capabilities: &["daytona", "session_storage", "session_file_system"],
    },
    Preset {
        id: CONTAINER_HARNESS,
        kind: AgentKind::Harness,
        title: "Coding (Container)",
        capabilities: &[
            "container_sandbox",
            "session_storage",
            "session_file_system",
        ],
    },
];

/// Whether an id is a preset's, also of one that this gateway does not have.
pub(super) fn is_reserved(agent_id: &str) -> bool {
    PRESETS.iter().any(|preset| preset.id == agent_id)
}

/// The presets of a gateway, as an organisation sees them.
pub(super) fn all(org_id: &str, has_harness: bool) -> impl Iterator<Item = Agent> {
    PRESETS
        .iter()
        .filter(move |preset| has_harness || preset.id != CONTAINER_HARNESS)
        .map(move |preset| preset.agent(org_id))
}

/// Those that come on a page: they are older than all others, and nobody's.
pub(super) fn page(filter: &Filter, has_harness: bool) -> impl Iterator<Item = Agent> {
    let after = filter.after.as_ref().filter(|after| after.time == 0);
    all(&filter.org_id, has_harness).filter(move |agent| {
        filter.user_id.is_empty()
            && filter.labels.is_empty()
            && (filter.kind == 0 || filter.kind == agent.kind)
            && after.is_none_or(|after| agent.agent_id < after.id)
    })
}

impl Preset {
    fn agent(&self, org_id: &str) -> Agent {
        let capability = |name: &&str| CapabilityRef {
            r#ref: (*name).to_owned(),
            config: None,
        };
        Agent {
            agent_id: self.id.to_owned(),
            kind: self.kind.into(),
            org_id: org_id.to_owned(),
            title: self.title.to_owned(),
            capabilities: self.capabilities.iter().map(capability).collect(),
            etag: "1".to_owned(),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PageKey;

    #[test]
    fn they_come_page_by_page_in_the_order_of_ids() {
        let mut filter = Filter {
            org_id: "o".into(),
            user_id: String::new(),
            kind: 0,
            labels: Default::default(),
            after: None,
            limit: 10,
        };
        let ids = |filter: &Filter, harness| -> Vec<String> {
            page(filter, harness).map(|agent| agent.agent_id).collect()
        };
        assert_eq!(ids(&filter, true), ["daytona-coder", "coding-container"]);
        assert_eq!(ids(&filter, false), ["daytona-coder"]);
        filter.after = Some(PageKey {
            time: 0,
            id: "daytona-coder".into(),
        });
        assert_eq!(ids(&filter, true), ["coding-container"]);
        filter.kind = AgentKind::Agent.into();
        assert!(ids(&filter, true).is_empty());
    }
}
