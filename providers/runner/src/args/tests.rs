//! Command lines, well and badly formed.

use super::*;

fn read(line: &str) -> Result<Mode, Usage> {
    parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn init_takes_everything() {
    let line = "init --detached --socket /s --cwd /v --output-limit 200000 --total-limit 5 --grace 7 --cwd /w \
        --user me --spool-dir /p --cgroup /c --oom-file /o --env-file /e --secret-file /f --sandbox x --generation 3 -- sh -c --socket";
    let Ok(Mode::Init(init, options)) = read(line) else {
        panic!()
    };
    assert_eq!(init.sandbox, Some(("x".to_owned(), 3)));
    assert_eq!(init.command, ["sh", "-c", "--socket"]);
    assert_eq!(init.secret_file, Some("/f".into()));
    assert_eq!(init.env_file, Some("/e".into()));
    assert!(init.detached);
    assert_eq!(options.grace, Duration::from_millis(7));
    assert_eq!(options.oom_file, Some("/o".into()));
    assert_eq!((options.output_limit, options.total_limit), (200_000, 5));
    assert_eq!((options.user.as_str(), options.cwd), ("me", "/w".into()));
}

#[test]
fn other_modes() {
    assert_eq!(
        read("run --dir /d"),
        Ok(Mode::Run("/d".into(), Options::default()))
    );
    assert_eq!(
        read("ctl --dir /d --id a.b"),
        Ok(Mode::Bridge("/d/a.b/control".into()))
    );
    assert_eq!(read("bridge --socket /s"), Ok(Mode::Bridge("/s".into())));
    assert_eq!(
        read("visit --socket /s -- --user me"),
        Ok(Mode::Visit(Visit {
            socket: "/s".into(),
            init: ["--user", "me"].map(OsString::from).into(),
        }))
    );
    assert_eq!(read("version"), Ok(Mode::Version));
    assert_eq!(read("clone"), Ok(Mode::Clone));
    assert_eq!(read("lend 7 get"), Ok(Mode::Lend(7, "get".to_owned())));
    let forget = Forget {
        path: "/f".into(),
        until: 3,
    };
    assert_eq!(read("forget /f 3"), Ok(Mode::Forget(forget)));
}

#[test]
fn mistakes_are_named() {
    for (line, part) in [
        ("", "name what to do"),
        ("walk", "name what to do"),
        ("lend x get", "name what to do"),
        ("forget /f x", "name what to do"),
        ("init", "--socket must be given"),
        ("init --socket", "--socket needs a path"),
        ("init --socket /s --grace soon", "--grace needs a number"),
        ("init --socket /s --sandbox x", "--sandbox needs an id"),
        ("init --socket /s --output-limit 1", "at least 131072"),
        ("init --socket /s --cwd here", "an absolute folder"),
        ("init --socket /s --dir /d", "--dir is no option"),
        ("run --dir /d -- sh", "-- is no option"),
        ("run --dir /d --detached", "--detached is no option"),
        ("ctl --dir /d --id ../x", "--id needs"),
        ("version --user x", "--user is no option"),
    ] {
        let message = read(line).unwrap_err().to_string();
        assert!(message.contains(part), "{line}: {message}");
        assert!(message.contains("usage:"), "{line}: {message}");
    }
}
