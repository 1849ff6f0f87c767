//! A command that prints now and then, and a reader that wants all of it.

use sandgate_proto::v1::{exec_response::Event, execution_ended::Outcome};
use sandgate_system::Client;
use tokio::{sync::watch, task::JoinHandle};

/// What the command prints: a line every half second, for as many as it is asked for.
pub(crate) struct Ticker {
    lines: watch::Receiver<usize>,
    reading: JoinHandle<()>,
}

impl Ticker {
    /// Starts it.
    pub(crate) async fn start(client: &Client, session_id: &str, sandbox_id: &str) -> Self {
        let command = "print x; sleep 500; ".repeat(120) + "exit 7";
        let mut stream = client
            .stream(session_id, sandbox_id, &command)
            .await
            .unwrap();
        let (seen, lines) = watch::channel(0);
        let reading = tokio::spawn(async move {
            while let Some(message) = stream.message().await.unwrap() {
                match message.event.unwrap() {
                    Event::Output(output) => seen.send_modify(|lines| *lines += output.data.len()),
                    Event::Ended(ended) => assert_eq!(ended.outcome, Some(Outcome::ExitCode(7))),
                    _ => {}
                }
            }
        });
        Self { lines, reading }
    }

    /// Waits until it has printed more than when this was called, and fails if the stream was cut.
    pub(crate) async fn goes_on(&mut self) {
        let before = *self.lines.borrow();
        let more = self.lines.wait_for(|lines| *lines > before + 1);
        let more = tokio::time::timeout(std::time::Duration::from_secs(5), more).await;
        assert!(matches!(more, Ok(Ok(_))), "the stream stands still");
        assert!(!self.reading.is_finished(), "the stream has ended");
    }
}
