//! Looks and lists.

use sandgate_runner_proto::v1::{Execution, List, Listed, Look, Start};

use crate::{
    client::{Ask, Client, Said, shell, start},
    program::Runner,
};

fn look(client: &mut Client, id: &str, wait_ms: u64) -> Execution {
    match client.ask(Ask::Look(Look {
        execution_id: id.to_owned(),
        wait_ms,
    })) {
        Said::Execution(execution) => execution,
        other => panic!("{other:?}"),
    }
}

fn list(client: &mut Client, list: List) -> Listed {
    match client.ask(Ask::List(list)) {
        Said::Listed(listed) => listed,
        other => panic!("{other:?}"),
    }
}

fn ids(listed: &Listed) -> Vec<&str> {
    listed
        .executions
        .iter()
        .map(|execution| &execution.execution_id[..])
        .collect()
}

#[test]
fn looks_wait_for_the_end_or_their_time() {
    let runner = Runner::start();
    let mut client = runner.client();
    let start = Start {
        facts: "facts".into(),
        stdin_open: true,
        ..start("a", "sleep 1; echo x")
    };
    client.send(Ask::Start(start));
    let execution = look(&mut client, "a", 0);
    assert!(execution.ended.is_none() && execution.stdin_open);
    assert_eq!(
        (&execution.facts[..], execution.number, &execution.cwd[..]),
        (&b"facts"[..], 1, "/")
    );
    let early = look(&mut client, "a", 20);
    assert!(early.ended.is_none());
    let execution = look(&mut client, "a", 10_000);
    assert!(execution.ended.is_some() && !execution.stdin_open);
    assert_eq!(execution.totals.unwrap().stdout, Some(2));
}

#[test]
fn lists_are_paged_newest_first() {
    let runner = Runner::start();
    let mut client = runner.client();
    for id in ["a", "b", "c"] {
        client.shell(id, "true");
    }
    let call = client.send(shell("d", "sleep 300"));
    assert!(matches!(client.next(call), Said::Started(_)));
    let all = list(&mut client, List::default());
    assert_eq!((ids(&all), all.more), (vec!["d", "c", "b", "a"], false));
    let page = list(
        &mut client,
        List {
            limit: 2,
            ..List::default()
        },
    );
    assert_eq!((ids(&page), page.more), (vec!["d", "c"], true));
    let before_number = page.executions[1].number;
    let page = list(
        &mut client,
        List {
            before_number,
            ..List::default()
        },
    );
    assert_eq!((ids(&page), page.more), (vec!["b", "a"], false));
    let ended = list(
        &mut client,
        List {
            ended_after: 1,
            ..List::default()
        },
    );
    assert_eq!(ids(&ended), ["c", "b"]);
}

#[test]
fn large_lists_fit_their_frames() {
    let runner = Runner::start();
    let mut client = runner.client();
    let facts = bytes::Bytes::from(vec![1; 16 * 1024]);
    for id in 0..40 {
        let call = client.send(Ask::Start(Start {
            facts: facts.clone(),
            ..start(&id.to_string(), "true")
        }));
        client.follow(call);
    }
    let (mut before_number, mut seen) = (0, 0);
    loop {
        let page = list(
            &mut client,
            List {
                before_number,
                ..List::default()
            },
        );
        seen += page.executions.len();
        before_number = page.executions.last().unwrap().number;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, 40);
}

#[test]
fn the_oldest_are_forgotten() {
    let runner = Runner::start();
    let mut client = runner.client();
    for round in 0..11 {
        let start = |at: u32| {
            Ask::Start(Start {
                argv: vec!["true".into()],
                ..start(&format!("{round}.{at}"), "")
            })
        };
        let calls: Vec<u64> = (0..100).map(|at| client.send(start(at))).collect();
        for call in calls {
            client.follow(call);
        }
    }
    let refused = client.refused(Ask::Look(Look {
        execution_id: "0.0".to_owned(),
        wait_ms: 0,
    }));
    assert_eq!(refused.reason, "NOT_FOUND");
    assert!(look(&mut client, "10.99", 0).ended.is_some());
}
