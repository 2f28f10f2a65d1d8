//! The engine on the shipped backbone: real pictures in, taps and features out.

#[path = "support/backbone.rs"]
mod backbone;
#[path = "engine/layers.rs"]
mod layers;

use ajar::allocations::{self, Counting};
use ajar::companion::shipped_plan;
use ajar::engine::executor::Executor;
use ajar::engine::features::Block;
use ajar::engine::kernels::{Kernels, Path};
use ajar::engine::plan::{Plan, PlanError};
use ajar::engine::tract::Tract;
use ajar::engine::{Engine, EngineError, Tap, lower};
use ajar::watch::input::Input;
use backbone::{FLOAT, INT8, clip_inputs, shared_inputs};
use proptest::prelude::*;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Every path that this CPU has.
fn kernels() -> Vec<Kernels> {
    Path::ALL.into_iter().filter_map(Kernels::new).collect()
}

fn executor(kernels: Kernels) -> Executor {
    Executor::new(Arc::new(shipped_plan().unwrap()), kernels)
}

/// Of vectors of unit length.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_path_gives_the_bytes_of_the_reference_on_random_layers(seed: u64) {
        let reference = Kernels::new(Path::Scalar).unwrap();
        for other in kernels() {
            let path = other.path();
            prop_assert_eq!(layers::pointwise(seed, &reference), layers::pointwise(seed, &other), "{}", path);
            prop_assert_eq!(layers::depthwise(seed, &reference), layers::depthwise(seed, &other), "{}", path);
            prop_assert_eq!(layers::add(seed, &reference), layers::add(seed, &other), "{}", path);
        }
    }
}

/// Taps and features of one run to each tap.
fn bytes(executor: &mut Executor, input: &Input) -> Vec<u8> {
    let mut bytes = Vec::new();
    executor.run(input, &[Block::Mid]);
    bytes.extend(executor.tap(Tap::Mid));
    let features = executor.run(input, &Block::ALL).gather(&Block::ALL);
    bytes.extend(executor.tap(Tap::Last));
    bytes.extend(features.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn every_path_gives_the_bytes_of_the_reference_on_real_pictures() {
    let mut inputs = clip_inputs(64);
    inputs.extend(shared_inputs(64));
    assert!(inputs.len() >= 50, "{} pictures", inputs.len());
    let mut executors: Vec<Executor> = kernels().into_iter().map(executor).collect();
    for (i, input) in inputs.iter().enumerate() {
        let all: Vec<Vec<u8>> = executors.iter_mut().map(|executor| bytes(executor, input)).collect();
        for (other, executor) in all.iter().zip(&executors) {
            assert!(*other == all[0], "picture {i}: {} differs", executor.path());
        }
    }
    let paths: Vec<&str> = executors.iter().map(|executor| executor.path().name()).collect();
    println!("{} pictures, equal bytes on {}", inputs.len(), paths.join(", "));
}

/// tract calculates the same file in float, where a sum beside a rounding boundary may fall to the other side,
/// and later layers carry that on. Moving a single value of the input by one step costs as much (.996 at `mid`,
/// .990 at `gap`, see benches/engine/README.md), so no tolerance can be tighter than that.
#[test]
fn the_result_is_that_of_tract_within_rounding() {
    let mut inputs = clip_inputs(24);
    inputs.extend(shared_inputs(32));
    let mut executor = executor(Kernels::best());
    let mut tract = Tract::load(INT8, Tap::Last).unwrap();
    let (mid, zero) =
        (shipped_plan().unwrap().tap(Tap::Mid).scale, shipped_plan().unwrap().tap(Tap::Mid).zero);
    let mut steps = Vec::new();
    let mut cosines = Block::ALL.map(|block| (block, Vec::new()));
    for input in &inputs {
        let reference = tract.run(input, &Block::ALL).unwrap().gather(&Block::ALL);
        let ours = executor.run(input, &Block::ALL).gather(&Block::ALL);
        let mut start = 0;
        for (block, cosines) in &mut cosines {
            let range = start..start + block.values();
            cosines.push(cosine(&ours[range.clone()], &reference[range]));
            start += block.values();
        }
        executor.run(input, &[Block::Mid]);
        let pairs = executor.tap(Tap::Mid).iter().zip(tract.tap(Tap::Mid));
        let code = |value: &f32| value / mid + f32::from(zero);
        steps.push(pairs.map(|(&ours, value)| (f32::from(ours) - code(value)).abs()).fold(0.0, f32::max));
    }
    let worst_steps = steps.iter().copied().fold(0.0, f32::max);
    println!("{} pictures; mid differs by at most {worst_steps:.0} steps", inputs.len());
    assert!(worst_steps < 8.5, "{worst_steps}");
    for (block, cosines) in &cosines {
        let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
        let worst = cosines.iter().copied().fold(1.0, f32::min);
        println!("{block:?}: cosine to tract mean {mean:.4}, worst {worst:.4}");
        let (least_mean, least) = match block {
            Block::Mid => (0.995, 0.99),
            Block::Gap => (0.985, 0.97),
            Block::P3 => (0.98, 0.965),
        };
        assert!(mean > least_mean && worst > least, "{block:?}: {mean}, {worst}");
    }
}

#[test]
fn int8_keeps_what_float_sees() {
    let mut int8 = Engine::new(shipped_plan().unwrap());
    let mut float = Tract::load(FLOAT, Tap::Last).unwrap();
    let inputs = clip_inputs(24);
    for (block, least_mean, least) in [(Block::Gap, 0.985, 0.97), (Block::Mid, 0.99, 0.98)] {
        let one = |input: &Input| {
            let float = float.run(input, &[block]).unwrap().gather(&[block]);
            cosine(int8.run(input, &[block]).unwrap().block(block), &float)
        };
        let cosines: Vec<f32> = inputs.iter().map(one).collect();
        let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
        let worst = cosines.iter().copied().fold(1.0, f32::min);
        println!("{block:?}: cosine int8 to float, mean {mean:.4}, worst {worst:.4} of {}", cosines.len());
        assert!(mean >= least_mean && worst >= least, "{block:?}: mean {mean}, worst {worst}");
    }
}

#[test]
fn stopping_at_mid_changes_nothing_of_it() {
    let mut executor = executor(Kernels::best());
    for input in clip_inputs(4) {
        let full = executor.run(&input, &Block::ALL).gather(&[Block::Mid]);
        assert_eq!(executor.run(&input, &[Block::Mid]).block(Block::Mid), full);
    }
}

#[test]
fn a_run_allocates_nothing_in_a_small_arena() {
    let inputs = clip_inputs(2);
    for mut executor in kernels().into_iter().map(executor) {
        let path = executor.path();
        let allocations = allocations::count(|| {
            for input in &inputs {
                executor.run(input, &Block::ALL);
                executor.run(input, &[Block::Mid]);
            }
        });
        assert_eq!(allocations, 0, "{path}");
        assert!(executor.arena_bytes() as f64 <= 0.6 * f64::from(1 << 20), "{}", executor.arena_bytes());
    }
}

#[test]
fn the_shipped_plan_is_the_lowered_backbone() {
    let lowered = lower(INT8).unwrap();
    assert!(lowered == shipped_plan().unwrap().bytes(), "make plan writes it anew");
    assert!(lower(INT8).unwrap() == lowered, "lowering twice gives two plans");
}

#[test]
fn a_damaged_plan_is_refused() {
    let good = shipped_plan().unwrap().bytes().to_vec();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan");
    let open = |bytes: &[u8], source: &[u8; 32]| {
        std::fs::write(&path, bytes).unwrap();
        Plan::open(&path, source)
    };
    let source = *shipped_plan().unwrap().source();
    assert!(open(&good, &source).is_ok());
    assert!(matches!(open(&good, &[0; 32]), Err(PlanError::Source)));
    // Every byte of the header and the steps, and some of the rest.
    for at in (0..6000).chain((6000..good.len()).step_by(9973)) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(Plan::from_bytes(&bad).is_err(), "byte {at}");
    }
    for length in [0, 1, 7, 8, 127, 128, 5000, good.len() - 1] {
        assert!(open(&good[..length], &source).is_err(), "length {length}");
    }
    let mut other = good.clone();
    other[8] += 1;
    assert!(matches!(open(&other, &source), Err(PlanError::Version(_))));
}

#[test]
fn what_cannot_be_lowered_names_its_layer_and_runs_on_tract() {
    let Err(EngineError::Lower(why)) = lower(FLOAT) else { panic!("a float backbone was lowered") };
    println!("{why}");
    let mut engine = Engine::of_onnx(FLOAT).unwrap();
    assert!(matches!(engine, Engine::Tract(_)));
    let input = &clip_inputs(1)[0];
    let norm: f32 = engine.run(input, &[Block::Gap]).unwrap().block(Block::Gap).iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-4);
}

#[test]
fn what_is_no_backbone_is_an_error() {
    for bytes in [&b""[..], b"not an ONNX file", &INT8[..INT8.len() / 2]] {
        assert!(matches!(Engine::of_onnx(bytes), Err(EngineError::Load(_))));
    }
}
