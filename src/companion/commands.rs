//! The companion's commands: what the user typed, and what it does.

use super::bundles::{self, BundleFile};
use super::cut::{Cut, parse_crop, parse_seconds, parse_start};
use super::dataset::Dataset;
use super::embed::embed;
use super::engine::EngineCommand;
use super::evaluate::{Evaluation, most_probable};
use super::keys::{self, Protection};
use super::train::train;
use super::{BACKBONE, pack, shipped_plan};
use crate::bundle::manifest::check_model_name;
use crate::config::Codec;
use crate::engine::Engine;
use crate::exit::UsageError;
use crate::model::Model;
use crate::watch::decision::Probabilities;
use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

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
    /// Look into a bundle
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Install a bundle into a store
    Deploy(DeployArgs),
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
struct TrainArgs {
    /// Name of the model, as in [classification.custom.NAME]
    #[arg(long)]
    name: String,
    /// Directory with one folder of pictures for each state
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Secret key that signs the bundle: ajar.key, or the directory it is in
    #[arg(long)]
    key: PathBuf,
    /// The bundle to write
    #[arg(long, value_name = "FILE.ajb")]
    out: PathBuf,
    /// Use at most this many pictures of each state
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_state: Option<u32>,
    /// Picks the pictures where there are more than --per-state
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Write what the training found as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

#[derive(Args)]
struct BundleArgs {
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

#[derive(Args)]
struct EvaluateArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// Directory with one folder of pictures for each state
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ClassifyArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// Pictures of the crop
    #[arg(required = true)]
    picture: Vec<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
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
            Command::Train(args) => train_and_sign(&args),
            Command::Evaluate(args) => evaluate(&args),
            Command::Classify(args) => classify(&args),
            Command::Bundle(BundleCommand::Inspect(args)) => bundles::inspect(args.file()),
            Command::Bundle(BundleCommand::Verify(args)) => bundles::check(args.file()),
            Command::Bundle(BundleCommand::Unpack { file, out }) => bundles::unpack(file.file(), out),
            Command::Deploy(args) => bundles::deploy(args.file.file(), &args.store),
            Command::Engine(command) => command.run(),
        }
    }
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

fn train_and_sign(args: &TrainArgs) -> Result<()> {
    check_model_name(&args.name).map_err(|why| UsageError(format!("--name {why}")))?;
    // Everything the user could have got wrong, before the minutes of work.
    for file in [Some(&args.out), args.report.as_ref()].into_iter().flatten() {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        if file.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
            return Err(UsageError(format!(
                "{}: cannot be written: want a file in an existing directory",
                file.display()
            ))
            .into());
        }
    }
    let key = keys::load_secret(&args.key)?;
    let dataset = Dataset::open(&args.dataset)?;
    let engine = Engine::new(shipped_plan()?);
    let trained = train(&dataset, &engine, args.per_state.map(|n| n as usize), args.seed)?;
    let seq = pack::next_seq(&args.key, &key)?;
    let (manifest, parts) = pack::describe(&args.name, seq, &trained, BACKBONE);
    pack::write_whole(&args.out, &pack::sign(&manifest, &parts, &key)?)?;
    let report = &trained.report;
    if let Some(path) = &args.report {
        pack::write_whole(path, &serde_json::to_vec_pretty(report)?)?;
    }
    for (state, count) in report.states.iter().zip(&report.pictures) {
        writeln!(stdout(), "{state}: {count} pictures")?;
    }
    for bad in &report.quarantined {
        writeln!(stdout(), "left out: {} ({})", bad.path.display(), bad.why)?;
    }
    match &report.cross_validation {
        Some(cv) => writeln!(stdout(), "cross-validated in {} folds, {}", cv.folds, cv.evaluation.text())?,
        None => writeln!(stdout(), "not cross-validated: at least two pictures of each state are needed")?,
    }
    writeln!(stdout(), "{} (sequence number {seq}, {:.1} s)", args.out.display(), report.seconds)?;
    Ok(())
}

fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let (model, engine) = bundles::load(args.bundle.file())?;
    let states = model.manifest.states.clone();
    // The folders' order need not be the model's.
    let index = |name: &String| {
        states.iter().position(|state| state == name).ok_or_else(|| {
            let known = states.join(", ");
            UsageError(format!("{}: the model has no state {name:?}, only {known}", args.dataset.display()))
        })
    };
    let order: Vec<usize> = dataset.states.iter().map(index).collect::<Result<_, _>>()?;
    let blocks = model.manifest.head.blocks.clone();
    let (embedded, _) = embed(&engine, &blocks, &dataset.examples)?;
    if embedded.is_empty() {
        let why = format!("{}: no usable picture; see the warnings above", args.dataset.display());
        return Err(UsageError(why).into());
    }
    let results: Vec<(usize, Vec<f32>)> = embedded
        .iter()
        .map(|picture| (order[picture.state], model.probabilities_of_gathered(&picture.features).to_vec()))
        .collect();
    let evaluation = Evaluation::new(&states, model.manifest.decision.threshold, &results);
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string(&evaluation)?)?;
    } else {
        writeln!(stdout(), "{}", evaluation.text())?;
    }
    Ok(())
}

/// What `classify --json` says of one picture.
#[derive(serde::Serialize)]
struct Classified<'a> {
    picture: &'a Path,
    /// `unknown` below the threshold.
    state: &'a str,
    probability: f32,
    probabilities: std::collections::BTreeMap<&'a str, f32>,
}

fn classify(args: &ClassifyArgs) -> Result<()> {
    let (model, mut engine) = bundles::load(args.bundle.file())?;
    let mut unreadable = 0;
    for picture in &args.picture {
        let read = fs::read(picture).map_err(|error| error.to_string());
        let input = match read.and_then(|bytes| super::picture::read(&bytes)) {
            Ok(input) => input,
            Err(why) => {
                log::error!("{}: {why}", picture.display());
                unreadable += 1;
                continue;
            }
        };
        let probabilities = model.probabilities(&engine.run(&input, model.blocks())?);
        print_classified(&model, picture, &probabilities, args.json)?;
    }
    match unreadable {
        0 => Ok(()),
        n => Err(UsageError(format!("{n} of {} pictures could not be read", args.picture.len())).into()),
    }
}

fn print_classified(model: &Model, picture: &Path, probabilities: &Probabilities, json: bool) -> Result<()> {
    let states = &model.manifest.states;
    let (best, probability) = most_probable(probabilities);
    let known = probability >= model.manifest.decision.threshold;
    let state = if known { states[best].as_str() } else { "unknown" };
    let by_state = states.iter().map(String::as_str).zip(probabilities.iter().copied());
    if json {
        let probabilities = by_state.collect();
        writeln!(
            stdout(),
            "{}",
            serde_json::to_string(&Classified { picture, state, probability, probabilities })?
        )?;
    } else {
        let all: Vec<String> = by_state.map(|(state, p)| format!("{state} {p:.3}")).collect();
        writeln!(stdout(), "{}: {state} ({})", picture.display(), all.join(", "))?;
    }
    Ok(())
}
