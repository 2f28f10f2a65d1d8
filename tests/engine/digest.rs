//! What the kernels of this CPU calculate, as one digest for each path. Equal digests, here and on other CPUs, are
//! equal bytes.
//!
//! ```text
//! engine-digest PLAN INPUTS [--path PATH,PATH...] [--runs N]
//! ```
//!
//! INPUTS: the engine's inputs, one after the other. A digest is over the taps and features of each, and over
//! random layers. With `--runs` the first input runs N times instead, for counting instructions. Built without
//! tract and GStreamer, so that it can be built for another CPU in a minute and run in an emulator.

mod layers;

use ajar::engine::Tap;
use ajar::engine::executor::Executor;
use ajar::engine::features::Block;
use ajar::engine::kernels::{Kernels, Path};
use ajar::engine::plan::Plan;
use ajar::watch::input::Input;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Random layers of each kind.
const LAYERS: u64 = 60;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).unwrap_or_else(|| fail(&format!("{name} wants a value"))))
    };
    let (Some(plan), Some(inputs)) = (arguments.first(), arguments.get(1)) else {
        fail("usage: engine-digest PLAN INPUTS [--path PATH,PATH...] [--runs N]")
    };
    let read = |path: &str| std::fs::read(path).unwrap_or_else(|error| fail(&format!("{path}: {error}")));
    let parsed = Plan::from_bytes(&read(plan)).unwrap_or_else(|error| fail(&format!("{plan}: {error}")));
    let plan = Arc::new(parsed);
    let inputs: Vec<Input> = read(inputs).chunks_exact(size_of::<Input>()).map(input).collect();
    let Some(first) = inputs.first() else { fail("no input") };
    let paths: Vec<Path> = match option("--path") {
        Some(names) => {
            names.split(',').map(|name| name.parse().unwrap_or_else(|why: String| fail(&why))).collect()
        }
        None => Path::ALL.into_iter().filter(|path| path.available()).collect(),
    };
    for path in paths {
        let Some(kernels) = Kernels::new(path) else { fail(&format!("this CPU cannot run {path}")) };
        let mut executor = Executor::new(plan.clone(), kernels);
        match option("--runs").map(|runs| runs.parse::<u64>()) {
            Some(Ok(runs)) => {
                for _ in 0..runs {
                    executor.run(first, &Block::ALL);
                }
            }
            Some(Err(_)) => fail("--runs wants a number"),
            None => println!("{path} {}", digest(&mut executor, &kernels, &inputs)),
        }
    }
}

fn input(codes: &[u8]) -> Input {
    let mut input = Input::default();
    input.codes.copy_from_slice(codes);
    input
}

fn digest(executor: &mut Executor, kernels: &Kernels, inputs: &[Input]) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        executor.run(input, &[Block::Mid]);
        hash.update(executor.tap(Tap::Mid));
        let features = executor.run(input, &Block::ALL);
        for block in Block::ALL {
            features.block(block).iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        hash.update(executor.tap(Tap::Last));
    }
    for seed in 0..LAYERS {
        hash.update(layers::pointwise(seed, kernels));
        hash.update(layers::depthwise(seed, kernels));
        hash.update(layers::add(seed, kernels));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fail(why: &str) -> ! {
    eprintln!("engine-digest: {why}");
    std::process::exit(2)
}
