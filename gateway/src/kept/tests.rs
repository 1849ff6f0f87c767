//! What is kept, and what is answered from it.

mod room;
mod starts;
mod streams;

use sandgate_proto::{
    Reason,
    v1::{
        ExecutionState, GetExecutionRequest, GetExecutionResponse, ListExecutionsRequest,
        ListExecutionsResponse, Signaled, WaitExecutionRequest, WaitExecutionResponse,
        execution_ended::Outcome,
    },
};

use super::*;
use room::{Room, ended, key, only, seconds, tail};

#[tokio::test]
async fn an_end_is_answered_as_it_was_seen() {
    let room = Room::new().await;
    let mut seen = ended("e", 100);
    let end = seen.execution.as_mut().unwrap().ended.as_mut().unwrap();
    end.outcome = Some(Outcome::Signaled(Signaled {
        signal: 9,
        oom_killed: true,
    }));
    let said = end.clone();
    room.keep(&[seen]).await;
    let get = GetExecutionRequest {
        execution_id: "e".into(),
        ..Default::default()
    };
    let got: GetExecutionResponse = only(room.answer("GetExecution", &get).await);
    let execution = got.execution.unwrap();
    assert_eq!(execution.ended, Some(said.clone()));
    assert_eq!(execution.state(), ExecutionState::Ended);
    assert_eq!(execution.sandbox_id, room.sandbox.sandbox_id.to_string());
    assert_eq!(execution.session_id, room.sandbox.session_id.to_string());
    let expires = clock::millis(execution.output_expire_time.unwrap());
    assert_eq!(
        expires,
        said.end_time.and_then(clock::millis).map(|time| time + AGE)
    );
    let wait = |wait| WaitExecutionRequest {
        execution_id: "e".into(),
        wait_timeout: wait,
        ..Default::default()
    };
    let waited: WaitExecutionResponse = only(room.answer("WaitExecution", &wait(None)).await);
    assert_eq!(waited.execution, Some(execution));
    let refused = room
        .try_answer("WaitExecution", &wait(Some(seconds(-1))))
        .await;
    assert_eq!(refused.unwrap_err().reason(), Reason::InvalidField);
    for (rpc, id) in [("GetExecution", "other"), ("GetSandboxLogs", "e")] {
        let asked = GetExecutionRequest {
            execution_id: id.into(),
            ..Default::default()
        };
        assert!(room.try_answer(rpc, &asked).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_first_word_about_an_end_stays() {
    let room = Room::new().await;
    room.keep(&[ended("e", 100)]).await;
    let mut other = ended("e", 50);
    other.execution.as_mut().unwrap().command = "another".into();
    let mut running = ended("r", 0);
    running.execution.as_mut().unwrap().ended = None;
    room.keep(&[other, running, EndedExecution::default()])
        .await;
    let listed = room.list("", 0).await.unwrap();
    let commands: Vec<_> = listed.executions.iter().map(|one| &one.command).collect();
    assert_eq!(commands, ["print e"]);
}

#[tokio::test]
async fn a_clock_that_is_wrong_keeps_nothing_longer() {
    let room = Room::new().await;
    let week = 7 * 24 * 3600;
    room.keep(&[
        ended("future", -1000 * week),
        ended("old", week + 1),
        ended("just", week - 60),
    ])
    .await;
    let listed = room.list("", 0).await.unwrap();
    let latest = clock::now() + AGE;
    let mut ids = Vec::new();
    for execution in listed.executions {
        let expires = clock::millis(execution.output_expire_time.unwrap()).unwrap();
        assert!(expires <= latest);
        ids.push(execution.execution_id);
    }
    assert_eq!(ids, ["future", "just"]);
    assert_eq!(room.kept.drop_before(latest - AGE, 10).await.unwrap(), 0);
    assert_eq!(room.kept.drop_before(latest + 1, 10).await.unwrap(), 2);
    assert!(room.list("", 0).await.is_none());
}

#[tokio::test]
async fn a_list_begins_with_the_newest_and_goes_on_by_its_token() {
    let room = Room::new().await;
    // More than are read at once.
    let all: Vec<_> = (0..40)
        .map(|age| ended(&format!("e{age:02}"), age))
        .collect();
    room.keep(&all).await;
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let page = room.list(&token, 17).await.unwrap();
        assert!(page.executions.len() <= 17);
        found.extend(page.executions.into_iter().map(|one| one.execution_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..40).map(|age| format!("e{age:02}")).collect();
    assert_eq!(found, expected);
    assert!(room.list("", 40).await.unwrap().next_page_token.is_empty());
    let first = room.list("", 1).await.unwrap().next_page_token;
    let of_another_list = ListExecutionsRequest {
        page_token: first,
        state: ExecutionState::Ended.into(),
        ..Default::default()
    };
    let of_none = ListExecutionsRequest {
        page_token: "rubbish".into(),
        ..Default::default()
    };
    for asked in [of_another_list, of_none] {
        let refused = room.try_answer("ListExecutions", &asked).await;
        assert_eq!(refused.unwrap_err().reason(), Reason::InvalidField);
    }
    let running = ListExecutionsRequest {
        state: ExecutionState::Running.into(),
        ..Default::default()
    };
    let none: ListExecutionsResponse = only(room.answer("ListExecutions", &running).await);
    assert!(none.executions.is_empty());
}

#[tokio::test]
async fn a_page_of_long_commands_fits_into_a_message() {
    let room = Room::new().await;
    let long = |age: i64| {
        let mut one = ended(&format!("e{age:03}"), age);
        one.execution.as_mut().unwrap().command = "x".repeat(16_000);
        one
    };
    room.keep(&(0..250).map(long).collect::<Vec<_>>()).await;
    let first = room.list("", 1000).await.unwrap();
    assert!((150..200).contains(&first.executions.len()));
    let second = room.list(&first.next_page_token, 1000).await.unwrap();
    assert_eq!(first.executions.len() + second.executions.len(), 250);
    assert!(second.next_page_token.is_empty());
}

#[tokio::test]
async fn nothing_can_be_read_in_the_file_nor_opens_elsewhere() {
    let room = Room::new().await;
    let mut seen = ended("e", 10);
    seen.execution.as_mut().unwrap().command = "print the_secret_of_the_command".into();
    seen.execution.as_mut().unwrap().argv = vec!["the_secret_argument".into()];
    seen.tails = vec![tail(1, 0, b"the_secret_output")];
    room.keep(&[seen, ended("f", 10)]).await;
    let bytes = room.bytes_of_the_file();
    assert!(bytes.windows(15).any(|bytes| bytes == b"kept_executions"));
    assert!(!bytes.windows(10).any(|bytes| bytes == b"the_secret"));
    room.tamper(
        "UPDATE kept_executions SET sealed =
             (SELECT sealed FROM kept_executions WHERE execution_id = 'e')
         WHERE execution_id = 'f'",
    )
    .await;
    let get = GetExecutionRequest {
        execution_id: "f".into(),
        ..Default::default()
    };
    let refused = room.try_answer("GetExecution", &get).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Internal);
}

#[tokio::test]
async fn all_of_it_moves_to_a_new_key_and_goes_with_its_session() {
    let room = Room::new().await;
    let all: Vec<_> = (0..40).map(|age| ended(&format!("e{age}"), age)).collect();
    room.keep(&all).await;
    let (old, new) = (key("a", 1), key("b", 2));
    let missing = room.with_keys(&new);
    let refused = missing.kept.reseal().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::EncryptionKeyUnknown);
    let both = room.with_keys(&format!("{new},{old}"));
    assert_eq!(both.kept.reseal().await.unwrap(), 40);
    assert_eq!(both.kept.reseal().await.unwrap(), 0);
    let only_new = room.with_keys(&new);
    assert_eq!(only_new.kept.reseal().await.unwrap(), 0);
    assert_eq!(only_new.list("", 0).await.unwrap().executions.len(), 40);
    only_new.kept.forget_session(&room.session).await.unwrap();
    assert!(only_new.list("", 0).await.is_none());
}
