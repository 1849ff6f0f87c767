//! What the engine is asked for, field by field.

use sandgate_kit::Limits;
use sandgate_proto::v1::OnIdle;

use super::*;

fn facts() -> Facts {
    Facts {
        cpus: 4,
        ..Facts::default()
    }
}

fn plan(spec: &Spec) -> Result<Plan, Kind> {
    Plan::new(&Config::default(), &facts(), spec).map_err(|error| error.kind().clone())
}

fn strings(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn an_empty_spec_is_all_defaults() {
    let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
    let body = plan(&Spec::default()).unwrap().body(
        labels.clone(),
        "net-1",
        vec!["init".to_owned()],
        Vec::new(),
    );
    let expected = ContainerCreateBody {
        image: Some("ubuntu:24.04".to_owned()),
        entrypoint: strings(&["/run/sandgate-runner"]),
        cmd: strings(&["init"]),
        healthcheck: Some(HealthConfig {
            test: strings(&["NONE"]),
            ..Default::default()
        }),
        stop_signal: Some("SIGTERM".to_owned()),
        user: strings(&["0:0"]).map(|all| all.concat()),
        env: strings(&[]),
        working_dir: Some("/workspace".to_owned()),
        labels: Some(labels),
        host_config: Some(HostConfig {
            network_mode: Some("net-1".to_owned()),
            memory: Some(2_147_483_648),
            memory_swap: Some(2_147_483_648),
            nano_cpus: Some(1_000_000_000),
            pids_limit: Some(256),
            cap_drop: strings(&["ALL"]),
            cap_add: strings(&[
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "SETUID",
                "SETGID",
                "KILL",
            ]),
            security_opt: strings(&["no-new-privileges"]),
            privileged: Some(false),
            init: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            // No binds, mounts, devices or host namespaces: the engine's socket is out of reach.
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(body, expected);
}

#[test]
fn a_spec_wins_over_every_default() {
    let spec = Spec {
        source: Some(Source::Image("alpine:3".into())),
        limits: Limits {
            cpu_millis: Some(2500),
            memory_bytes: Some(64 << 20),
            pids: Some(32),
            disk_bytes: None,
        },
        env: [
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "x=y".to_owned()),
        ]
        .into(),
        runtime: "runsc".into(),
        user: "1000:1000".into(),
        workdir: "/srv/work".into(),
        ..Spec::default()
    };
    let body = plan(&spec).unwrap();
    let settings = body.settings(None);
    let body = body.body(Labels::new(), "none", Vec::new(), Vec::new());
    assert_eq!(settings.user, "1000:1000");
    assert_eq!(body.image.as_deref(), Some("alpine:3"));
    assert_eq!(body.env, strings(&["A=1", "B=x=y"]));
    assert_eq!(body.working_dir.as_deref(), Some("/srv/work"));
    let host = body.host_config.unwrap();
    assert_eq!(
        (host.memory, host.memory_swap),
        (Some(64 << 20), Some(64 << 20))
    );
    assert_eq!(
        (host.nano_cpus, host.pids_limit),
        (Some(2_500_000_000), Some(32))
    );
    assert_eq!(host.runtime.as_deref(), Some("runsc"));
    assert_eq!(host.network_mode.as_deref(), Some("none"));
}

#[test]
fn the_configured_runtime_and_limits_are_the_defaults() {
    let config = Config {
        runtime: "kata".into(),
        pids: 9,
        cpu_millis: 500,
        ..Config::default()
    };
    let plan = Plan::new(&config, &facts(), &Spec::default()).unwrap();
    let host = plan.host_config("x");
    assert_eq!(host.runtime.as_deref(), Some("kata"));
    assert_eq!(
        (host.pids_limit, host.nano_cpus),
        (Some(9), Some(500_000_000))
    );
}

#[test]
fn what_containers_lack_is_refused_by_name() {
    let with = |source| Spec {
        source: Some(source),
        ..Spec::default()
    };
    let refused = |spec: &Spec| plan(spec).unwrap_err();
    assert_eq!(
        refused(&with(Source::Template("t".into()))),
        Kind::Unsupported("template")
    );
    assert_eq!(
        refused(&with(Source::Snapshot("s".into()))),
        Kind::Unsupported("snapshot")
    );
    let limits = Limits {
        disk_bytes: Some(1),
        ..Limits::default()
    };
    assert_eq!(
        refused(&Spec {
            limits,
            ..Spec::default()
        }),
        Kind::Unsupported("disk_bytes")
    );
}

#[test]
fn fields_that_no_engine_accepts_are_named() {
    let field = |spec: Spec| plan(&spec).unwrap_err();
    let limits = |limits| Spec {
        limits,
        ..Spec::default()
    };
    let small = Limits {
        memory_bytes: Some(1),
        ..Limits::default()
    };
    assert_eq!(
        field(limits(small)),
        Kind::InvalidField("spec.resources.memory_bytes")
    );
    for millis in [1, 4001] {
        let cpu = Limits {
            cpu_millis: Some(millis),
            ..Limits::default()
        };
        assert_eq!(
            field(limits(cpu)),
            Kind::InvalidField("spec.resources.cpu_millis")
        );
    }
    let relative = Spec {
        workdir: "work".into(),
        ..Spec::default()
    };
    assert_eq!(field(relative), Kind::InvalidField("spec.workdir"));
    let env = [("A".to_owned(), "\0".to_owned())].into();
    assert_eq!(
        field(Spec {
            env,
            ..Spec::default()
        }),
        Kind::InvalidField("spec.env")
    );
}

#[test]
fn callers_see_every_default() {
    let seen = resolved(&Config::default(), SandboxSpec::default());
    assert_eq!(seen.source, Some(Source::Image("ubuntu:24.04".into())));
    assert_eq!(seen.workdir, "/workspace");
    assert_eq!(seen.lifecycle.unwrap().on_idle(), OnIdle::Stop);
    assert_eq!(seen.network.unwrap().mode(), NetworkMode::Private);
    let limits = seen.resources.unwrap();
    assert_eq!(
        (limits.memory_bytes, limits.cpu_millis, limits.pids),
        (2 << 30, 1000, 256)
    );
    let asked = SandboxSpec {
        workdir: "/srv".into(),
        runtime: "runsc".into(),
        ..Default::default()
    };
    let seen = resolved(&Config::default(), asked);
    assert_eq!(
        (seen.workdir.as_str(), seen.runtime.as_str()),
        ("/srv", "runsc")
    );
}

#[test]
fn the_image_tells_who_commands_run_as() {
    let people = People {
        default: "me".into(),
        passwd: b"root:x:0:0::/root:/bin/sh\nme:x:7:7::/home/me:/bin/sh\n".to_vec(),
        ..People::default()
    };
    let mut own = plan(&Spec::default()).unwrap();
    assert_eq!(own.settle(&people).unwrap().uid, 7);
    assert_eq!(
        (own.user.as_str(), &own.env[..]),
        ("me", &["HOME=/home/me".to_owned()][..])
    );
    let root = Spec {
        user: "root".into(),
        ..Spec::default()
    };
    let mut root = plan(&root).unwrap();
    assert_eq!(root.settle(&people).unwrap().home, "/root");
    assert!(root.env.is_empty());
    let home = Spec {
        env: [("HOME".to_owned(), "/x".to_owned())].into(),
        ..Spec::default()
    };
    let mut home = plan(&home).unwrap();
    home.settle(&people).unwrap();
    assert_eq!(home.env, ["HOME=/x"]);
}
