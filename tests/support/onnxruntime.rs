//! ONNX Runtime, from PyPI, and the pixels it needs to see what the engine sees.
#![allow(dead_code)]

use ajar::watch::input::{INPUT_CHANNELS, Input};
use ajar::watch::quantise::code;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::{fs, iter};

const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnxruntime/run");
/// Its exit code where ONNX Runtime cannot be installed.
const NOT_INSTALLED: i32 = 2;
/// The first run installs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The model's outputs for each picture, by name. `None`, and says why, where ONNX Runtime cannot be installed.
/// `mode`: see `tests/onnxruntime/probabilities.py`.
pub fn run(model: &Path, mode: &str, pictures: &[Input]) -> Option<Vec<Value>> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let raw = model.with_extension("raw");
    fs::write(&raw, pictures.iter().flat_map(pixels).collect::<Vec<u8>>()).expect("raw pictures");
    let stdin = Stdio::from(fs::File::open(&raw).expect("raw pictures"));
    let output = Command::new(RUN).arg(model).arg(mode).stdin(stdin).output().expect("tests/onnxruntime/run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_INSTALLED) {
        println!("skipped: onnxruntime cannot be installed: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{stderr}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let values: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(values.len(), pictures.len());
    Some(values)
}

/// Pixels that have the engine's codes: red, green and blue. A code stands for one value or two, and every code that a
/// picture can have stands for one.
pub fn pixels(input: &Input) -> Vec<u8> {
    let values: [Vec<u8>; 3] = [0, 1, 2].map(|channel| {
        let value = |wanted: u8| (0..=255).find(|&value| code(channel, value) == wanted);
        (0..=255).map(|code| value(code).unwrap_or(0)).collect()
    });
    let of = |pixel: &[u8]| -> [u8; 3] {
        [0, 1, 2].map(|channel| {
            let value = values[channel][usize::from(pixel[channel])];
            assert_eq!(code(channel, value), pixel[channel], "a code that no pixel has");
            value
        })
    };
    input.codes.chunks_exact(INPUT_CHANNELS).flat_map(of).collect()
}

/// How far two runs of a model are apart.
#[derive(Debug, Default)]
pub struct Apart {
    pub pictures: usize,
    pub mean: f32,
    pub largest: f32,
    /// Pictures with the same most probable state.
    pub same: usize,
}

impl Apart {
    pub fn new(pairs: &[(Vec<f32>, Vec<f32>)]) -> Apart {
        let differences = |(a, b): &(Vec<f32>, Vec<f32>)| {
            assert_eq!(a.len(), b.len());
            iter::zip(a, b).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
        };
        let all: Vec<f32> = pairs.iter().flat_map(differences).collect();
        Apart {
            pictures: pairs.len(),
            mean: all.iter().sum::<f32>() / all.len() as f32,
            largest: all.iter().copied().fold(0.0, f32::max),
            same: pairs.iter().filter(|(a, b)| most_probable(a) == most_probable(b)).count(),
        }
    }
}

fn most_probable(probabilities: &[f32]) -> Option<usize> {
    (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]))
}

/// An output of the model as numbers.
pub fn numbers(value: &Value, output: &str) -> Vec<f32> {
    let values = value[output].as_array().unwrap_or_else(|| panic!("no {output} in {value}"));
    values.iter().map(|x| x.as_f64().expect("a number") as f32).collect()
}
