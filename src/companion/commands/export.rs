//! `ajar export`: a model for other programs.

use super::{BundleArgs, check_place};
use crate::companion::export::{DISTANCE, IMAGE, PROBABILITIES, onnx};
use crate::companion::{bundles, pack};
use crate::exit::UsageError;
use crate::watch::crop::INPUT_SIDE;
use anyhow::Result;
use clap::Args;
use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Args)]
pub struct ExportArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// The file to write: pixels in, probabilities out
    #[arg(long, value_name = "OUT.onnx")]
    onnx: PathBuf,
}

pub fn run(args: &ExportArgs) -> Result<()> {
    let file = args.bundle.file();
    check_place(&args.onnx)?;
    // Two spellings of one file, a link included.
    if fs::canonicalize(&args.onnx).is_ok_and(|out| fs::canonicalize(file.path).is_ok_and(|path| path == out))
    {
        let why = format!("{}: is the bundle itself; choose another --onnx", args.onnx.display());
        return Err(UsageError(why).into());
    }
    let (model, backbone) = bundles::model_and_backbone(file)?;
    let bytes = onnx(&model, &backbone)?;
    pack::write_whole(&args.onnx, &bytes)?;
    let states = model.manifest.states.join(", ");
    let size = bytes.len() as f64 / 1e6;
    writeln!(stdout(), "{}: model {}, {size:.1} MB", args.onnx.display(), model.manifest.model)?;
    write!(stdout(), "{IMAGE}: u8, 1x{INPUT_SIDE}x{INPUT_SIDE}x3, RGB -> {PROBABILITIES} of {states}")?;
    let distance = model.unseen.map(|_| format!("; {DISTANCE}, unseen above 1")).unwrap_or_default();
    writeln!(stdout(), "{distance}")?;
    Ok(())
}
