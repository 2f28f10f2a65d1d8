//! The engine on the shipped backbone: real pictures in, taps out.

use ajar::board::Board;
use ajar::camera::{Capture, Pacing, Reader, Source};
use ajar::config::Codec;
use ajar::engine::features::{Block, feature_len, write_features};
use ajar::engine::{Engine, Tap, Taps};
use ajar::watch::crop::{CropBuffer, Input, Region};
use embassy_time::Instant;

const INT8: &[u8] = include_bytes!("../models/mobilenetv2-128-int8.onnx");
const FLOAT: &[u8] = include_bytes!("../models/mobilenetv2-128.onnx");
/// Debian's package opencv-doc; not among the pictures the backbone was calibrated on.
const CLIP: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// Crops of the clip's first frames, from all over the picture.
fn inputs(count: usize) -> Vec<Input> {
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

fn features(engine: &mut Engine, input: &Input, block: Block) -> Vec<f32> {
    let mut taps = Taps::default();
    engine.run(input, &mut taps).unwrap();
    let mut out = vec![0.0; feature_len(&[block])];
    write_features(&[block], &taps, &mut out);
    out
}

/// Of vectors of unit length.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn int8_keeps_what_float_sees() {
    let mut engines = [INT8, FLOAT].map(|onnx| Engine::load(onnx, Tap::Last).unwrap());
    let inputs = inputs(24);
    for (block, least_mean, least) in [(Block::Gap, 0.985, 0.97), (Block::Mid, 0.99, 0.98)] {
        let cosines: Vec<f32> = inputs
            .iter()
            .map(|input| {
                let [int8, float] = engines.each_mut().map(|engine| features(engine, input, block));
                cosine(&int8, &float)
            })
            .collect();
        let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
        let worst = cosines.iter().copied().fold(1.0, f32::min);
        println!("{block:?}: cosine int8 to float, mean {mean:.4}, worst {worst:.4} of {}", cosines.len());
        assert!(mean >= least_mean && worst >= least, "{block:?}: mean {mean}, worst {worst}");
    }
}

#[test]
fn stopping_at_mid_changes_nothing_of_it() {
    let mut full = Engine::load(INT8, Tap::Last).unwrap();
    let mut early = Engine::load(INT8, Tap::Mid).unwrap();
    for input in inputs(4) {
        assert_eq!(features(&mut full, &input, Block::Mid), features(&mut early, &input, Block::Mid));
    }
}

#[test]
fn what_is_no_backbone_is_an_error() {
    for bytes in [&b""[..], b"not an ONNX file", &INT8[..INT8.len() / 2]] {
        assert!(Engine::load(bytes, Tap::Last).is_err());
    }
}
