//! The companion's commands: what the user typed, and what it does.

mod device;
mod export;
mod import;
mod judge;
mod key;
mod model;
mod studio;
mod train;
mod tune;

use super::bundle_files;
use super::bundles::BundleFile;
use super::cut::{Cut, parse_crop, parse_seconds, parse_start};
use super::engine::EngineCommand;
use super::keys;
use super::pack::Carry;
use crate::config::Codec;
use crate::exit::UsageError;
use crate::selftest::{self, SelftestArgs};
use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use device::{DeployArgs, DeviceArgs, GalleryArgs, ModelArgs};
use export::ExportArgs;
use import::ImportCommand;
use judge::{ClassifyArgs, EvaluateArgs, SuggestArgs};
use key::KeyCommand;
use model::ModelsArgs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use studio::StudioArgs;
use train::TrainArgs;
use tune::TuneArgs;

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
    /// Open the page that takes you from a camera to a model on a device
    Studio(StudioArgs),
    /// Begin, fill, train and sign the models of a workspace, as the studio does
    Model(ModelsArgs),
    /// Make, list, trust and revoke signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Cut pictures of the crop out of a video or a camera
    Cut(CutArgs),
    /// Try what counts as motion on a video or a camera, and show it
    Tune(TuneArgs),
    /// Train a model on folders of pictures and sign it as a bundle
    Train(TrainArgs),
    /// Measure a bundle on folders of labelled pictures
    Evaluate(EvaluateArgs),
    /// Tell the state of pictures
    Classify(ClassifyArgs),
    /// Name the pictures that would teach a model most, if they had a label
    Suggest(SuggestArgs),
    /// Look into a bundle, take it apart, sign it anew
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Install a bundle on a device
    Deploy(DeployArgs),
    /// Say what a device watches and runs; fails if it is behind what was signed last
    Status(DeviceArgs),
    /// Go back to the generation of a model that was active before
    Rollback(ModelArgs),
    /// End the trial of a model's new generation
    Confirm(ModelArgs),
    /// Fetch the frames that a device has kept
    Gallery(GalleryArgs),
    /// Take over what another program has
    #[command(subcommand)]
    Import(ImportCommand),
    /// Try a stored model
    #[command(hide = true, name = selftest::COMMAND)]
    Selftest(SelftestArgs),
    /// Write a model, backbone and head, as one ONNX file for other programs
    Export(ExportArgs),
    /// Look at the engine that runs the models: path, speed, plan
    #[command(subcommand)]
    Engine(EngineCommand),
}

/// A path, or nothing, as in a variable that is set to nothing: then it is as if it were not set.
fn maybe_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
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
#[group(skip)]
struct Trust {
    /// The trusted keys of this directory instead of this computer's own
    #[arg(long, value_name = "DIR", env = "AJAR_TRUSTED_KEYS")]
    trusted_keys: Option<PathBuf>,
}

#[derive(Subcommand)]
enum BundleCommand {
    /// Sign an unpacked directory, changed or not, as a new bundle
    Pack {
        /// What `ajar bundle unpack` made
        directory: PathBuf,
        /// Secret key that signs the bundle: ajar.key, or the directory it is in
        #[arg(long, env = "AJAR_KEY")]
        key: PathBuf,
        /// The bundle to write
        #[arg(long, value_name = "FILE.ajb")]
        out: PathBuf,
        /// Leave the backbone out: for devices that have it
        #[arg(long)]
        head_only: bool,
    },
    /// Print what differs between the manifests of two bundles
    Diff {
        /// The one before: its lines begin with -
        first: PathBuf,
        /// The one after: its lines begin with +
        second: PathBuf,
        #[command(flatten)]
        trust: Trust,
    },
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

impl Cli {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Studio(args) => studio::run(args),
            Command::Model(args) => model::run(args),
            Command::Key(command) => key::run(&command),
            Command::Cut(args) => cut(args),
            Command::Tune(args) => tune::run(args),
            Command::Train(args) => train::run(&args),
            Command::Evaluate(args) => judge::evaluate(&args),
            Command::Classify(args) => judge::classify(&args),
            Command::Suggest(args) => judge::suggest_pictures(&args),
            Command::Bundle(command) => bundle(command),
            Command::Deploy(args) => device::deploy(&args),
            Command::Status(args) => device::status(&args),
            Command::Rollback(args) => device::roll_back(&args),
            Command::Confirm(args) => device::confirm(&args),
            Command::Gallery(args) => device::gallery(&args),
            Command::Import(command) => import::run(&command),
            Command::Selftest(args) => selftest::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Engine(command) => command.run(),
        }
    }
}

fn bundle(command: BundleCommand) -> Result<()> {
    match command {
        BundleCommand::Pack { directory, key, out, head_only } => {
            check_place(&out)?;
            let secret = keys::load_secret(&key)?;
            bundle_files::repack(&directory, &key, &secret, &out, Carry::of(head_only))
        }
        BundleCommand::Diff { first, second, trust } => {
            let file = |path| BundleFile { path, trusted_keys: trust.trusted_keys.as_deref() };
            bundle_files::diff(file(&first), file(&second))
        }
        BundleCommand::Inspect(args) => bundle_files::inspect(args.file()),
        BundleCommand::Verify(args) => bundle_files::check(args.file()),
        BundleCommand::Unpack { file, out } => bundle_files::unpack(file.file(), out),
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
