//! The companion's commands: what the user typed, and what it does.

mod export;
mod judge;
mod train;

use super::bundles::{self, BundleFile};
use super::cut::{Cut, parse_crop, parse_seconds, parse_start};
use super::engine::EngineCommand;
use super::keys::{self, Protection};
use crate::config::Codec;
use crate::exit::UsageError;
use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use export::ExportArgs;
use judge::{ClassifyArgs, EvaluateArgs, SuggestArgs};
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use train::TrainArgs;

/// Ajar's companion: trains models that tell what state a thing in front of a camera is in,
/// and brings them to a device as signed bundles.
#[derive(Parser)]
#[command(name = "ajar", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a signing key
    #[command(subcommand)]
    Key(KeyCommand),
    /// Cut pictures of the crop out of a video or a camera
    Cut(CutArgs),
    /// Train a model on folders of pictures and sign it as a bundle
    Train(TrainArgs),
    /// Measure a bundle on folders of labelled pictures
    Evaluate(EvaluateArgs),
    /// Tell the state of pictures
    Classify(ClassifyArgs),
    /// Name the pictures that would teach a model most, if they had a label
    Suggest(SuggestArgs),
    /// Look into a bundle
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Install a bundle into a store
    Deploy(DeployArgs),
    /// Write a model, backbone and head, as one ONNX file for other programs
    Export(ExportArgs),
    /// Look at the engine that runs the models: path, speed, plan
    #[command(subcommand)]
    Engine(EngineCommand),
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a new key pair; this computer trusts it from then on
    New {
        /// Directory for ajar.key (secret) and ajar.pub (for the devices)
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Leave the secret key unencrypted, for automation
        #[arg(long)]
        no_password: bool,
    },
}

#[derive(Args)]
struct CutArgs {
    /// A video file, an rtsp:// URL, a V4L2 device or a GStreamer pipeline
    #[arg(long, value_name = "VIDEO_OR_URL")]
    source: String,
    /// The crop: x1,y1,x2,y2 in pixels of the source, or in fractions 0..1
    #[arg(long, value_name = "X1,Y1,X2,Y2", value_parser = parse_crop)]
    crop: Crop,
    /// Seconds from one picture to the next
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    every: f64,
    /// Directory for the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What state the thing was in, and when; sorts the pictures into DIR/STATE
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Start at this second of the source
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = parse_start)]
    from: f64,
    /// Stop before this second of the source
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    to: Option<f64>,
    /// What an RTSP camera sends
    #[arg(long, value_enum, default_value = "h264")]
    codec: Codec,
}

/// `[x1, y1, x2, y2]`; clap would take a bare array type for several values.
type Crop = [f64; 4];

impl ValueEnum for Codec {
    fn value_variants<'a>() -> &'a [Self] {
        &[Codec::H264, Codec::H265, Codec::Mjpeg]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let name = match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
            Codec::Mjpeg => "mjpeg",
        };
        Some(clap::builder::PossibleValue::new(name))
    }
}

#[derive(Args)]
pub struct BundleArgs {
    /// The bundle, as `ajar train` wrote it
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Args)]
struct Trust {
    /// Verify with the keys of this directory instead of this computer's own
    #[arg(long, value_name = "DIR", env = "AJAR_TRUSTED_KEYS")]
    trusted_keys: Option<PathBuf>,
}

#[derive(Subcommand)]
enum BundleCommand {
    /// Print the manifest of a bundle, once it is verified
    Inspect(FileArgs),
    /// Say whether a bundle is whole and signed by a trusted key
    Verify(FileArgs),
    /// Write manifest, signature and parts as files that minisign and sha256sum can check
    Unpack {
        #[command(flatten)]
        file: FileArgs,
        /// Directory to make; the bundle's name without .ajb unless given
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Args)]
struct FileArgs {
    /// The bundle, as `ajar train` wrote it
    file: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

impl BundleArgs {
    fn file(&self) -> BundleFile<'_> {
        BundleFile { path: &self.bundle, trusted_keys: self.trust.trusted_keys.as_deref() }
    }
}

impl FileArgs {
    fn file(&self) -> BundleFile<'_> {
        BundleFile { path: &self.file, trusted_keys: self.trust.trusted_keys.as_deref() }
    }
}

#[derive(Args)]
struct DeployArgs {
    /// The device's store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    #[command(flatten)]
    file: FileArgs,
}

impl Cli {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Key(KeyCommand::New { out, no_password }) => new_key(&out, no_password),
            Command::Cut(args) => cut(args),
            Command::Train(args) => train::run(&args),
            Command::Evaluate(args) => judge::evaluate(&args),
            Command::Classify(args) => judge::classify(&args),
            Command::Suggest(args) => judge::suggest_pictures(&args),
            Command::Bundle(BundleCommand::Inspect(args)) => bundles::inspect(args.file()),
            Command::Bundle(BundleCommand::Verify(args)) => bundles::check(args.file()),
            Command::Bundle(BundleCommand::Unpack { file, out }) => bundles::unpack(file.file(), out),
            Command::Deploy(args) => bundles::deploy(args.file.file(), &args.store),
            Command::Export(args) => export::run(&args),
            Command::Engine(command) => command.run(),
        }
    }
}

/// Whether a file can be written there, before the work that makes it.
fn check_place(file: &Path) -> Result<(), UsageError> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if file.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
        let why = "cannot be written: want a file in an existing directory";
        return Err(UsageError(format!("{}: {why}", file.display())));
    }
    Ok(())
}

fn new_key(out: &Path, no_password: bool) -> Result<()> {
    let protection = if no_password { Protection::None } else { Protection::Password };
    let key = keys::generate(out, protection)?;
    writeln!(stdout(), "key {}", key.id)?;
    writeln!(
        stdout(),
        "secret: {} (keep a copy in a safe place; without it no device takes your next model)",
        key.secret.display()
    )?;
    writeln!(stdout(), "public: {} (goes to /etc/ajar/trusted-keys.d on each device)", key.public.display())?;
    if let Some(trusted) = key.trusted {
        writeln!(stdout(), "trusted on this computer: {}", trusted.display())?;
    }
    Ok(())
}

fn cut(args: CutArgs) -> Result<()> {
    let CutArgs { source, crop, every, out, timeline, from, to, codec } = args;
    let cut = Cut { source, crop, every, from, to, out, codec };
    let timeline = timeline.map(|path| cut.timeline(&path)).transpose()?;
    let counts = cut.run(timeline.as_ref())?;
    for (state, count) in &counts {
        writeln!(stdout(), "{count} pictures in {}", cut.out.join(state).display())?;
    }
    if counts.is_empty() {
        return Err(UsageError(
            "no picture was cut: nothing lies between --from, --to and the timeline's rows".into(),
        )
        .into());
    }
    Ok(())
}
