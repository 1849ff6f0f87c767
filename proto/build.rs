//! Compiles the contract without a system `protoc`: messages and services by tonic-prost-build,
//! the descriptor set for reflection, and the table of methods from the `policy` option of each rpc.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=sandbox");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    for folder in ["sandbox/v1", "sandbox/provider/v1"] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "proto")
            {
                files.push(path);
            }
        }
    }
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    fs::write(
        out.join("sandbox_descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    fs::write(
        out.join("methods.rs"),
        method_table(&compiler.descriptor_pool())?,
    )?;

    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .generate_default_stubs(true)
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// One `Method` literal for each rpc of the contract, in the order of the files.
fn method_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut table = String::from("&[\n");
    for service in pool
        .services()
        .filter(|service| service.package_name() == "sandbox.v1")
    {
        for method in service.methods() {
            table.push_str(&method_literal(pool, service.full_name(), &method)?);
        }
    }
    table.push_str("]\n");
    Ok(table)
}

fn method_literal(
    pool: &DescriptorPool,
    service: &str,
    method: &MethodDescriptor,
) -> Result<String, Box<dyn Error>> {
    let policy = policy(pool, method)?;
    let number = |name: &str, number: u32| {
        method
            .input()
            .get_field_by_name(name)
            .is_some_and(|field| field.number() == number)
    };
    let handling = match field(&policy, "handling")?.as_enum_number() {
        Some(1) => "Handling::Owned",
        Some(2) => "Handling::Relayed",
        _ => return Err(format!("{}: no handling in its policy", method.full_name()).into()),
    };
    let scope = field(&policy, "scope")?;
    let deadline = match field(&policy, "default_deadline")?.as_message() {
        Some(duration) if policy.has_field_by_name("default_deadline") => {
            format!(
                "Some({})",
                field(duration, "seconds")?.as_i64().unwrap_or_default()
            )
        }
        _ => "None".to_owned(),
    };
    let unchecked = field(&policy, "unchecked_ids")?
        .as_bool()
        .unwrap_or_default();
    let mut literal = String::new();
    writeln!(
        literal,
        "    Method {{ path: \"/{service}/{name}\", service: \"{service}\", name: \"{name}\", \
         handling: {handling}, scope: {scope:?}, makes_default_sandbox: {makes_default}, \
         default_deadline_seconds: {deadline}, client_streaming: {client}, \
         server_streaming: {server}, has_session_id: {session}, has_sandbox_id: {sandbox}, \
         has_execution_id: {execution}, has_secret_env: {secret}, has_payload: {payload}, \
         replays_itself: {replays}, names: {names} }},",
        name = method.name(),
        scope = scope.as_str().unwrap_or_default(),
        makes_default = field(&policy, "makes_default_sandbox")?
            .as_bool()
            .unwrap_or_default(),
        client = method.is_client_streaming(),
        server = method.is_server_streaming(),
        session = number("session_id", 1),
        sandbox = number("sandbox_id", 2),
        execution = number("execution_id", 3),
        secret = number("secret_env", 4),
        payload = number("gateway_payload", 1000),
        replays = method.output().get_field_by_name("replayed").is_some(),
        names = names_literal(method, unchecked),
    )?;
    Ok(literal)
}

/// Numbers of the fields that say what a call is about. An id that the call itself gives to what it
/// makes names nothing yet.
fn names_literal(method: &MethodDescriptor, unchecked: bool) -> String {
    let number = |name: &str| {
        let found = method.input().get_field_by_name(name);
        let own = method
            .name()
            .strip_prefix("Create")
            .is_some_and(|made| name.strip_suffix("_id") == Some(made.to_lowercase().as_str()));
        found
            .filter(|field| !own && !field.is_list() && !field.is_map())
            .map(|field| field.number())
    };
    let checked = |name: &str| number(name).filter(|_| !unchecked);
    let target = ["name", "provider", "agent_id", "api_key_id", "path"];
    format!(
        "Names {{ session_id: {:?}, sandbox_id: {:?}, execution_id: {:?}, agent_id: {:?}, \
         harness_id: {:?}, org_id: {:?}, user_id: {:?}, request_id: {:?}, allow_missing: {:?}, target: {:?} }}",
        checked("session_id"),
        checked("sandbox_id"),
        checked("execution_id"),
        checked("agent_id"),
        checked("harness_id"),
        number("org_id"),
        number("user_id"),
        number("request_id"),
        number("allow_missing"),
        target.into_iter().find_map(number),
    )
}

fn policy(
    pool: &DescriptorPool,
    method: &MethodDescriptor,
) -> Result<DynamicMessage, Box<dyn Error>> {
    let extension = pool
        .get_extension_by_name("sandbox.v1.policy")
        .ok_or("options.proto: extension sandbox.v1.policy is missing")?;
    match method.options().get_extension(&extension).into_owned() {
        Value::Message(policy) => Ok(policy),
        other => Err(format!("{}: policy is {other:?}", method.full_name()).into()),
    }
}

fn field(message: &DynamicMessage, name: &str) -> Result<Value, Box<dyn Error>> {
    Ok(message
        .get_field_by_name(name)
        .ok_or_else(|| format!("field {name} is missing"))?
        .into_owned())
}
