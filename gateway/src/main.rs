//! The gateway process.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    sandgate_gateway::run().await
}
