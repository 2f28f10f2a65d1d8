//! `ajar model`: the models of a workspace, without the studio. Both may be at work at once.

use super::{Crop, parse_crop};
use crate::companion::embed::terminal;
use crate::companion::moment;
use crate::companion::workspace::model::{CropFile, Definition};
use crate::companion::workspace::pictures::Added;
use crate::companion::workspace::{ModelFolder, Workspace};
use crate::companion::{BACKBONE, cache::Cache, keys, picture};
use crate::exit::{Kept, UsageError};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Args)]
pub struct ModelsArgs {
    /// The folder with models, pictures and labels [default: ~/ajar]
    #[arg(long, value_name = "DIR", env = "AJAR_WORKSPACE", global = true)]
    workspace: Option<PathBuf>,
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// List the models, their states and how many pictures have one
    List,
    /// Begin a model
    New {
        /// As in [classification.custom.NAME]
        name: String,
        /// A state; give at least two
        #[arg(long, value_name = "STATE", required = true)]
        state: Vec<String>,
        /// What people call it; its name unless given
        #[arg(long, default_value = "")]
        title: String,
    },
    /// Set where a camera's pictures show it
    Crop {
        name: String,
        camera: String,
        /// In fractions of the frame, or in pixels of a picture of --frame
        #[arg(value_name = "X1,Y1,X2,Y2", value_parser = parse_crop)]
        crop: Crop,
        /// A whole frame of the camera
        #[arg(long, value_name = "FILE")]
        frame: PathBuf,
    },
    /// Add whole frames of a camera, with their state if it is known
    Add {
        name: String,
        #[arg(long)]
        camera: String,
        #[arg(long)]
        state: Option<String>,
        #[arg(required = true, value_name = "FILE")]
        pictures: Vec<PathBuf>,
    },
    /// Train on all pictures; the version before stays if it is better
    Train { name: String },
    /// Sign the version that counts; prints the bundle for `ajar deploy`
    Sign {
        name: String,
        /// Secret key that signs the bundle: ajar.key, or the directory it is in
        #[arg(long, env = "AJAR_KEY")]
        key: PathBuf,
    },
}

pub fn run(args: ModelsArgs) -> Result<()> {
    let workspace = Workspace::open(&Workspace::place(args.workspace.as_deref())?)?;
    match args.command {
        ModelCommand::List => list(&workspace),
        ModelCommand::New { name, state, title } => {
            let folder = workspace.create(&name, Definition { title, states: state })?;
            Ok(writeln!(stdout(), "{}", folder.path().display())?)
        }
        ModelCommand::Crop { name, camera, crop, frame } => {
            let bytes = read(&frame)?;
            let rgb = picture::decode(&bytes).map_err(|why| wrong(&frame, &why))?;
            let [width, height] = [rgb.width(), rgb.height()];
            let in_pixels = crop.iter().any(|edge| *edge > 1.0);
            let sides = [width, height, width, height].map(f64::from);
            let crop = if in_pixels { std::array::from_fn(|i| crop[i] / sides[i]) } else { crop };
            workspace.model(&name)?.set_crop(&camera, CropFile::new(crop, [width, height])?)
        }
        ModelCommand::Add { name, camera, state, pictures } => {
            add(&workspace, &name, &camera, state.as_deref(), &pictures)
        }
        ModelCommand::Train { name } => train(&workspace, &name),
        ModelCommand::Sign { name, key } => {
            let folder = workspace.model(&name)?;
            let version = folder.file()?.version;
            let version = version.ok_or_else(|| UsageError("nothing is trained yet".into()))?;
            let secret = keys::load_secret(&key)?;
            let bundle = folder.sign(&version, &key, &secret)?;
            Ok(writeln!(stdout(), "{}", bundle.display())?)
        }
    }
}

fn list(workspace: &Workspace) -> Result<()> {
    let mut wrong = None;
    for name in workspace.models()? {
        match line(&workspace.model(&name)?) {
            Ok(line) => writeln!(stdout(), "{name}: {line}")?,
            // A mistake in one model's files must not hide the others.
            Err(why) => {
                eprintln!("{name}: {why:#}");
                wrong = Some(name);
            }
        }
    }
    match wrong {
        None => Ok(()),
        Some(name) => Err(UsageError(format!("model {name} cannot be read: see above")).into()),
    }
}

fn line(folder: &ModelFolder) -> Result<String> {
    let (file, pictures) = (folder.file()?, folder.pictures()?);
    let labelled = pictures.iter().filter(|picture| picture.state.is_some()).count();
    let version = file.version.map_or("not trained".into(), |version| format!("version {version}"));
    let states = file.states.join(", ");
    Ok(format!("{states}; {labelled} of {} pictures have a state; {version}", pictures.len()))
}

fn add(
    workspace: &Workspace,
    name: &str,
    camera: &str,
    state: Option<&str>,
    pictures: &[PathBuf],
) -> Result<()> {
    let folder = workspace.model(name)?;
    if let Some(state) = state {
        // Before anything is kept.
        folder.label(&[], Some(state))?;
    }
    let mut known = 0;
    for path in pictures {
        let bytes = read(path)?;
        let added =
            folder.add(camera, &bytes, moment::of_file(path)).map_err(|why| wrong(path, &why.to_string()))?;
        known += usize::from(matches!(added, Added::Known(_)));
        if state.is_some() {
            folder.label(&[added.id().to_string()], state)?;
        }
    }
    writeln!(stdout(), "{} added, {known} were there", pictures.len() - known)?;
    Ok(())
}

fn train(workspace: &Workspace, name: &str) -> Result<()> {
    let cache = Cache::open(&crate::bundle::sha256_hex(BACKBONE));
    let outcome = workspace.model(name)?.train(&cache, &terminal())?;
    writeln!(stdout(), "version {}", outcome.version)?;
    let why = outcome.comparison.unwrap_or_default();
    if !outcome.counts {
        return Err(Kept(format!("the version before stays: {why}")).into());
    }
    if !why.is_empty() {
        writeln!(stdout(), "{why}")?;
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| wrong(path, &error.to_string()))
}

fn wrong(path: &std::path::Path, why: &str) -> anyhow::Error {
    UsageError(format!("{}: {why}", path.display())).into()
}
