//! Requests of E2B's SDK as they were recorded, sent again in that order.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::call;

/// One line of the recording; `{id}` and `{token}` stand for the sandbox's.
#[derive(Deserialize)]
struct Recorded {
    line: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    status: u16,
}

fn recording() -> Vec<Recorded> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/e2b-sdk-2.63.0.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

/// What is seen in the answer to a create.
fn check_made(made: &Value) {
    for (name, wanted) in [
        ("clientID", json!("6532622b")),
        ("envdVersion", json!("0.6.13")),
        ("alias", json!("base")),
        ("trafficAccessToken", Value::Null),
        ("domain", Value::Null),
    ] {
        assert_eq!(made.get(name), Some(&wanted), "{name}");
    }
    let id = made["sandboxID"].as_str().unwrap();
    assert!(id.starts_with('i') && id.len() == 21, "{id}");
}

#[tokio::test]
async fn what_the_sdk_sent_is_answered() {
    let emulator = crate::support::start().await;
    let (mut id, mut token) = (String::new(), String::new());
    let recording = recording();
    assert!(recording.len() > 10);
    for recorded in recording {
        let filled = |text: &str| text.replace("{id}", &id).replace("{token}", &token);
        let line = filled(&recorded.line);
        let headers: Vec<(String, String)> = recorded
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), filled(value)))
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = call(&emulator, &line, &headers, recorded.body).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, recorded.status, "{line}: {answer:?}");
        match line.as_str() {
            "POST /v2/sandboxes" => {
                check_made(&answer.json());
                id = answer.json()["sandboxID"].as_str().unwrap().to_owned();
                token = answer.json()["envdAccessToken"]
                    .as_str()
                    .unwrap()
                    .to_owned();
            }
            line if line.starts_with("GET /v2/sandboxes") => {
                assert_eq!(answer.json()[0]["sandboxID"], id);
                assert_eq!(answer.headers["x-total-running"], "1");
            }
            line if line.starts_with("GET /files") && answer.status == 200 => {
                assert_eq!(&answer.body[..], b"abc");
            }
            line if line.starts_with("POST /files") => {
                assert!(
                    answer.json()[0]["path"]
                        .as_str()
                        .unwrap()
                        .starts_with("/tmp/proof/")
                );
            }
            _ => {}
        }
    }
    emulator.stop().await;
}
