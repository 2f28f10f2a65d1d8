//! The companion: names, examples, training, evaluation, signing, deployment.

use ajar::companion::commands::Cli;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,tract=error"))
        .format_timestamp(None)
        .format_target(false)
        .init();
    ajar::exit::code(Cli::parse().run())
}
