//! Every rpc of the contract as its descriptors tell it, and requests to it: so that a walk over all
//! of them misses none that is new.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use prost::encoding;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use sandgate_proto::{DESCRIPTOR_SET, methods};

use crate::{Words, fill::fill, frame};

const PACKAGE: &str = "sandbox.v1";

/// Fields that name something with an owner.
pub const IDS: [&str; 6] = [
    "session_id",
    "sandbox_id",
    "execution_id",
    "agent_id",
    "harness_id",
    "api_key_id",
];

/// Fields that say whose things are meant.
pub const OWNER: [&str; 2] = ["org_id", "user_id"];

/// Fields that a caller chooses to make a call safe to repeat.
const CALLERS_OWN: [&str; 3] = ["request_id", "signal_id", "call_id"];

/// Fields that choose a name for something new, by rpc.
const NEW: [(&str, &str); 7] = [
    ("CreateSession", "session_id"),
    ("CreateSandbox", "sandbox_id"),
    ("CreateAgent", "agent_id"),
    ("Exec", "execution_id"),
    ("RunCommand", "execution_id"),
    ("StartExecution", "execution_id"),
    ("CloneRepository", "execution_id"),
];

/// Values of a request's string fields, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The same with this field, or with another value in it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with these fields of another.
    #[must_use]
    pub fn with_all(mut self, names: &[&str], other: &Self) -> Self {
        for name in names {
            self = self.with(name, other.get(name));
        }
        self
    }

    /// The value of a field.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        let value = self.0.get(name);
        value.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// One rpc.
pub struct Rpc {
    /// Its path on the wire.
    pub path: &'static str,
    /// Its name without the service's.
    pub name: &'static str,
    /// The scope that its policy wants.
    pub scope: &'static str,
    request: MessageDescriptor,
}

impl Rpc {
    /// Every rpc of the contract.
    pub fn all() -> Vec<Self> {
        let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
        let services = pool
            .services()
            .filter(|service| service.package_name() == PACKAGE);
        let rpcs: Vec<Self> = services
            .flat_map(|service| {
                let methods: Vec<_> = service.methods().collect();
                methods
            })
            .map(|method| {
                let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
                let known = methods::find(&path).unwrap_or_else(|| panic!("{path} has no policy"));
                Self {
                    path: known.path,
                    name: known.name,
                    scope: known.scope,
                    request: method.input(),
                }
            })
            .collect();
        assert_eq!(rpcs.len(), methods::ALL.len());
        rpcs
    }

    /// The rpc of this name.
    pub fn named(name: &str) -> Self {
        let found = Self::all().into_iter().find(|rpc| rpc.name == name);
        found.unwrap_or_else(|| panic!("the contract has no rpc {name}"))
    }

    /// Whether its request has this field.
    pub fn has(&self, field: &str) -> bool {
        self.request.get_field_by_name(field).is_some()
    }

    /// Whether its request has this field, and a value in it means something that must be there.
    pub fn looks_up(&self, field: &str) -> bool {
        self.has(field) && !NEW.contains(&(self.name, field))
    }

    /// Those of `IDS` that mean something that must be there.
    pub fn ids(&self) -> Vec<&'static str> {
        IDS.into_iter().filter(|id| self.looks_up(id)).collect()
    }

    /// Fields whose names end as those of ids do, and that are none that a walk knows.
    pub fn unknown_ids(&self) -> Vec<String> {
        let known = |name: &str| {
            IDS.contains(&name) || OWNER.contains(&name) || CALLERS_OWN.contains(&name)
        };
        let names = self.request.fields().map(|field| field.name().to_owned());
        names
            .filter(|name| (name.ends_with("_id") || name.ends_with("_ids")) && !known(name))
            .collect()
    }

    /// A request with these fields, as far as it has them; all others are filled so that they are
    /// valid.
    pub fn request(&self, words: &Words, fields: &Fields) -> Bytes {
        frame(0, &self.encoded(fill(self.name, words), fields))
    }

    /// A request with these fields and nothing else, but what cannot be right: a request_id and a
    /// page_token of no known form.
    pub fn broken(&self, fields: &Fields) -> Bytes {
        let fields = fields
            .clone()
            .with("request_id", "nonsense")
            .with("page_token", "nonsense");
        frame(0, &self.encoded(Vec::new(), &fields))
    }

    /// The bytes of such a message behind those of another one.
    pub fn encoded(&self, mut message: Vec<u8>, fields: &Fields) -> Vec<u8> {
        for (name, value) in fields.iter() {
            if let Some(field) = self.request.get_field_by_name(name) {
                encoding::string::encode(field.number(), &value.to_owned(), &mut message);
            }
        }
        message
    }

    /// Whether the gateway has it; what it has not is listed.
    pub fn is_built(&self) -> bool {
        let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("not_built/gateway.txt");
        let list = fs::read_to_string(list).unwrap_or_default();
        !list.lines().any(|path| path == self.path)
    }
}
