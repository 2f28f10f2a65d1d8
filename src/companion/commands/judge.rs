//! `ajar evaluate`, `classify` and `suggest`: what a model says of pictures.

use super::BundleArgs;
use crate::companion::bundles;
use crate::companion::cache::Cache;
use crate::companion::dataset::{Dataset, pictures_below};
use crate::companion::embed::{Embedded, embed, terminal};
use crate::companion::evaluate::{Evaluation, Outcome};
use crate::companion::groups::bursts;
use crate::companion::light::lights;
use crate::companion::picture;
use crate::companion::said::Said;
use crate::companion::suggest::{Suggestions, Why, suggest};
use crate::companion::train::moments;
use crate::exit::UsageError;
use crate::watch::decision::Classification;
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Args)]
pub struct EvaluateArgs {
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
pub struct ClassifyArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// Pictures of the crop
    #[arg(required = true)]
    picture: Vec<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SuggestArgs {
    #[command(flatten)]
    bundle: BundleArgs,
    /// Directory with pictures of the crop that have no label yet; folders below it are searched too
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Most pictures to name
    #[arg(long, value_name = "N", default_value_t = 24)]
    count: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Evaluated<'a> {
    #[serde(flatten)]
    evaluation: &'a Evaluation,
    pictures: Vec<Said<'a>>,
}

pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let model = bundles::load(args.bundle.file())?;
    let manifest = &model.model.manifest;
    // The folders' order need not be the model's.
    let index = |name: &String| {
        manifest.states.iter().position(|state| state == name).ok_or_else(|| {
            let known = manifest.states.join(", ");
            UsageError(format!("{}: the model has no state {name:?}, only {known}", args.dataset.display()))
        })
    };
    let order: Vec<usize> = dataset.states.iter().map(index).collect::<Result<_, _>>()?;
    let cache = Cache::open(&manifest.backbone.sha256);
    let (judged, _) = embed(&model.engine, &cache, &dataset.examples, 0, &terminal(), |mut embedded| {
        let classification = model.model.classify(&embedded.features());
        // What follows needs only the facts, and there may be many pictures.
        embedded.embedding.features = Vec::new();
        embedded.state = order[embedded.state];
        (embedded, classification)
    })?;
    if judged.is_empty() {
        let why = format!("{}: no usable picture; see the warnings above", args.dataset.display());
        return Err(UsageError(why).into());
    }
    let outcomes = outcomes(&judged);
    let evaluation = Evaluation::new(&manifest.states, manifest.decision.threshold, &outcomes);
    if args.json {
        let pictures = judged
            .iter()
            .map(|(embedded, classification)| Said {
                truth: Some(&manifest.states[embedded.state]),
                ..Said::new(manifest, &embedded.path, classification)
            })
            .collect();
        writeln!(stdout(), "{}", serde_json::to_string(&Evaluated { evaluation: &evaluation, pictures })?)?;
    } else {
        writeln!(stdout(), "{}", evaluation.text())?;
    }
    Ok(())
}

fn outcomes(judged: &[(Embedded, Classification)]) -> Vec<Outcome> {
    let (moments, _) = moments(judged.iter().map(|(embedded, _)| embedded));
    let labels: Vec<usize> = judged.iter().map(|(embedded, _)| embedded.state).collect();
    let alone: Vec<usize> = (0..judged.len()).collect();
    let bursts = bursts(&labels, &moments, &alone);
    let tones: Vec<_> = judged.iter().map(|(embedded, _)| embedded.embedding.tones).collect();
    let lights = lights(&tones);
    let outcome = |(i, (embedded, classification)): (usize, &(Embedded, Classification))| Outcome {
        path: embedded.path.clone(),
        sha256: embedded.sha256.clone(),
        truth: embedded.state,
        probabilities: classification.probabilities.to_vec(),
        distance: classification.distance,
        light: lights[i],
        moment: moments[i],
        burst: bursts[i],
    };
    judged.iter().enumerate().map(outcome).collect()
}

pub fn classify(args: &ClassifyArgs) -> Result<()> {
    let mut model = bundles::load(args.bundle.file())?;
    let mut unreadable = 0;
    for picture in &args.picture {
        let read = fs::read(picture).map_err(|error| error.to_string());
        let input = match read.and_then(|bytes| picture::read(&bytes)) {
            Ok(input) => input,
            Err(why) => {
                log::error!("{}: {why}", picture.display());
                unreadable += 1;
                continue;
            }
        };
        let classification = model.model.classify(&model.engine.run(&input, model.model.blocks())?);
        print_said(&Said::new(&model.model.manifest, picture, &classification), args.json)?;
    }
    match unreadable {
        0 => Ok(()),
        n => Err(UsageError(format!("{n} of {} pictures could not be read", args.picture.len())).into()),
    }
}

fn print_said(said: &Said, json: bool) -> Result<()> {
    if json {
        writeln!(stdout(), "{}", serde_json::to_string(said)?)?;
        return Ok(());
    }
    let all: Vec<String> = said.probabilities.iter().map(|(state, p)| format!("{state} {p:.3}")).collect();
    let why = said.reason.map(|why| format!(", {why}")).unwrap_or_default();
    writeln!(stdout(), "{}: {}{why} ({})", said.picture.display(), said.state, all.join(", "))?;
    Ok(())
}

pub fn suggest_pictures(args: &SuggestArgs) -> Result<()> {
    let model = bundles::load(args.bundle.file())?;
    let pictures = pictures_below(&args.pictures)?;
    if pictures.is_empty() {
        let why = format!("{}: has no .jpg, .jpeg, .png or .webp picture", args.pictures.display());
        return Err(UsageError(why).into());
    }
    let cache = Cache::open(&model.model.manifest.backbone.sha256);
    let suggestions = suggest(&model, &cache, pictures, args.count, &terminal())?;
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string(&suggestions)?)?;
        return Ok(());
    }
    let Suggestions { label, add_nothing, known, quarantined } = suggestions;
    let mut out = stdout().lock();
    for one in &label {
        let why = match one.why {
            Why::Unseen => "unlike what it was trained on".to_string(),
            Why::Ambiguous => format!("taken for {}, {:.0} %", one.state, one.probability * 100.0),
        };
        writeln!(out, "{}: {why}", one.picture.display())?;
    }
    writeln!(
        out,
        "{} pictures to label; {add_nothing} others add nothing, {known} were trained on, {} could not be read",
        label.len(),
        quarantined.len()
    )?;
    Ok(())
}
