//! Compiles the runner's protocol without a system `protoc`. Messages only: there is no gRPC here.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../sandbox/runner");
    let files = protox::compile(
        [
            "sandbox/runner/v1/facts.proto",
            "sandbox/runner/v1/files.proto",
            "sandbox/runner/v1/ports.proto",
            "sandbox/runner/v1/git.proto",
            "sandbox/runner/v1/runner.proto",
        ],
        [".."],
    )?;
    prost_build::Config::new()
        .bytes(["."])
        .skip_debug(
            ["FileData", "GitLogin", "Hello", "Start", "WriteStdin"]
                .map(|name| format!(".sandbox.runner.v1.{name}")),
        )
        .compile_fds(files)?;
    Ok(())
}
