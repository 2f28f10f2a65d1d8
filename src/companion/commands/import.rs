//! `ajar import`: what other programs have, for Ajar.

use crate::companion::frigate::{self, Places};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum ImportCommand {
    /// Print the configuration of ajard that does what a Frigate's state classification does, and take over its pictures
    Frigate(FrigateArgs),
}

#[derive(Args)]
pub struct FrigateArgs {
    /// Frigate's config.yml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Frigate's clips directory, or the one it is in
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Directory for the pictures: DIR/MODEL/pictures/STATE and DIR/MODEL/unlabelled
    #[arg(long, value_name = "DIR", requires = "clips")]
    out: Option<PathBuf>,
}

pub fn run(command: &ImportCommand) -> Result<()> {
    let ImportCommand::Frigate(FrigateArgs { config, clips, out }) = command;
    frigate::import(&Places { config, clips: clips.as_deref(), out: out.as_deref() })
}
