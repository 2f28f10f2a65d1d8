//! `ajar tune`: what motion makes of a clip.

use super::Crop;
use super::check_place;
use crate::camera::Source;
use crate::companion::cut::{parse_crop, parse_seconds, parse_start};
use crate::companion::tune::{Course, Tune};
use crate::companion::tune_page;
use crate::config::{Codec, motion};
use crate::exit::UsageError;
use crate::watch::gate::Reason;
use crate::watch::motion::{MotionSettings, Movement};
use anyhow::{Context, Result};
use clap::Args;
use embassy_time::Duration;
use std::io::{Write, stdout};
use std::path::PathBuf;

/// How long a source without an end is looked at.
const LIVE_SECONDS: f64 = 60.0;
/// Stretches of movement that are listed.
const LISTED: usize = 20;

#[derive(Args)]
pub struct TuneArgs {
    /// A video file, an rtsp:// URL, a V4L2 device or a GStreamer pipeline
    #[arg(value_name = "VIDEO_OR_URL")]
    source: String,
    /// The crop: x1,y1,x2,y2 in pixels of the source, or in fractions 0..1
    #[arg(long, value_name = "X1,Y1,X2,Y2", value_parser = parse_crop)]
    crop: Crop,
    /// The page to write: background, difference and decision in pictures, and all of it over time
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Start at this second of the source
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = parse_start)]
    from: f64,
    /// Stop after so many seconds; a file's end unless given, 60 seconds of other sources
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Option<f64>,
    /// Take a frame every so many seconds, as if only keyframes were decoded
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    every: Option<f64>,
    /// The watch's interval: it looks at least this often
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = parse_seconds)]
    interval: f64,
    /// What an RTSP camera sends
    #[arg(long, value_enum, default_value = "h264")]
    codec: Codec,
    /// Difference in luma, 1 to 255, from which a cell has changed
    #[arg(long, value_name = "LUMA", default_value_t = MotionSettings::DEFAULT.threshold)]
    threshold: u8,
    /// Share of the crop that must have changed
    #[arg(long, value_name = "SHARE", default_value_t = MotionSettings::DEFAULT.area)]
    area: f32,
    /// Share of the crop whose change is one of light or scene
    #[arg(long, value_name = "SHARE", default_value_t = MotionSettings::DEFAULT.lightning_threshold)]
    lightning_threshold: f32,
    /// Share of a frame that the background takes in, at five frames a second
    #[arg(long, value_name = "SHARE", default_value_t = MotionSettings::DEFAULT.frame_alpha)]
    frame_alpha: f32,
}

pub fn run(args: TuneArgs) -> Result<()> {
    let TuneArgs { source, crop, out, from, seconds, every, interval, codec, .. } = args;
    let TuneArgs { threshold, area, lightning_threshold, frame_alpha, .. } = args;
    let settings = MotionSettings { threshold, area, lightning_threshold, frame_alpha };
    motion::check(&settings).map_err(|why| UsageError(format!("--{}", why.replace('_', "-"))))?;
    if let Some(out) = &out {
        if !out.extension().is_some_and(|extension| extension == "html" || extension == "htm") {
            let why = format!("--out {}: want a name that ends in .html", out.display());
            return Err(UsageError(why).into());
        }
        check_place(out)?;
    }
    let parsed = Source::parse(&source);
    let live = !matches!(parsed, Source::File(_));
    let to = seconds.or(live.then_some(LIVE_SECONDS)).map(|seconds| from + seconds);
    let interval = Duration::from_millis((interval * 1e3) as u64);
    let tune = Tune { source, crop, codec, from, to, every, motion: settings, interval };
    let course = tune.run()?;
    let toml = toml(&settings, &course);
    print(&parsed.redacted(), &course, &settings, &toml)?;
    if let Some(out) = out {
        let name = match &parsed {
            Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            other => other.redacted(),
        };
        let page = tune_page::page(&name, &course, &settings, &toml);
        std::fs::write(&out, page).with_context(|| out.display().to_string())?;
        writeln!(stdout(), "\nIn pictures: {}", out.display())?;
    }
    Ok(())
}

fn print(name: &str, course: &Course, settings: &MotionSettings, toml: &str) -> Result<()> {
    let mut out = stdout().lock();
    let Course { size, grid, limit, stretches, nearest, moments, .. } = course;
    let seconds = course.seconds();
    writeln!(
        out,
        "{name}: {seconds:.1} s, {} frames; crop {} x {} in {} x {} cells, {limit} of which are motion",
        moments.len(),
        size.0,
        size.1,
        grid.0,
        grid.1
    )?;
    let moving = stretches.iter().fold(0.0, |sum, stretch| sum + stretch.to - stretch.from);
    writeln!(out, "movements {}, {moving:.1} s in all", stretches.len())?;
    for stretch in stretches.iter().take(LISTED) {
        let share = 100.0 * stretch.strongest.changed as f64 / course.cells() as f64;
        let jump =
            if stretch.strongest.movement == Movement::Jump { ", a jump of light or scene" } else { "" };
        writeln!(out, "  {:8.1} to {:.1} s: up to {share:.1} % of the crop{jump}", stretch.from, stretch.to)?;
    }
    if stretches.len() > LISTED {
        writeln!(out, "  and {} more", stretches.len() - LISTED)?;
    }
    if let Some(still) = nearest {
        let changed = still.moment.changed;
        writeln!(
            out,
            "still, nearest to motion: {changed} of {limit} cells at {:.1} s",
            still.moment.seconds
        )?;
    }
    let [start, motion, interval] =
        [Reason::Start, Reason::Motion, Reason::Interval].map(|why| course.looks(why));
    let total = start + motion + interval;
    writeln!(out, "looks {total}: start {start}, motion {motion}, interval {interval}")?;
    writeln!(out, "\nthreshold  movements  looks")?;
    for other in &course.others {
        let set = if other.threshold == settings.threshold { "  <- this one" } else { "" };
        writeln!(out, "{:9} {:10} {:6}{set}", other.threshold, other.stretches, other.looks)?;
    }
    write!(out, "\n{toml}")?;
    Ok(())
}

/// What to write into the configuration.
fn toml(settings: &MotionSettings, course: &Course) -> String {
    let MotionSettings { threshold, area, lightning_threshold, frame_alpha } = settings;
    let crop = course.region.edges().map(|edge| format!("{edge:.4}")).join(", ");
    format!(
        "[classification.custom.NAME.state_config.motion]\n\
         threshold = {threshold}\narea = {area:?}\nlightning_threshold = {lightning_threshold:?}\n\
         frame_alpha = {frame_alpha:?}\n\n\
         [classification.custom.NAME.state_config.cameras.CAMERA]\ncrop = [{crop}]\n"
    )
}
