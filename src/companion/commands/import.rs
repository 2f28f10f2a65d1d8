//! `ajar import`: what other programs have, for Ajar.

use crate::companion::frigate;
use crate::companion::workspace::Workspace;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::io::{Write, stdout};
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
    #[arg(long, value_name = "DIR", env = "AJAR_WORKSPACE", value_parser = super::maybe_empty(), requires = "clips")]
    workspace: Option<PathBuf>,
}

/// Prints the configuration of `ajard`; everything else is said on standard error.
pub fn run(command: &ImportCommand) -> Result<()> {
    let ImportCommand::Frigate(FrigateArgs { config, clips, workspace }) = command;
    let workspace = match clips {
        Some(_) => Some(Workspace::open(&Workspace::place(workspace.as_deref())?)?),
        None => None,
    };
    let imported = frigate::import(config, clips.as_deref().zip(workspace.as_ref()))?;
    imported.notes.iter().for_each(|note| eprintln!("{note}"));
    stdout().write_all(imported.config.as_bytes())?;
    Ok(())
}
