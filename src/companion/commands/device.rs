//! `ajar deploy`, `status`, `rollback`, `confirm`, `gallery`: what is done with a device.

use super::FileArgs;
use crate::bundle::names::check_model_name;
use crate::bundle::store::install::Allow;
use crate::companion::remote::Address;
use crate::companion::{deploy, gallery};
use crate::exit::UsageError;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct DeviceArgs {
    /// ssh://[user@]host[:port][/SOCKET], or the path of a control socket [default: this computer's ajard]
    #[arg(long, value_name = "DEVICE", env = "AJAR_DEVICE")]
    device: Option<Address>,
}

impl DeviceArgs {
    fn address(&self) -> Address {
        self.device.clone().unwrap_or_default()
    }
}

#[derive(Args)]
pub struct DeployArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Write into this store instead, of an ajard on this computer that does not run
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Install it even if it was rolled back before
    #[arg(long)]
    again: bool,
    /// Install it even if a newer one was active; for root on the device
    #[arg(long)]
    older: bool,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Args)]
pub struct ModelArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The model's name
    model: String,
}

#[derive(Args)]
pub struct GalleryArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Frames of this camera only
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// Directory for the frames, DIR/CAMERA/; those that are there are not fetched again
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn gallery(args: &GalleryArgs) -> Result<()> {
    if let Some(camera) = &args.camera {
        check_model_name(camera).map_err(|why| UsageError(format!("--camera {why}")))?;
    }
    gallery::fetch(&args.device.address(), args.camera.as_deref(), &args.out)
}

pub fn deploy(args: &DeployArgs) -> Result<()> {
    let allow = Allow { older: args.older, rejected: args.again };
    match &args.store {
        Some(store) => deploy::to_store(args.file.file(), store, allow),
        None => deploy::to_device(args.file.file().path, &args.device.address(), allow),
    }
}

pub fn status(args: &DeviceArgs) -> Result<()> {
    deploy::status(&args.address())
}

pub fn roll_back(args: &ModelArgs) -> Result<()> {
    deploy::roll_back(&args.device.address(), checked(&args.model)?)
}

pub fn confirm(args: &ModelArgs) -> Result<()> {
    deploy::confirm(&args.device.address(), checked(&args.model)?)
}

fn checked(model: &str) -> Result<&str, UsageError> {
    check_model_name(model).map_err(|why| UsageError(format!("model {why}")))?;
    Ok(model)
}
