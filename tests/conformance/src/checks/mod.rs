//! The checks, by topic, in the order of the report.

mod archives;
mod capabilities;
mod commands;
mod delete;
mod directories;
mod ending;
mod endings;
mod feature_calls;
mod files;
mod git;
mod heart;
mod isolation;
mod life_cycle;
mod logs;
mod malformed;
mod outcomes;
mod output_limit;
mod ports;
mod renew;
mod resume;
mod run_command;
mod server;
mod start;
mod stdin;
mod stop;
mod terminal;
mod tree;
mod views;

use crate::suite::Check;

/// Every check.
pub(crate) const ALL: &[&[Check]] = &[
    life_cycle::CHECKS,
    delete::CHECKS,
    stop::CHECKS,
    renew::CHECKS,
    ending::CHECKS,
    start::CHECKS,
    resume::CHECKS,
    outcomes::CHECKS,
    endings::CHECKS,
    tree::CHECKS,
    output_limit::CHECKS,
    stdin::CHECKS,
    capabilities::CHECKS,
    commands::CHECKS,
    terminal::CHECKS,
    malformed::CHECKS,
    views::CHECKS,
    run_command::CHECKS,
    logs::CHECKS,
    ports::CHECKS,
    git::CHECKS,
    isolation::CHECKS,
    files::CHECKS,
    directories::CHECKS,
    archives::CHECKS,
];

/// Features that the contract names.
pub(crate) const FEATURES: &[&str] = &[
    "start",
    "stop",
    "pause",
    "hibernate",
    "renew",
    "exec",
    "exec_user",
    "terminal",
    "stdin",
    "signals",
    "process_tree",
    "exec_timeout",
    "output_resume",
    "logs_system",
    "logs_main",
    "logs_executions",
    "files",
    "archive",
    "git",
    "git_credentials",
    "ports",
    "network_none",
    "network_private",
    "network_full",
    "allow_cidrs",
    "allow_domains",
    "resources",
    "runtime",
    "image",
    "template",
    "snapshot",
    "idle_timeout",
];
