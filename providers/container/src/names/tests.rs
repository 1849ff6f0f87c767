//! Names and labels of one made-up sandbox.

use sandgate_kit::Owner;
use sandgate_proto::provider::v1::ProviderContext;

use super::*;

fn context() -> CallContext {
    CallContext {
        owner: Owner {
            gateway_id: "g".into(),
            org_id: "o".into(),
            user_id: "u".into(),
            agent_id: "a".into(),
            harness_id: "h".into(),
            session_id: "0c9f1d6e-6f3b-4b55-9a43-3f2c4be0f001".into(),
        },
        sandbox_id: "3f2c4be0-6f3b-4b55-9a43-0c9f1d6e0001".into(),
        generation: 2,
        ..CallContext::from(ProviderContext::default())
    }
}

#[test]
fn labels_name_the_owner_and_the_caller_cannot_forge_them() {
    let context = context();
    let marks = Marks::new("dev", &context);
    let own = [
        ("session".to_owned(), "x".to_owned()),
        ("dev.org_id".to_owned(), "y".to_owned()),
    ];
    let labels = marks.labels("try-1", &own.into());
    let expected = [
        ("managed-by", "dev"),
        ("session", &context.owner.session_id),
        ("dev.gateway_id", "g"),
        ("dev.org_id", "o"),
        ("dev.user_id", "u"),
        ("dev.agent_id", "a"),
        ("dev.harness_id", "h"),
        ("dev.session_id", &context.owner.session_id),
        ("dev.sandbox_id", &context.sandbox_id),
        ("dev.generation", "2"),
        ("dev.attempt", "try-1"),
        ("dev.label.session", "x"),
        ("dev.label.dev.org_id", "y"),
    ];
    let expected: Labels = expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(labels, expected);
    assert!(marks.own(&labels));
}

#[test]
fn only_the_same_gateway_session_sandbox_and_generation_own_it() {
    let context = context();
    let labels = Marks::new("dev", &context).labels("t", &BTreeMap::new());
    let owns = |change: fn(&mut CallContext)| {
        let mut other = context.clone();
        change(&mut other);
        Marks::new("dev", &other).own(&labels)
    };
    assert!(owns(|_| ()));
    assert!(owns(|other| other.generation = 0));
    assert!(owns(|other| other.owner.user_id = "someone".into()));
    assert!(!owns(|other| other.generation = 1));
    assert!(!owns(|other| other.owner.gateway_id = "x".into()));
    assert!(!owns(|other| other.owner.session_id = "x".into()));
    assert!(!owns(|other| other.sandbox_id = "x".into()));
    assert!(!Marks::new("prod", &context).own(&labels));
}

#[test]
fn names_come_from_the_session() {
    let mut context = context();
    let session = hex(&Sha256::digest(&context.owner.session_id));
    let name = format!("dev-{}-3f2c4be0", &session[..16]);
    assert_eq!(Marks::new("dev", &context).container(), name);
    assert_eq!(Marks::new("dev", &context).network(), format!("{name}-net"));
    context.alias = "docker".into();
    let name = format!("dev-{}", context.owner.session_id);
    assert_eq!(Marks::new("dev", &context).container(), name);
    context.owner.session_id = "../x".into();
    assert_eq!(
        Marks::new("dev", &context).container().len(),
        "dev-".len() + 16 + 1 + 8
    );
}

#[test]
fn filters_ask_for_no_more_than_the_context_has() {
    let mut context = context();
    let count = |context: &CallContext, all: bool| {
        let marks = Marks::new("dev", context);
        let filter = if all {
            marks.list_filter()
        } else {
            marks.sandbox_filter()
        };
        filter["label"].len()
    };
    assert_eq!((count(&context, false), count(&context, true)), (5, 3));
    context.generation = 0;
    context.owner.session_id.clear();
    assert_eq!((count(&context, false), count(&context, true)), (4, 2));
}

#[test]
fn a_prefix_fits_names_and_labels() {
    assert!(is_prefix("sandgate") && is_prefix("my-gate_2"));
    for text in ["", "x", "-a", "a b", "a.b", "ä1", &"x".repeat(33)] {
        assert!(!is_prefix(text), "{text}");
    }
}
