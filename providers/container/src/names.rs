//! Names and labels: what this provider calls the things it makes, and how it knows them again.

use std::collections::{BTreeMap, HashMap};

use sandgate_kit::CallContext;
use sha2::{Digest as _, Sha256};

/// The alias under which a session's sandbox has the session's own name.
const DOCKER_ALIAS: &str = "docker";

/// Labels as the engine takes and gives them.
pub(crate) type Labels = HashMap<String, String>;

/// Filters as the engine takes them.
pub(crate) type Filters = HashMap<String, Vec<String>>;

/// The marks of one sandbox, or of all that a context may see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks<'a> {
    prefix: &'a str,
    context: &'a CallContext,
}

/// Which label says what; the name follows the prefix and a dot.
pub(crate) mod label {
    pub(crate) const GATEWAY: &str = "gateway_id";
    pub(crate) const ORG: &str = "org_id";
    pub(crate) const USER: &str = "user_id";
    pub(crate) const SESSION: &str = "session_id";
    pub(crate) const AGENT: &str = "agent_id";
    pub(crate) const HARNESS: &str = "harness_id";
    pub(crate) const SANDBOX: &str = "sandbox_id";
    pub(crate) const GENERATION: &str = "generation";
    /// One call of create; what it made is found by this if it has to be taken down again.
    pub(crate) const ATTEMPT: &str = "attempt";
    /// Made ahead by the provider with this id; whose it is then is said elsewhere.
    pub(crate) const POOL: &str = "pool";
    /// Made to look into an image.
    pub(crate) const LOOK: &str = "look";
}

impl<'a> Marks<'a> {
    pub(crate) const fn new(prefix: &'a str, context: &'a CallContext) -> Self {
        Self { prefix, context }
    }

    /// Labels of a container or network made by the call `attempt`. The caller's own come under a
    /// name of their own, so that none can pass for one of ours.
    pub(crate) fn labels(&self, attempt: &str, own: &BTreeMap<String, String>) -> Labels {
        let owner = &self.context.owner;
        let generation = self.context.generation.to_string();
        let ours = [
            (label::GATEWAY, owner.gateway_id.as_str()),
            (label::ORG, &owner.org_id),
            (label::USER, &owner.user_id),
            (label::SESSION, &owner.session_id),
            (label::AGENT, &owner.agent_id),
            (label::HARNESS, &owner.harness_id),
            (label::SANDBOX, &self.context.sandbox_id),
            (label::GENERATION, &generation),
            (label::ATTEMPT, attempt),
        ];
        let caller = own
            .iter()
            .map(|(key, value)| (self.key(&format!("label.{key}")), value.clone()));
        ours.iter()
            .map(|(name, value)| (self.key(name), (*value).to_owned()))
            .chain([
                ("managed-by".to_owned(), self.prefix.to_owned()),
                ("session".to_owned(), owner.session_id.clone()),
            ])
            .chain(caller)
            .collect()
    }

    /// Whether something with these labels is the sandbox of the context.
    pub(crate) fn own(&self, labels: &Labels) -> bool {
        let owner = &self.context.owner;
        let is = |name, value: &str| {
            labels
                .get(&self.key(name))
                .is_some_and(|found| found == value)
        };
        let generation = self.context.generation;
        labels
            .get("managed-by")
            .is_some_and(|found| found == self.prefix)
            && is(label::GATEWAY, &owner.gateway_id)
            && is(label::SESSION, &owner.session_id)
            && is(label::SANDBOX, &self.context.sandbox_id)
            && (generation == 0 || is(label::GENERATION, &generation.to_string()))
    }

    /// Finds what [`Self::own`] says yes to.
    pub(crate) fn sandbox_filter(&self) -> Filters {
        let mut pairs = vec![
            self.pair(label::GATEWAY, &self.context.owner.gateway_id),
            self.pair(label::SESSION, &self.context.owner.session_id),
            self.pair(label::SANDBOX, &self.context.sandbox_id),
        ];
        if self.context.generation > 0 {
            pairs.push(self.pair(label::GENERATION, &self.context.generation.to_string()));
        }
        self.filter(pairs)
    }

    /// Finds every sandbox of the context's session, or of its gateway if it names no session.
    pub(crate) fn list_filter(&self) -> Filters {
        let owner = &self.context.owner;
        let mut pairs = vec![self.pair(label::GATEWAY, &owner.gateway_id)];
        if !owner.session_id.is_empty() {
            pairs.push(self.pair(label::SESSION, &owner.session_id));
        }
        self.filter(pairs)
    }

    /// Whether [`Self::list_filter`] would find something with these labels.
    pub(crate) fn lists(&self, labels: &Labels) -> bool {
        let owner = &self.context.owner;
        let is = |name, value: &str| {
            labels
                .get(&self.key(name))
                .is_some_and(|found| found == value)
        };
        is(label::GATEWAY, &owner.gateway_id)
            && (owner.session_id.is_empty() || is(label::SESSION, &owner.session_id))
    }

    /// Finds what one call of create made.
    pub(crate) fn attempt_filter(&self, attempt: &str) -> Filters {
        self.filter(vec![self.pair(label::ATTEMPT, attempt)])
    }

    /// Name of the sandbox's container. Two sessions never meet in one: it begins with a hash of
    /// the session's id, or is that id itself.
    pub(crate) fn container(&self) -> String {
        let session = &self.context.owner.session_id;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.context.alias == DOCKER_ALIAS && !session.is_empty() && session.bytes().all(plain) {
            return format!("{}-{session}", self.prefix);
        }
        let hash = hex(&Sha256::digest(session));
        let sandbox: String = self
            .context
            .sandbox_id
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(8)
            .collect();
        format!("{}-{}-{sandbox}", self.prefix, &hash[..16])
    }

    /// Name of the sandbox's network.
    pub(crate) fn network(&self) -> String {
        format!("{}-net", self.container())
    }

    /// The value of one of our labels.
    pub(crate) fn value(&self, labels: &Labels, name: &str) -> String {
        labels.get(&self.key(name)).cloned().unwrap_or_default()
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn pair(&self, name: &str, value: &str) -> String {
        format!("{}={value}", self.key(name))
    }

    fn filter(&self, mut pairs: Vec<String>) -> Filters {
        pairs.push(format!("managed-by={}", self.prefix));
        HashMap::from([("label".to_owned(), pairs)])
    }
}

/// The label of a container that the provider `id` makes to look into an image.
pub(crate) fn look(prefix: &str, id: &str) -> (String, String) {
    (format!("{prefix}.{}", label::LOOK), id.to_owned())
}

/// Labels of what is made ahead by the provider `id`.
pub(crate) fn pool(prefix: &str, id: &str) -> Labels {
    Labels::from([
        (format!("{prefix}.{}", label::POOL), id.to_owned()),
        ("managed-by".to_owned(), prefix.to_owned()),
    ])
}

/// Finds all containers that providers with this prefix made for sandboxes.
pub(crate) fn managed(prefix: &str) -> Filters {
    Filters::from([("label".to_owned(), vec![format!("managed-by={prefix}")])])
}

/// Finds all that has a label, of any value unless one is given.
pub(crate) fn labelled(prefix: &str, name: &str, value: Option<&str>) -> Filters {
    let label = match value {
        Some(value) => format!("{prefix}.{name}={value}"),
        None => format!("{prefix}.{name}"),
    };
    Filters::from([("label".to_owned(), vec![label])])
}

/// Whether a text can begin the engine's names and labels.
pub(crate) fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (2..=32).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(allowed)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests;
