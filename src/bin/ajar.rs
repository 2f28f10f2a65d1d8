//! The companion: names, examples, training, evaluation, signing, deployment.

use ajar::allocations::Counting;
use ajar::companion::commands::Cli;
use clap::Parser;
use std::process::ExitCode;

/// `ajar engine bench` says how many allocations it saw.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,tract=error"))
        .format_timestamp(None)
        .format_target(false)
        .init();
    ajar::exit::code(Cli::parse().run())
}
