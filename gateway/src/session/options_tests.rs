//! Which options there are, and what they fill in.

use prost_types::Struct;
use sandgate_proto::v1::{Lifecycle, Resources};

use super::*;

fn number(number: f64) -> Json {
    Json::NumberValue(number)
}

fn text(text: &str) -> Json {
    Json::StringValue(text.to_owned())
}

fn with(name: &str, options: Vec<(&str, Json)>) -> CapabilityRef {
    let fields = options
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), prost_types::Value { kind: Some(kind) }));
    CapabilityRef {
        r#ref: name.to_owned(),
        config: Some(Struct {
            fields: fields.collect(),
        }),
    }
}

fn container() -> CapabilityRef {
    with(
        "container_sandbox",
        vec![
            ("image", text("debian:13")),
            ("runtime", text("runsc")),
            ("memory_limit", text("2GiB")),
            ("cpu_limit", number(1.5)),
            ("pids_limit", number(200.0)),
            ("auto_stop_minutes", number(5.0)),
        ],
    )
}

fn resolved(capability: CapabilityRef, spec: SandboxSpec) -> SandboxSpec {
    check(0, &capability).unwrap();
    let session = Session {
        capabilities: vec![capability],
        ..Default::default()
    };
    let mut spec = spec;
    apply(&mut spec, &session, None);
    spec
}

fn idle(seconds: i64) -> Option<Lifecycle> {
    Some(Lifecycle {
        idle_timeout: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..Default::default()
    })
}

#[test]
fn they_fill_what_a_spec_leaves_open() {
    let spec = SandboxSpec {
        provider: "container".into(),
        ..Default::default()
    };
    let limits = Resources {
        cpu_millis: 1500,
        memory_bytes: 2 << 30,
        disk_bytes: 0,
        pids: 200,
    };
    let wanted = SandboxSpec {
        source: Some(Source::Image("debian:13".into())),
        runtime: "runsc".into(),
        resources: Some(limits),
        lifecycle: idle(300),
        ..spec.clone()
    };
    assert_eq!(resolved(container(), spec.clone()), wanted);
    // Of another provider's they are none.
    let other = SandboxSpec {
        provider: "e2b".into(),
        ..spec
    };
    assert_eq!(resolved(container(), other.clone()), other);
}

#[test]
fn they_change_nothing_that_a_spec_sets() {
    let full = SandboxSpec {
        provider: "container".into(),
        source: Some(Source::Template("t".into())),
        runtime: "runc".into(),
        size: "small".into(),
        lifecycle: idle(0),
        ..Default::default()
    };
    assert_eq!(resolved(container(), full.clone()), full);
    let some = SandboxSpec {
        provider: "container".into(),
        resources: Some(Resources {
            memory_bytes: 7,
            ..Default::default()
        }),
        ..Default::default()
    };
    let limits = resolved(container(), some).resources.unwrap();
    assert_eq!((limits.memory_bytes, limits.pids), (7, 200));
    let sized = with("daytona", vec![("size", text("large"))]);
    let exact = SandboxSpec {
        provider: "daytona".into(),
        resources: Some(limits),
        ..Default::default()
    };
    assert_eq!(resolved(sized, exact.clone()), exact);
}

#[test]
fn each_capability_has_its_own() {
    let e2b = with(
        "e2b",
        vec![
            ("template", text("base")),
            ("timeout_seconds", number(60.0)),
        ],
    );
    let spec = SandboxSpec {
        provider: "e2b".into(),
        ..Default::default()
    };
    let made = resolved(e2b, spec);
    assert_eq!(made.source, Some(Source::Template("base".into())));
    assert_eq!(made.lifecycle, idle(60));
    let wrong = [
        ("container_sandbox", "template", text("x")),
        ("container_sandbox", "image", number(1.0)),
        ("container_sandbox", "image", text("")),
        ("docker", "memory_limit", text("2 bananas")),
        ("docker", "memory_limit", number(-1.0)),
        ("docker", "cpu_limit", text("2")),
        ("docker", "cpu_limit", number(0.0)),
        ("docker", "pids_limit", number(1.5)),
        ("docker", "auto_stop_minutes", number(f64::NAN)),
        ("docker", "auto_stop_minutes", number(1e300)),
        ("e2b", "timeout_seconds", number(0.0)),
        ("local", "image", text("x")),
        ("session_storage", "size", text("x")),
    ];
    for (index, (capability, name, value)) in wrong.into_iter().enumerate() {
        let refused = check(index, &with(capability, vec![(name, value)])).unwrap_err();
        let field = format!("capabilities[{index}].config.{name}");
        assert_eq!(refused.fields()[0].0, field, "{refused}");
    }
    let both = with(
        "daytona",
        vec![("image", text("i")), ("snapshot", text("s"))],
    );
    assert!(check(0, &both).is_err());
    check(0, &with("docker", vec![("auto_stop_minutes", number(0.0))])).unwrap();
}
