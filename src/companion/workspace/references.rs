//! What the cameras of a model shall look at: some of its whole frames, from which a device tells that a camera was moved.

use super::ModelFolder;
use super::pictures::Picture;
use super::training::Basis;
use crate::bundle::reference::MAX_PICTURES;
use crate::companion::moment::Moment;
use crate::companion::pack::Reference;
use crate::companion::picture;
use crate::watch::view::MAX_REFERENCES;
use crate::watch::view::edges::Edges;
use std::fs;

const DAY: Moment = 24 * 3600;

impl ModelFolder {
    /// Frames of each camera, evenly over the hours of the day: by day and by infrared a scene has other edges. Those that
    /// show too few, as in the dark, are left out.
    pub(super) fn references(&self, Basis { file, pictures, .. }: &Basis) -> Vec<Reference> {
        let each = (MAX_PICTURES / file.crops.len().max(1)).min(MAX_REFERENCES);
        let mut references = Vec::new();
        for camera in file.crops.keys() {
            let whole = |picture: &&Picture| picture.camera == *camera && picture.crop.is_none();
            let mut frames: Vec<&Picture> = pictures.iter().filter(whole).collect();
            frames.sort_by_key(|picture| picture.moment().map(|moment| moment.rem_euclid(DAY)));
            let count = each.min(frames.len());
            let chosen = (0..count).map(|i| frames[(2 * i + 1) * frames.len() / (2 * count)]);
            references.extend(chosen.filter_map(|frame| reference(frame, camera)));
        }
        references
    }
}

fn reference(frame: &Picture, camera: &str) -> Option<Reference> {
    let rgb = picture::decode(&fs::read(&frame.path).ok()?).ok()?;
    let thumbnail = picture::thumbnail(&rgb);
    let mut edges = Edges::default();
    edges.take(&thumbnail);
    let frame_aspect = f64::from(rgb.width()) / f64::from(rgb.height());
    edges.tells().then(|| Reference { camera: camera.into(), frame_aspect, thumbnail })
}
