//! `ajar train`: from folders of pictures to a signed bundle.

use super::check_place;
use crate::bundle::manifest::CropSpec;
use crate::bundle::names::check_model_name;
use crate::bundle::reference::MAX_PICTURES;
use crate::companion::bundles::{self, BundleFile};
use crate::companion::cache::Cache;
use crate::companion::champion::{Comparison, compare};
use crate::companion::cut::{parse_crop, parse_start};
use crate::companion::dataset::Dataset;
use crate::companion::embed::terminal;
use crate::companion::pack::{self, Carry, Reference};
use crate::companion::picture;
use crate::companion::train::{FALSE_ALARMS, MIN_SIDE, Settings, Trained, train};
use crate::companion::{BACKBONE, keys, report, shipped_plan, signed};
use crate::engine::Engine;
use crate::exit::{Kept, UsageError};
use crate::watch::view::MAX_REFERENCES;
use crate::watch::view::edges::Edges;
use anyhow::Result;
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Args)]
pub struct TrainArgs {
    /// Name of the model, as in [classification.custom.NAME]
    #[arg(long)]
    name: String,
    /// Directory with one folder of pictures for each state
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Secret key that signs the bundle: ajar.key, or the directory it is in
    #[arg(long, env = "AJAR_KEY")]
    key: PathBuf,
    /// The bundle to write; a better model that is there already stays
    #[arg(long, value_name = "FILE.ajb")]
    out: PathBuf,
    /// Replace what is at --out even if it is better, or no bundle
    #[arg(long)]
    replace: bool,
    /// Use at most this many pictures of each state
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_state: Option<u32>,
    /// Picks the pictures where there are more than --per-state
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Share of familiar pictures that may be taken for unseen
    #[arg(long, value_name = "SHARE", default_value_t = FALSE_ALARMS, value_parser = parse_share)]
    false_alarms: f64,
    /// Where a camera's pictures were cut, in fractions of its frame: a device warns if it looks elsewhere. May be given
    /// for several cameras
    #[arg(long, value_name = "CAMERA=X1,Y1,X2,Y2", value_parser = parse_camera_crop)]
    crop: Vec<(String, [f64; 4])>,
    /// A whole frame of a camera, as it shall look: a device says `moved` if it looks elsewhere. May be given for several
    /// cameras, and up to four times for each, such as by day and by night
    #[arg(long, value_name = "CAMERA=FRAME", value_parser = parse_reference)]
    reference: Vec<(String, PathBuf)>,
    /// Publish a state only once it has lasted; may be given for several states
    #[arg(long, value_name = "STATE=SECONDS", value_parser = parse_dwell)]
    dwell: Vec<(String, f32)>,
    /// Only devices of this board, id or CPU architecture may run it; may be given several times
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Leave the backbone out of the bundle: for devices that have it
    #[arg(long)]
    head_only: bool,
    /// Write what the training found: a page for FILE.html, data for FILE.json; may be given twice
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "want a number")?;
    if share > 0.0 && share < 0.5 { Ok(share) } else { Err("want a share above 0 and below 0.5".into()) }
}

fn parse_camera_crop(text: &str) -> Result<(String, [f64; 4]), String> {
    let (camera, crop) = text.split_once('=').ok_or("want CAMERA=x1,y1,x2,y2")?;
    check_model_name(camera)?;
    let crop = parse_crop(crop)?;
    let fractions = crop.iter().all(|edge| *edge <= 1.0);
    if fractions { Ok((camera.into(), crop)) } else { Err("want fractions of the frame, 0 to 1".into()) }
}

fn parse_reference(text: &str) -> Result<(String, PathBuf), String> {
    let (camera, file) = text.split_once('=').ok_or("want CAMERA=FRAME.jpg")?;
    check_model_name(camera)?;
    Ok((camera.into(), file.into()))
}

fn parse_dwell(text: &str) -> Result<(String, f32), String> {
    let (state, seconds) = text.rsplit_once('=').ok_or("want STATE=SECONDS")?;
    Ok((state.into(), parse_start(seconds)? as f32))
}

pub fn run(args: &TrainArgs) -> Result<()> {
    check_model_name(&args.name).map_err(|why| UsageError(format!("--name {why}")))?;
    // Everything the user could have got wrong, before the work.
    for file in std::iter::once(&args.out).chain(&args.report) {
        check_place(file)?;
    }
    for file in &args.report {
        report::kind(file)?;
    }
    let key = keys::load_secret(&args.key)?;
    let champion = champion(args)?;
    let dataset = Dataset::open(&args.dataset)?;
    let label = label(args, &dataset.states)?;
    let engine = Engine::new(shipped_plan()?);
    let cache = Cache::open(&crate::bundle::sha256_hex(BACKBONE));
    let settings = Settings {
        per_state: args.per_state.map(|n| n as usize),
        seed: args.seed,
        false_alarms: args.false_alarms,
        bar: terminal(),
    };
    for Reference { camera, thumbnail, .. } in &label.references {
        let mut edges = Edges::default();
        edges.take(thumbnail);
        if !edges.tells() {
            log::warn!("--reference {camera}: shows too little to tell whether the camera was moved");
        }
    }
    let mut trained = train(&dataset, &engine, &cache, &settings)?;
    cache.prune();
    trained.report.champion =
        champion.as_ref().map(|champion| compare(champion, &trained, &cache, &terminal())).transpose()?;
    for file in &args.report {
        pack::write_whole(file, &report::bytes(file, &args.name, &trained)?)?;
    }
    print(&trained)?;
    let comparison = trained.report.champion.as_ref();
    if comparison.is_some_and(Comparison::champion_stays) && !args.replace {
        let why = format!(
            "{} stays: the new model is not shown to be as good; --replace replaces it",
            args.out.display()
        );
        return Err(Kept(why).into());
    }
    let seq = pack::next_seq(&args.key, &key)?;
    let label = pack::Label { seq, ..label };
    let (manifest, parts) = pack::describe(label, &trained, BACKBONE, Carry::of(args.head_only));
    pack::write_whole(&args.out, &pack::sign(&manifest, &parts, &key)?)?;
    signed::remember(&manifest, &key)?;
    writeln!(stdout(), "{} (sequence number {seq}, {:.1} s)", args.out.display(), trained.report.seconds)?;
    Ok(())
}

/// What the user says of the bundle. Its sequence number comes later.
fn label(args: &TrainArgs, states: &[String]) -> Result<pack::Label, UsageError> {
    if let Some((state, _)) = args.dwell.iter().find(|(state, _)| !states.contains(state)) {
        return Err(UsageError(format!("--dwell: no state {state:?}, only {}", states.join(", "))));
    }
    let references: Vec<_> = args.reference.iter().map(reference).collect::<Result<_, _>>()?;
    let many = |camera: &str| references.iter().filter(|reference| reference.camera == camera).count();
    if let Some(Reference { camera, .. }) = references.iter().find(|r| many(&r.camera) > MAX_REFERENCES) {
        return Err(UsageError(format!("--reference: more than {MAX_REFERENCES} pictures of {camera}")));
    }
    if references.len() > MAX_PICTURES {
        return Err(UsageError(format!("--reference: more than {MAX_PICTURES} pictures")));
    }
    let crop = |(camera, crop): &(String, _)| {
        let reference = references.iter().find(|reference| reference.camera == *camera);
        let frame_aspect = reference.map_or(0.0, |reference| reference.frame_aspect);
        (camera.clone(), CropSpec { crop: *crop, frame_aspect })
    };
    Ok(pack::Label {
        name: args.name.clone(),
        seq: 0,
        targets: args.target.clone(),
        crops: args.crop.iter().map(crop).collect(),
        references,
        dwell: args.dwell.iter().cloned().collect(),
    })
}

fn reference((camera, file): &(String, PathBuf)) -> Result<Reference, UsageError> {
    let wrong = |why: String| UsageError(format!("--reference {}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let rgb = picture::decode(&bytes).map_err(wrong)?;
    let frame_aspect = f64::from(rgb.width()) / f64::from(rgb.height());
    Ok(Reference { camera: camera.clone(), frame_aspect, thumbnail: picture::thumbnail(&rgb) })
}

/// The model at `--out`, if there is one to beat.
fn champion(args: &TrainArgs) -> Result<Option<bundles::Loaded>> {
    if !args.out.exists() {
        return Ok(None);
    }
    match bundles::load(BundleFile { path: &args.out, trusted_keys: None }) {
        Ok(champion) if champion.model.manifest.model == args.name => Ok(Some(champion)),
        _ if args.replace => Ok(None),
        Ok(champion) => {
            let name = &champion.model.manifest.model;
            let why = format!(
                "{}: holds the model {name:?}; choose another --out, or --replace",
                args.out.display()
            );
            Err(UsageError(why).into())
        }
        Err(why) => {
            let path = args.out.display();
            Err(UsageError(format!("{path}: is no bundle to compare with ({why:#}); --replace replaces it"))
                .into())
        }
    }
}

fn print(trained: &Trained) -> Result<()> {
    let report = &trained.report;
    let mut out = stdout().lock();
    for (state, count) in report.states.iter().zip(&report.pictures) {
        writeln!(out, "{state}: {count} pictures")?;
    }
    for bad in &report.quarantined {
        writeln!(out, "left out: {} ({})", bad.path.display(), bad.why)?;
    }
    if report.near_duplicates > 0 {
        writeln!(
            out,
            "nearly the same as another, and counted with it: {} pictures",
            report.near_duplicates
        )?;
    }
    if let Some(first) = report.small.first() {
        let (n, path) = (report.small.len(), first.display());
        writeln!(
            out,
            "small: {n} of the pictures with less than {MIN_SIDE} pixels a side ({path}); a closer crop tells more"
        )?;
    }
    match &report.cross_validation {
        Some(cv) => writeln!(out, "cross-validated in {} folds, {}", cv.folds, cv.evaluation.text())?,
        None => writeln!(out, "not cross-validated: at least two pictures of each state are needed")?,
    }
    if report.unseen.is_none() {
        writeln!(out, "never `unseen`: too few pictures to tell how far is too far")?;
    }
    writeln!(out)?;
    for line in &report.verdict.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    if let Some(comparison) = &report.champion {
        writeln!(out, "{}", comparison.text())?;
    }
    Ok(())
}
