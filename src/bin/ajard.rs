//! The device service: cameras in, states out.

use ajar::config::Config;
use ajar::device::{self, events::Events};
use ajar::selftest::{self, SelftestArgs};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Ajar's device service: watches cameras and publishes what state things are in.
#[derive(Parser)]
#[command(name = "ajard", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch until told to stop
    Run {
        /// The configuration, usually /etc/ajar/config.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Append every camera, attempt and change event to this file as JSON lines; - prints them
        #[arg(long, value_name = "FILE")]
        events: Option<PathBuf>,
    },
    /// Print the plan of a backbone
    #[command(hide = true)]
    Lower {
        /// The backbone's ONNX file
        onnx: PathBuf,
    },
    /// Try a stored model
    #[command(hide = true, name = selftest::COMMAND)]
    Selftest(SelftestArgs),
    /// Say whether the configuration, its models and pipelines are in order
    Check {
        /// The configuration, usually /etc/ajar/config.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("info,retina=error,tract=error"),
    )
    .format_target(false)
    .init();
    ajar::exit::code(run(Cli::parse().command))
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run { config, events } => {
            let config = Config::load(&config)?;
            device::run(&config, Events::open(events.as_deref())?)
        }
        Command::Lower { onnx } => device::lowering::print_plan(&onnx),
        Command::Selftest(args) => selftest::run(&args),
        Command::Check { config } => {
            for line in device::check(&Config::load(&config)?)? {
                println!("{line}");
            }
            println!("in order");
            Ok(())
        }
    }
}
