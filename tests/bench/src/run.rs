//! The run: all that is wanted of each group, then their tables and the machine's facts on stdout.

use crate::{
    config::RunArgs,
    control,
    error::Result,
    exec::{self, Engine},
    facts::Facts,
    hop, life,
};

/// Takes every figure that is wanted.
pub(crate) async fn all(args: &RunArgs) -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures mean nothing; run it with --release");
    }
    let (of_hop, of_exec) = (args.hop_figures(), args.exec_figures());
    let (of_control, of_life) = (args.control_figures(), args.life_figures());
    // What is missing is said before minutes are spent.
    let engine = Engine::new(&args.docker);
    if of_exec.iter().any(|figure| figure.needs_docker()) {
        engine.check(&args.image).await?;
    }
    let mut tables = Vec::new();
    if !of_hop.is_empty() {
        tables.push(hop::run(args, of_hop).await?);
    }
    if !of_control.is_empty() {
        tables.push(control::run(args, of_control).await?);
    }
    if !of_life.is_empty() {
        tables.push(life::run(args, of_life).await?);
    }
    if !of_exec.is_empty() {
        tables.push(exec::run(args, engine, of_exec).await?);
    }
    print!("{}\n{}", tables.join("\n"), Facts::gather().await);
    Ok(())
}
