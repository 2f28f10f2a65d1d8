//! The shipped backbone, and real pictures for it.
#![allow(dead_code)]

use ajar::board::Board;
use ajar::camera::{Capture, Pacing, Reader, Source};
use ajar::companion::picture;
use ajar::config::Codec;
use ajar::watch::crop::{CropBuffer, Region};
use ajar::watch::input::Input;
use embassy_time::Instant;
use std::path::{Path, PathBuf};

pub const INT8: &[u8] = include_bytes!("../../models/mobilenetv2-128-int8.onnx");
pub const FLOAT: &[u8] = include_bytes!("../../models/mobilenetv2-128.onnx");
/// Debian's package opencv-doc; not among the pictures the backbone was calibrated on.
const CLIP: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// Crops of the clip's first frames, from all over the picture.
pub fn clip_inputs(count: usize) -> Vec<Input> {
    let decoder = Board::named("generic-x86-64").unwrap().decoder;
    let capture = Capture::build(&Source::parse(CLIP), Codec::H264, &decoder, Pacing::EveryFrame).unwrap();
    capture.play().expect("the clip; scripts/install-deps installs opencv-doc");
    let mut reader = Reader::default();
    let mut crop = Box::<CropBuffer>::default();
    let mut next = |i: usize| {
        let (x, y) = ((i % 4) as f32 * 0.2, (i / 4 % 3) as f32 * 0.25);
        let sample = capture.frames.pull_sample().expect("a frame");
        reader
            .read(&sample, Instant::MIN, |frame| {
                let region = Region::new([x, y, x + 0.4, y + 0.5]).unwrap();
                crop.copy_from(frame, region.pixels(frame.width, frame.height).unwrap());
            })
            .unwrap();
        let mut input = Input::default();
        crop.sample(&mut input);
        input
    };
    (0..count).map(&mut next).collect()
}

/// Labelled pictures of other cameras, evenly from all sets. Empty, and says so, where they are not there.
pub fn shared_inputs(count: usize) -> Vec<Input> {
    let root = Path::new("../shared/data/sets");
    let mut files = Vec::new();
    collect(root, &mut files);
    if files.is_empty() {
        println!("skipped: no shared data");
        return Vec::new();
    }
    files.sort();
    let step = files.len().div_ceil(count);
    let pictures = files.iter().step_by(step).map(|path| std::fs::read(path).expect("a picture"));
    pictures.filter_map(|bytes| picture::read(&bytes).ok()).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            files.push(path);
        }
    }
}
