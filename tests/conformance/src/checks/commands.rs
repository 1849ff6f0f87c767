//! What a process gets: arguments, environment, directory, user; and many of them at once.

use futures::future::try_join_all;
use sandgate_proto::v1;

use super::outcomes::failed_to_start;
use crate::{
    failure::{Failure, broken, ensure, invalid, same},
    subject::{Place, line},
    suite::Check,
    world::Context,
};

const RULE: &str = "Exec";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "argv", "argv reaches the program as it is, with no shell between; argv[0] is looked up in PATH.", |context| Box::pin(argv(context))),
    Check::new(RULE, "shell", "A command is a line for /bin/sh -c.", |context| Box::pin(shell(context))),
    Check::new(RULE, "env", "env is added to that of the spec and wins over it.", |context| Box::pin(env(context))).within(240),
    Check::new(RULE, "cwd", "cwd is the working directory; without one it is workspace_path.", |context| Box::pin(cwd(context))),
    Check::new(RULE, "user", "A process runs as the user asked for.", |context| Box::pin(user(context))).needs(&["exec_user"]),
    Check::new(RULE, "big_argument", "Arguments and environment of 100 KiB arrive whole; what the system cannot take is start_failed ARGUMENTS_TOO_LONG or INVALID_FIELD.", |context| Box::pin(big(context))),
    Check::new(RULE, "ids_made_and_chosen", "An execution_id is taken as it is, up to 128 of [A-Za-z0-9._-]; without one the provider makes one.", |context| Box::pin(ids(context))),
    Check::new(RULE, "hundred_at_once", "A hundred executions (or as many as limits.max_running_executions says) run at once, each with its own output.", |context| Box::pin(at_once(context))).within(240),
];

fn words(argv: &[&str]) -> v1::ExecRequest {
    v1::ExecRequest {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    }
}

async fn argv(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let odd = ["$HOME", "a b", "", "*", "'\"\\", "ü\n", "; exit 9"];
    let print = "for word; do printf '<%s>' \"$word\"; done";
    let mut all = vec!["sh", "-c", print, "sh"];
    all.extend(odd);
    let seen = place.finish(words(&all)).await?;
    seen.exited(0)?;
    let due: String = odd.iter().map(|word| format!("<{word}>")).collect();
    same("arguments as the program saw them", seen.stdout.text(), due)
}

async fn shell(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let text = place
        .text("a=1; b=$((a + 1)) && echo \"$a$b\" | cat; (exit 3) || echo \"$?\"")
        .await?;
    same("stdout", text.as_str(), "12\n3\n")?;
    let seen = place.text("cd / && printf '%s' \"$PWD\"").await?;
    same("$PWD after cd /", seen.as_str(), "/")
}

async fn env(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.new_id();
    let place = context.subject().place(&id);
    let map = |entries: &[(&str, &str)]| {
        let owned = entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect::<std::collections::BTreeMap<_, _>>()
    };
    let spec = v1::SandboxSpec {
        env: map(&[("CONF_SPEC", "spec"), ("CONF_BOTH", "spec")]),
        ..context.subject().spec()
    };
    context.subject().create(&id, spec).await?;
    let odd = "a=b 'c' \"d\"\n$e ü";
    let request = v1::ExecRequest {
        env: map(&[
            ("CONF_BOTH", "request"),
            ("CONF_ODD", odd),
            ("CONF_EMPTY", ""),
        ]),
        ..line("printf '%s|' \"$CONF_SPEC\" \"$CONF_BOTH\" \"$CONF_ODD\" \"${CONF_EMPTY-unset}\"")
    };
    let seen = place.finish(request).await?;
    same(
        "environment",
        seen.stdout.text(),
        format!("spec|request|{odd}||"),
    )?;
    let path = place.text("printf '%s' \"$PATH\"").await?;
    ensure(!path.is_empty(), || "PATH is empty or unset")?;
    let next = place.text("printf '%s' \"${CONF_ODD-unset}\"").await?;
    same(
        "env of an earlier execution in a later one",
        next.as_str(),
        "unset",
    )
}

async fn cwd(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let workspace = place.get().await?.workspace_path;
    same(
        "the default",
        place.text("pwd").await?,
        format!("{workspace}\n"),
    )?;
    let request = v1::ExecRequest {
        cwd: "/usr".to_owned(),
        ..line("pwd")
    };
    same(
        "cwd /usr",
        place.finish(request).await?.stdout.text().as_str(),
        "/usr\n",
    )
}

async fn user(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::ExecRequest {
        user: "65534".to_owned(),
        cwd: "/".to_owned(),
        ..line("cat /proc/self/status")
    };
    let seen = place.finish(request).await?;
    seen.exited(0)?;
    let status = seen.stdout.text();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .unwrap_or_default();
    same(
        "uids of the process",
        uid.split_whitespace().collect::<Vec<_>>(),
        vec!["65534"; 4],
    )
}

async fn big(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let large = "x".repeat(100 * 1024);
    let print = "printf '%s' \"$1$CONF_LARGE\"";
    let mut request = words(&["sh", "-c", print, "sh", &large]);
    request.env.insert("CONF_LARGE".to_owned(), large.clone());
    let seen = place.finish(request).await?;
    seen.exited(0)?;
    same(
        "bytes of argument and environment",
        seen.stdout.bytes().len(),
        2 * large.len(),
    )?;
    let huge = "x".repeat(3 * 1024 * 1024);
    refused_as_long(&place, words(&["printf", "%s", &huge])).await?;
    let mut request = line("true");
    request.env.insert("CONF_HUGE".to_owned(), huge);
    refused_as_long(&place, request).await
}

async fn refused_as_long(place: &Place<'_>, request: v1::ExecRequest) -> Result<(), Failure> {
    match place.finish(request).await {
        Ok(seen) => failed_to_start(&seen, "ARGUMENTS_TOO_LONG"),
        refusal => invalid("3 MiB of argument or environment", refusal),
    }
}

async fn ids(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let long = format!("Az09._-{}", "x".repeat(121));
    let request = v1::ExecRequest {
        execution_id: long,
        ..line("true")
    };
    place.finish(request).await?.exited(0)?;
    let (one, two) = (place.sh("true").await?, place.sh("true").await?);
    let (one, two) = (one.started.execution_id, two.started.execution_id);
    ensure(one != two, || {
        format!("two executions were both given the id {one}")
    })?;
    for id in [&one, &two] {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        ensure(id.len() <= 128 && id.chars().all(fits), || {
            format!("the provider made the execution_id {id:?}, due was [A-Za-z0-9._-]{{1,128}}")
        })?;
    }
    Ok(())
}

async fn at_once(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.new_id();
    let place = context.subject().place(&id);
    let mut spec = context.subject().spec();
    if context.world.denied(&["resources"]).is_empty() {
        // Each takes a shell and its `sleep`, and a provider may need some besides.
        spec.resources = Some(v1::Resources {
            pids: 1024,
            ..Default::default()
        });
    }
    context.subject().create(&id, spec).await?;
    let limits = context.world.capabilities.limits;
    let most = limits.map_or(0, |limits| limits.max_running_executions);
    // One of them is the command that lets the others go.
    let count = if most == 0 { 100 } else { most.min(101) - 1 };
    let wait = "i=0; while [ ! -e go ] && [ $i -lt 600 ]; do i=$((i + 1)); sleep 0.2; done";
    let starts = (0..count).map(|number| {
        let place = &place;
        async move {
            let request = line(format!(
                "echo up; {wait}; echo {number}; exit {}",
                number % 256
            ));
            let mut stream = place.exec(request).await?;
            stream.until_stdout("up").await?;
            Ok::<_, Failure>(stream)
        }
    });
    let streams = try_join_all(starts).await?;
    place.text("echo > go").await?;
    let ends = try_join_all(streams.into_iter().map(|stream| stream.finish())).await?;
    for (number, seen) in ends.into_iter().enumerate() {
        let code = i32::try_from(number % 256).map_err(|error| broken(error.to_string()))?;
        seen.exited(code)?;
        same(
            "stdout of one of a hundred",
            seen.stdout.text(),
            format!("up\n{number}\n"),
        )?;
    }
    Ok(())
}
