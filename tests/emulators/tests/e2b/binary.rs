//! The binary codec, with streams both ways, by a client that is not one of E2B's.

use connectrpc::{
    client::{ClientConfig, HttpClient},
    stream_iter,
};
use sandgate_e2b_envd::process::{
    CloseStdinRequest, ProcessClient, ProcessConfig, ProcessInput, ProcessSelector, StartRequest,
    StreamInputRequest, process_event, process_input, process_selector,
    stream_input_request::{DataEvent, Event, StartEvent},
};
use sandgate_emulators::e2b::Emulator;
use serde_json::json;

use crate::support::Inside;

fn client(emulator: &Emulator, inside: &Inside) -> ProcessClient<HttpClient> {
    let config = ClientConfig::new(emulator.url().parse().unwrap())
        .proto()
        .with_default_header("e2b-sandbox-id", inside.id.as_str())
        .with_default_header("e2b-sandbox-port", "49983")
        .with_default_header("authorization", "Basic cm9vdDo=")
        .with_default_header("x-access-token", inside.token.as_str());
    ProcessClient::new(HttpClient::plaintext(), config)
}

fn started(pid: u32) -> ProcessSelector {
    ProcessSelector {
        selector: Some(process_selector::Selector::Pid(pid)),
        ..ProcessSelector::default()
    }
}

/// Pieces of input for a process.
fn pieces(pid: u32) -> Vec<StreamInputRequest> {
    let request = |event: Event| StreamInputRequest {
        event: Some(event),
        ..StreamInputRequest::default()
    };
    let start = StartEvent {
        process: started(pid).into(),
        ..StartEvent::default()
    };
    let data = |text: &str| DataEvent {
        input: ProcessInput {
            input: Some(process_input::Input::Stdin(text.into())),
            ..ProcessInput::default()
        }
        .into(),
        ..DataEvent::default()
    };
    vec![
        request(start.into()),
        request(data("one ").into()),
        request(data("two").into()),
    ]
}

#[tokio::test]
async fn streams_are_spoken_in_binary() {
    let emulator = crate::support::start().await;
    let inside = Inside::make(&emulator, json!({})).await;
    let client = client(&emulator, &inside);
    let request = StartRequest {
        process: ProcessConfig {
            cmd: "sh".to_owned(),
            args: ["-c", "id -u; cat; exit 3"].map(str::to_owned).into(),
            ..ProcessConfig::default()
        }
        .into(),
        ..StartRequest::default()
    };
    let mut stream = client.start(request).await.unwrap();
    let (mut said, mut code) = (Vec::new(), None);
    while let Some(message) = stream.message().await.unwrap() {
        let event = message.to_owned_message().event.into_option();
        match event.and_then(|event| event.event).unwrap() {
            process_event::Event::Start(start) => {
                let pieces = stream_iter(pieces(start.pid));
                client.stream_input(pieces).await.unwrap();
                let close = CloseStdinRequest {
                    process: started(start.pid).into(),
                    ..CloseStdinRequest::default()
                };
                client.close_stdin(close).await.unwrap();
            }
            process_event::Event::Data(data) => match data.output.unwrap() {
                process_event::data_event::Output::Stdout(bytes) => said.extend(bytes),
                other => panic!("{other:?}"),
            },
            process_event::Event::End(end) => code = Some((end.exit_code, end.exited)),
            process_event::Event::Keepalive(_) => {}
        }
    }
    assert_eq!(String::from_utf8(said).unwrap(), "0\none two");
    assert_eq!(code, Some((3, true)));
    emulator.stop().await;
}
