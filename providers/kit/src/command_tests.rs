//! What a request becomes, and what is refused by name.

use proptest::prelude::*;

use super::*;

fn of(command: &str) -> ExecRequest {
    ExecRequest {
        command: command.into(),
        ..Default::default()
    }
}

fn field(request: ExecRequest) -> Kind {
    checked(request).unwrap_err().kind().clone()
}

#[test]
fn a_shell_line_runs_in_the_shell_and_argv_does_not() {
    assert_eq!(
        checked(of("echo $HOME")).unwrap().argv,
        ["/bin/sh", "-c", "echo $HOME"]
    );
    let request = ExecRequest {
        argv: vec!["echo".into(), "$HOME".into()],
        ..Default::default()
    };
    assert_eq!(checked(request).unwrap().argv, ["echo", "$HOME"]);
}

#[test]
fn neither_or_both_ways_to_say_it_are_refused() {
    assert_eq!(field(ExecRequest::default()), Kind::InvalidField("command"));
    let both = ExecRequest {
        argv: vec!["b".into()],
        ..of("a")
    };
    assert_eq!(field(both), Kind::InvalidField("argv"));
    let empty = ExecRequest {
        argv: vec![String::new()],
        ..Default::default()
    };
    assert_eq!(field(empty), Kind::InvalidField("argv"));
}

#[test]
fn malformed_fields_are_named() {
    let cwd = "here".into();
    assert_eq!(
        field(ExecRequest { cwd, ..of("true") }),
        Kind::InvalidField("cwd")
    );
    for id in ["a b", "ü", &"x".repeat(129)] {
        let execution_id = id.into();
        let request = ExecRequest {
            execution_id,
            ..of("true")
        };
        assert_eq!(field(request), Kind::InvalidField("execution_id"));
    }
    let timeout = Some(prost_types::Duration::default());
    let request = ExecRequest {
        timeout,
        ..of("true")
    };
    assert_eq!(field(request), Kind::InvalidField("timeout"));
    let terminal = Some(v1::TerminalSize {
        rows: 65_536,
        cols: 80,
    });
    let request = ExecRequest {
        terminal,
        ..of("true")
    };
    assert_eq!(field(request), Kind::InvalidField("rows"));
}

#[test]
fn what_no_kernel_takes_is_refused_by_name() {
    assert!(checked(of(&"x".repeat(STRING_BYTES))).is_ok());
    assert_eq!(
        field(of(&"x".repeat(STRING_BYTES + 1))),
        Kind::InvalidField("argv")
    );
    let env = |count: usize, size: usize| {
        (0..count)
            .map(|number| (format!("N{number}"), "x".repeat(size)))
            .collect()
    };
    let with = |env| ExecRequest { env, ..of("true") };
    assert_eq!(field(with(env(1, STRING_BYTES))), Kind::InvalidField("env"));
    assert_eq!(field(with(env(9, 120_000))), Kind::InvalidField("env"));
    assert!(checked(with(env(8, 120_000))).is_ok());
}

#[test]
fn the_same_body_is_what_counts() {
    let print = |request: ExecRequest| checked(request).unwrap().fingerprint;
    let base = print(of("true"));
    let mut same = of("true");
    same.session_id = "a".into();
    same.sandbox_id = "b".into();
    same.execution_id = "c".into();
    same.cancel_on_disconnect = true;
    same.gateway_payload = Bytes::from_static(b"\x12\x04\x0a\x01A\x12");
    same.gateway_payload.clear();
    assert_eq!(print(same), base);
    let mut other = of("true");
    other.secret_env.insert("A".into(), "name".into());
    assert_ne!(print(other), base);
    assert_ne!(print(of("false")), base);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever was asked for, the runner takes the facts.
    #[test]
    fn facts_fit(argv in prop::collection::vec("[a-zé]{0,200}", 0..600), command in ".{0,20000}") {
        let request = ExecRequest { argv, command, ..Default::default() };
        let facts = facts(&request, Some(Duration::MAX));
        prop_assert!(facts.len() <= FACTS_BYTES);
        prop_assert!(Facts::decode(facts).is_ok());
    }
}
