//! The gateway process.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    sandgate_gateway::run().await
}
