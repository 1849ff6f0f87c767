//! The contract against its own rules: policies, messages that must stay alike, frozen ids.

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};
use sandgate_proto::{DESCRIPTOR_SET, methods};

use crate::{assert_none, source};

const PACKAGE: &str = "sandbox.v1";
const OPTIONS: &str = "proto/sandbox/v1/options.proto";

/// Numbers of ids, the same in every request.
const FROZEN: &[(&str, u32)] = &[("session_id", 1), ("sandbox_id", 2), ("execution_id", 3)];

/// Messages that start a process: the first is what the others must agree with, and each of them may
/// have these fields besides.
const STARTS: &[(&str, &[&str])] = &[
    ("ExecRequest", &[]),
    ("StartExecutionRequest", &[]),
    ("RunCommandRequest", &["max_output_bytes", "keep"]),
];

const SAME_EVENTS: (&str, &str) = ("ExecResponse", "StreamExecutionResponse");

fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTOR_SET).unwrap()
}

fn message(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    let full = format!("{PACKAGE}.{name}");
    pool.get_message_by_name(&full)
        .unwrap_or_else(|| panic!("the contract has no {full}"))
}

/// All that two fields of the same meaning share.
fn shape(field: &FieldDescriptor) -> String {
    let kind = if field.is_map() {
        let entry = field.kind().as_message().unwrap().clone();
        format!(
            "map<{:?}, {:?}>",
            entry.map_entry_key_field().kind(),
            entry.map_entry_value_field().kind()
        )
    } else {
        format!("{:?}", field.kind())
    };
    format!(
        "{} = {}: {kind}, {:?}, optional {}, oneof {:?}",
        field.name(),
        field.number(),
        field.cardinality(),
        field.supports_presence(),
        field
            .containing_oneof()
            .map(|oneof| oneof.name().to_owned()),
    )
}

fn shapes(message: &MessageDescriptor) -> Vec<String> {
    message.fields().map(|field| shape(&field)).collect()
}

/// The scopes that the comment of `MethodPolicy.scope` lists.
fn scopes() -> Vec<String> {
    let text = source::read(OPTIONS).replace("//", " ");
    let list = text
        .split_once("needs, one of:")
        .and_then(|(_, rest)| rest.split_once(". Required"));
    let (list, _) =
        list.expect("options.proto lists the scopes between `needs, one of:` and `. Required`");
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_rpc_has_a_policy_with_a_known_scope() {
    let scopes = scopes();
    let mut findings = Vec::new();
    for service in pool()
        .services()
        .filter(|service| service.package_name() == PACKAGE)
    {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            match methods::find(&path) {
                None => findings.push(format!("{path}: is not in methods::ALL")),
                Some(found) if !scopes.iter().any(|scope| scope == found.scope) => {
                    findings.push(format!(
                        "{path}: scope {:?} is none of {scopes:?}",
                        found.scope
                    ));
                }
                Some(_) => {}
            }
        }
    }
    assert!(!methods::ALL.is_empty());
    assert_none(
        "give the rpc an `option (policy)` with a scope that options.proto lists:",
        &findings,
    );
}

#[test]
fn every_scope_lets_somebody_do_something() {
    let mut scopes = scopes();
    let unused: Vec<_> = scopes
        .iter()
        .filter(|scope| methods::ALL.iter().all(|method| method.scope != **scope))
        .cloned()
        .collect();
    assert_none(
        "no rpc wants these scopes; take them out of options.proto:",
        &unused,
    );
    let all = scopes.len();
    scopes.sort();
    scopes.dedup();
    assert_eq!(scopes.len(), all, "options.proto lists a scope twice");
}

#[test]
fn requests_that_start_a_process_agree() {
    let pool = pool();
    let wanted = shapes(&message(&pool, STARTS[0].0));
    for (name, besides) in STARTS {
        let mut found = shapes(&message(&pool, name));
        found.retain(|field| !besides.contains(&field.split(' ').next().unwrap_or_default()));
        assert_eq!(
            found, wanted,
            "{name} and {} share their fields; only {besides:?} may be extra",
            STARTS[0].0
        );
    }
}

#[test]
fn both_streams_have_the_same_events() {
    let pool = pool();
    let (exec, stream) = SAME_EVENTS;
    assert_eq!(
        shapes(&message(&pool, exec)),
        shapes(&message(&pool, stream)),
        "{exec} = {stream}"
    );
}

#[test]
fn numbers_of_ids_are_frozen() {
    let mut findings = Vec::new();
    for message in pool()
        .all_messages()
        .filter(|message| message.package_name() == PACKAGE && message.name().ends_with("Request"))
    {
        for (name, number) in FROZEN {
            match message.get_field_by_name(name) {
                Some(field) if field.number() != *number => {
                    findings.push(format!(
                        "{}.{name} = {}, must be {number}",
                        message.name(),
                        field.number()
                    ));
                }
                _ => {}
            }
        }
    }
    assert_none("the relay reads ids by their numbers:", &findings);
}
