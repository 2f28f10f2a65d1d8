//! Collecting: of everything that the sources have, the most different pictures become examples.

use super::Studio;
use super::calls::stills::problems;
use super::link::Extent;
use super::sources::{Source, Still};
use crate::companion::diverse::{Candidate, most_different};
use crate::companion::embed::start;
use crate::companion::workspace::ModelFolder;
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::names::picture_id;
use crate::companion::workspace::pictures::{Added, Picture};
use crate::companion::{picture, shipped_plan};
use crate::engine::Engine;
use crate::engine::unseen::Unseen;
use crate::exit::UsageError;
use crate::watch::input::Input;
use anyhow::Result;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::fs;

/// Examples that a person is asked about.
pub const EXAMPLES: usize = 24;
/// Pictures of a source that are looked at.
const CANDIDATES: usize = 240;
/// Framed differently, pictures would teach what the model does not see.
pub const OTHER_CROP: &str = "the device kept no more than its own crop there, and that is not the one drawn here. Give the device \
    this crop, or let it keep whole frames";

/// The sources that have a camera, in the order of the command line.
fn sources_of<'a>(studio: &'a Studio, camera: &str) -> impl Iterator<Item = &'a Source> {
    let has = move |source: &&Source| {
        source.cameras().is_ok_and(|cameras| cameras.iter().any(|known| known == camera))
    };
    studio.sources.iter().filter(has)
}

/// The first source that has a camera; devices come first.
pub fn source_of<'a>(studio: &'a Studio, camera: &str) -> Option<&'a Source> {
    sources_of(studio, camera).next()
}

/// Adds up to [`EXAMPLES`] pictures, evenly over the cameras that have a crop.
pub fn collect(studio: &Studio, model: &ModelFolder, bar: &ProgressBar) -> Result<Value> {
    let crops = model.file()?.crops;
    if crops.is_empty() {
        return Err(UsageError("no camera has a crop yet: draw one first".into()).into());
    }
    let mut problems = problems(studio);
    let (mut added, mut unreadable, mut elsewhere) = (0, 0, 0);
    for (done, (camera, crop)) in crops.iter().enumerate() {
        start(bar, 0, "looking for pictures");
        let mut stills = Vec::new();
        for source in sources_of(studio, camera) {
            match source.candidates(camera, &model.name, CANDIDATES) {
                Ok(some) => stills.extend(some),
                Err(why) => problems.push(format!("{}: {why:#}", source.name())),
            }
        }
        let all = stills.len();
        stills.retain(|still| still.extent.gives(crop));
        elsewhere += all - stills.len();
        let known = known(model, camera, crop)?;
        let mut ids = model.thrown_away()?;
        ids.extend(model.pictures()?.into_iter().map(|picture| picture.id));
        stills.retain(|still| !ids.contains(&picture_id(&still.bytes, still.moment)));
        start(bar, stills.len() as u64, "looking at pictures");
        let seen = see(&stills, crop, bar)?;
        unreadable += seen.iter().filter(|one| one.is_none()).count();
        let (places, candidates): (Vec<usize>, Vec<Candidate>) =
            seen.into_iter().enumerate().filter_map(|(i, one)| Some((i, one?))).unzip();
        // What one camera does not give is left to those that come after it.
        let share = (EXAMPLES - added).div_ceil(crops.len() - done);
        for i in most_different(&known, &candidates, share) {
            let kept = keep(model, camera, crop, &stills[places[i]])?;
            added += usize::from(matches!(kept, Added::New(_)));
        }
    }
    if elsewhere > 0 {
        problems.push(format!("{elsewhere} left out: {OTHER_CROP}"));
    }
    Ok(json!({ "added": added, "unreadable": unreadable, "problems": problems }))
}

/// Makes an example of a picture, whole or not.
pub fn keep(model: &ModelFolder, camera: &str, crop: &CropFile, still: &Still) -> Result<Added> {
    let Still { bytes, moment, extent } = still;
    match extent {
        Extent::Whole => model.add(camera, bytes, *moment),
        Extent::Crop(_) if extent.gives(crop) => model.add_crop(camera, crop, bytes, *moment),
        Extent::Crop(_) => Err(UsageError(OTHER_CROP.into()).into()),
    }
}

/// Each picture as a candidate; `None` for one that cannot be read.
fn see(stills: &[Still], crop: &CropFile, bar: &ProgressBar) -> Result<Vec<Option<Candidate>>> {
    let engine = Engine::new(shipped_plan()?);
    let one = |engine: &mut Engine, still: &Still| {
        let seen = candidate(engine, still, crop);
        bar.inc(1);
        seen
    };
    stills.par_iter().map_init(|| engine.clone(), one).collect()
}

fn candidate(engine: &mut Engine, still: &Still, crop: &CropFile) -> Result<Option<Candidate>> {
    let mut input = Input::default();
    if still.extent == Extent::Whole {
        let Ok(cut) = crop.cut(&still.bytes) else { return Ok(None) };
        cut.sample(&mut input);
    } else {
        let Ok(read) = picture::read(&still.bytes) else { return Ok(None) };
        input = read;
    }
    let features = engine.run(&input, &[Unseen::BLOCK])?.block(Unseen::BLOCK).to_vec();
    Ok(Some(Candidate { features, moment: still.moment }))
}

/// The pictures that the model has of a camera.
fn known(model: &ModelFolder, camera: &str, crop: &CropFile) -> Result<Vec<Candidate>> {
    let engine = Engine::new(shipped_plan()?);
    let one = |engine: &mut Engine, picture: &Picture| {
        // One that was deleted meanwhile is not known any more.
        let path = model.crop_of(picture, crop).ok()??;
        let features = features_of(engine, &fs::read(path).ok()?)?;
        Some(Candidate { features, moment: picture.moment() })
    };
    let mut pictures = model.pictures()?;
    pictures.retain(|picture| picture.camera == camera);
    Ok(pictures.par_iter().map_init(|| engine.clone(), one).flatten().collect())
}

/// What the engine sees of a picture's crop file.
pub fn features_of(engine: &mut Engine, file: &[u8]) -> Option<Vec<f32>> {
    let input = picture::read(file).ok()?;
    Some(engine.run(&input, &[Unseen::BLOCK]).ok()?.block(Unseen::BLOCK).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion::workspace::Workspace;
    use crate::companion::workspace::model::Definition;
    use image::{ImageFormat, RgbImage};
    use std::io::Cursor;

    #[test]
    fn a_crop_becomes_an_example_of_the_same_crop_only() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let states = ["open", "closed"].map(str::to_string).to_vec();
        let model = workspace.create("gate", Definition { title: String::new(), states }).unwrap();
        let crop = CropFile::new([0.1, 0.1, 0.5, 0.5], [640, 360]).unwrap();
        model.set_crop("drive", crop).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::new(64, 64).write_to(&mut bytes, ImageFormat::Png).unwrap();
        let bytes = bytes.into_inner();
        let of = |edges: Value| {
            let still = Still { bytes: bytes.clone(), moment: None, extent: Extent::told(false, &edges) };
            keep(&model, "drive", &crop, &still)
        };
        for other in [json!([0.1, 0.1, 0.5, 0.6]), Value::Null] {
            assert_eq!(of(other).unwrap_err().to_string(), OTHER_CROP);
            assert!(model.pictures().unwrap().is_empty());
        }
        let kept = of(json!([0.1, 0.1, 0.5, 0.5])).unwrap();
        assert_eq!(model.pictures().unwrap()[0].id, kept.id());
        // What was thrown away is not looked for again.
        model.delete(&[kept.id().to_string()]).unwrap();
        assert!(model.thrown_away().unwrap().contains(kept.id()));
    }
}
