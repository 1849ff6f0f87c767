//! Compiles envd's services without a system `protoc`.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let names = ["process.proto", "filesystem.proto"];
    let files = protox::compile(names, ["proto"])?;
    let set = Path::new(&env::var("OUT_DIR")?).join("envd.binpb");
    fs::write(&set, files.encode_to_vec())?;
    connectrpc_build::Config::new()
        .descriptor_set(set)
        .files(&names)
        .include_file("envd.rs")
        // It would name the set, which is newer than this run: then every build is to be done anew.
        .emit_rerun_directives(false)
        .compile()?;
    Ok(())
}
