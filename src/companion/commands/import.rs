//! `ajar import`: what other programs have, for Ajar.

use crate::companion::frigate::{self, Places};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum ImportCommand {
    /// Print a configuration of ajard that does what a Frigate's state classification does, and take over its pictures
    Frigate(FrigateArgs),
}

#[derive(Args)]
pub struct FrigateArgs {
    /// Frigate's config.yml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Frigate's clips directory, or the one it is in; its pictures become models of the workspace
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// The workspace [default: ~/ajar]
    #[arg(long, value_name = "DIR", env = "AJAR_WORKSPACE", requires = "clips")]
    workspace: Option<PathBuf>,
}

pub fn run(command: &ImportCommand) -> Result<()> {
    let ImportCommand::Frigate(FrigateArgs { config, clips, workspace }) = command;
    frigate::import(&Places { config, clips: clips.as_deref(), workspace: workspace.as_deref() })
}
