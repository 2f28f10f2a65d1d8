//! `ajar export`: the file that other programs run says what `ajar` says.

use crate::cli::Sandbox;
use crate::fixture::fixture;
use crate::onnxruntime::{self, Apart, numbers};
use crate::pictures::{Gate, encode, gate};
use ajar::bundle::manifest::{HeadSpec, Manifest, Role, UnseenSpec};
use ajar::companion::dataset::pictures_below;
use ajar::companion::{BACKBONE, export, picture, shipped_plan};
use ajar::engine::Engine;
use ajar::engine::features::{Block, feature_len};
use ajar::engine::head::Head;
use ajar::engine::unseen::Unseen;
use ajar::model::Model;
use ajar::watch::decision::Classification;
use ajar::watch::input::Input;
use image::ImageFormat;
use prost::Message;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::iter::zip;
use std::path::{Path, PathBuf};
use tract_onnx::pb::{ModelProto, ValueInfoProto};
use tract_onnx::prelude::*;

const FLOAT: &[u8] = include_bytes!("../../models/mobilenetv2-128.onnx");
const EXPORT: &str = "export --bundle gate.ajb --onnx gate.onnx";
/// Where the codes are the same, all that differs is the order of f32 sums in the head: measured 1.9e-6 at most in ONNX
/// Runtime, 5.2e-6 in tract. One code that differs gives 1e-2.
const PROBABILITY: f32 = 2e-5;
/// Measured 1.6e-6 at most; the engine's formula is coarser next to a mean.
const DISTANCE: f32 = 1e-4;

/// 64 pictures: evenly from the labelled sets of other cameras, where they are, else generated.
fn pictures(sandbox: &Sandbox) -> Vec<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sets");
    let files = pictures_below(&shared).unwrap_or_default();
    if files.len() >= 64 {
        let step = files.len() / 64;
        return files.into_iter().step_by(step).take(64).collect();
    }
    println!("generated pictures: no shared data");
    let write = |day: u32| {
        let state = if day.is_multiple_of(2) { Gate::Open } else { Gate::Closed };
        sandbox.write(&format!("pictures/{day}.png"), encode(&gate(state, day), ImageFormat::Png))
    };
    (0..64).map(write).collect()
}

fn input(path: &PathBuf) -> Input {
    picture::read(&fs::read(path).expect("a file")).expect("a picture")
}

/// What the exported file says, in ONNX Runtime, is what `ajar` says, however it is run.
fn check(path: &Path, inputs: &[Input], said: &[(Vec<f32>, Option<f32>)], tolerance: [f32; 2]) {
    for mode in ["default", "written"] {
        let Some(outputs) = onnxruntime::run(path, mode, inputs) else { return };
        let pairs =
            zip(said, &outputs).map(|((want, _), have)| (want.clone(), numbers(have, "probabilities")));
        let apart = Apart::new(&pairs.collect::<Vec<_>>());
        println!("{mode}, probabilities: {apart:?}");
        assert!(apart.largest < tolerance[0], "{mode}: {apart:?}");
        assert_eq!(apart.same, apart.pictures, "{mode}: {apart:?}");
        let pairs: Vec<_> = zip(said, &outputs)
            .filter_map(|((_, want), have)| Some((vec![(*want)?], numbers(have, "distance"))))
            .collect();
        assert_eq!(pairs.is_empty(), outputs[0].get("distance").is_none());
        if !pairs.is_empty() {
            let apart = Apart::new(&pairs);
            println!("{mode}, distance: {apart:?}");
            assert!(apart.largest < tolerance[1], "{mode}, distance: {apart:?}");
        }
    }
}

#[test]
fn onnx_runtime_says_what_classify_says() {
    let sandbox = fixture().sandbox();
    let output = sandbox.ajar_line(EXPORT).expect(0).stdout;
    assert!(output.starts_with("gate.onnx: model gate, "), "{output}");
    assert!(output.contains("\nimage: u8, 1x128x128x3, RGB -> probabilities of closed, open"), "{output}");
    let pictures = pictures(&sandbox);
    let words = ["classify", "--bundle", "gate.ajb", "--json"].map(Into::into).into_iter();
    let args: Vec<_> = words.chain(pictures.iter().map(|path| path.as_os_str().to_os_string())).collect();
    let stdout = sandbox.ajar(&args).expect(0).stdout;
    let said = |line: &str| {
        let said: Value = serde_json::from_str(line).expect("JSON");
        let of = |state: &String| said["probabilities"][state].as_f64().expect("a number") as f32;
        let distance = said["distance"].as_f64().map(|distance| distance as f32);
        (fixture().manifest.states.iter().map(of).collect(), distance)
    };
    let said: Vec<_> = stdout.lines().map(said).collect();
    let inputs: Vec<Input> = pictures.iter().map(input).collect();
    check(&sandbox.path("gate.onnx"), &inputs, &said, [PROBABILITY, DISTANCE]);
}

/// A model of four states with random weights: its probabilities lie near each other more often than those of a
/// trained one, so that they show every difference.
fn model(blocks: &[Block]) -> Model {
    let mut random = fastrand::Rng::with_seed(1);
    let mut numbers = |count: usize, size: f32| -> Vec<f32> {
        (0..count).map(|_| (random.f32() * 2.0 - 1.0) * size).collect()
    };
    let weights = numbers(4 * feature_len(blocks), 3.0);
    let head = Head::new(blocks.to_vec(), 1.25, weights, numbers(4, 0.5)).expect("a head");
    let means = numbers(4 * Unseen::BLOCK.values(), 0.03);
    let unseen = blocks.contains(&Unseen::BLOCK).then(|| Unseen::new(means, 0.7).expect("means"));
    let manifest = Manifest {
        states: ["a", "b", "c", "\"d\", e"].map(String::from).to_vec(),
        head: HeadSpec { blocks: blocks.to_vec(), temperature: 1.25 },
        unseen: unseen.as_ref().map(|_| UnseenSpec { limit: 0.7, false_alarms: 0.01 }),
        ..fixture().manifest.clone()
    };
    let means = unseen.map(|unseen| unseen.to_bytes());
    Model::new(manifest, &head.to_bytes(), means.as_deref()).expect("a model")
}

fn said(Classification { probabilities, distance }: Classification) -> (Vec<f32>, Option<f32>) {
    (probabilities.to_vec(), distance)
}

const CHOICES: [&[Block]; 4] =
    [&[Block::Mid], &[Block::P3, Block::Mid], &[Block::Gap, Block::P3, Block::Mid], &[Block::Gap]];

#[test]
fn every_choice_of_blocks_is_exact() {
    let sandbox = Sandbox::new();
    let inputs: Vec<Input> = pictures(&sandbox).iter().map(input).collect();
    let mut engine = Engine::new(shipped_plan().expect("a plan"));
    for blocks in CHOICES {
        println!("{blocks:?}");
        let model = model(blocks);
        let path = sandbox.write("model.onnx", export::onnx(&model, BACKBONE).expect("an ONNX file"));
        let mut classify = |input| said(model.classify(&engine.run(input, blocks).expect("features")));
        let said: Vec<_> = inputs.iter().map(&mut classify).collect();
        check(&path, &inputs, &said, [PROBABILITY, DISTANCE]);
    }
}

/// tract is another runtime, and always here.
#[test]
fn tract_runs_it_too() {
    let sandbox = Sandbox::new();
    let inputs: Vec<Input> = pictures(&sandbox).iter().step_by(16).map(input).collect();
    let mut engine = Engine::new(shipped_plan().expect("a plan"));
    let blocks = [Block::P3, Block::Mid];
    let model = model(&blocks);
    let file = export::onnx(&model, BACKBONE).expect("an ONNX file");
    let load =
        || -> TractResult<TypedModel> { tract_onnx::onnx().model_for_read(&mut &file[..])?.into_optimized() };
    let runnable = load().and_then(|model| model.into_runnable()).expect("a model that runs");
    for input in &inputs {
        let (probabilities, distance) = said(model.classify(&engine.run(input, &blocks).expect("features")));
        let image = Tensor::from_shape(&[1, 128, 128, 3], &onnxruntime::pixels(input)).expect("a picture");
        let outputs = runnable.run(tvec!(image.into())).expect("a run");
        let numbers = |i: usize| {
            outputs[i].try_as_plain_ram().expect("a tensor").as_slice::<f32>().expect("numbers").to_vec()
        };
        let pairs = [(probabilities, numbers(0)), (vec![distance.expect("a distance")], numbers(1))];
        let apart = pairs.map(|pair| Apart::new(&[pair]));
        println!("{apart:?}");
        assert!(apart[0].largest < PROBABILITY && apart[1].largest < DISTANCE, "{apart:?}");
    }
}

/// A backbone that is not quantised stays as it is written.
#[test]
fn a_backbone_in_float_is_exported_too() {
    let sandbox = Sandbox::new();
    let inputs: Vec<Input> = pictures(&sandbox).iter().step_by(8).map(input).collect();
    let blocks = [Block::P3, Block::Mid];
    let model = model(&blocks);
    let path = sandbox.write("model.onnx", export::onnx(&model, FLOAT).expect("an ONNX file"));
    let mut engine = Engine::of_onnx(FLOAT).expect("an engine");
    let mut classify = |input| said(model.classify(&engine.run(input, &blocks).expect("features")));
    let said: Vec<_> = inputs.iter().map(&mut classify).collect();
    // The engine's picture is quantised, the pixels here are not: half a code apart at most.
    check(&path, &inputs, &said, [0.2, 0.2]);
}

/// What a reader of the file finds, without running it.
#[test]
fn the_file_describes_itself() {
    // Convolutions: all, or up to block 13.
    for (blocks, convolutions) in zip(CHOICES, [39, 52, 52, 52]) {
        let model = model(blocks);
        let file = ModelProto::decode(&*export::onnx(&model, BACKBONE).expect("an ONNX file")).expect("ONNX");
        assert_eq!(file.opset_import.iter().map(|set| set.version).collect::<Vec<_>>(), [13]);
        assert_eq!((file.ir_version, &*file.producer_name), (8, "ajar"));
        assert!(file.doc_string.contains("MIT"), "whose weights they are: {}", file.doc_string);
        let properties: HashMap<_, _> =
            file.metadata_props.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(properties["model"], "gate");
        assert_eq!(properties["states"], json!(["a", "b", "c", "\"d\", e"]).to_string());
        assert_eq!(properties["threshold"], model.manifest.decision.threshold.to_string());
        assert_eq!(properties["ajar"], env!("CARGO_PKG_VERSION"));
        let graph = file.graph.expect("a graph");
        let names = |values: &[ValueInfoProto]| values.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&graph.input), ["image"]);
        let outputs = ["probabilities", "distance"];
        assert_eq!(names(&graph.output), outputs[..if model.unseen.is_some() { 2 } else { 1 }]);
        let count = graph.node.iter().filter(|node| node.op_type == "Conv").count();
        assert_eq!(count, convolutions, "{blocks:?}");
        // Every name is given once, before it is used, and used.
        let mut given: HashSet<String> = names(&graph.input).into_iter().collect();
        let mut used: HashSet<String> = names(&graph.output).into_iter().collect();
        for tensor in &graph.initializer {
            assert!(given.insert(tensor.name.clone()), "{} twice", tensor.name);
        }
        let mut nodes = HashSet::new();
        for node in &graph.node {
            assert!(nodes.insert(&node.name), "{} twice", node.name);
            assert!(node.input.iter().all(|name| given.contains(name)), "{node:?}");
            assert!(node.output.iter().all(|name| given.insert(name.clone())), "{node:?}");
            used.extend(node.input.iter().cloned());
        }
        assert_eq!(given.difference(&used).count(), 0, "unused");
    }
}

#[test]
fn the_same_bundle_gives_the_same_bytes_with_and_without_its_backbone() {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line(EXPORT).expect(0);
    sandbox.write("gate.ajb", fixture().head_only(fixture().manifest.seq));
    sandbox.ajar_line("export --bundle gate.ajb --onnx again.onnx").expect(0);
    let read = |name: &str| fs::read(sandbox.path(name)).expect("an ONNX file");
    assert!(read("gate.onnx") == read("again.onnx"));
}

#[test]
fn a_bundle_without_its_backbone_is_refused_if_no_one_has_that() {
    let sandbox = fixture().sandbox();
    let mut manifest = fixture().manifest.clone();
    manifest.parts.retain(|part| part.role != Role::Backbone);
    manifest.backbone.sha256 = "0".repeat(64);
    let text = toml::to_string(&manifest).expect("TOML");
    let body = fixture().parts[..manifest.parts.len()].concat();
    sandbox.write("gate.ajb", fixture().signed(text.as_bytes(), &body, &manifest));
    sandbox.ajar_line(EXPORT).expect_error(1, "E33: the bundle carries no backbone");
    assert!(!sandbox.path("gate.onnx").exists());
}

#[test]
fn a_backbone_that_cannot_be_exported_is_named() {
    let why = |backbone: &[u8]| match export::onnx(&model(&[Block::Mid]), backbone) {
        Ok(_) => panic!("exported"),
        Err(why) => format!("{why:#}"),
    };
    let changed = |change: fn(&mut ModelProto)| {
        let mut file = ModelProto::decode(BACKBONE).expect("ONNX");
        change(&mut file);
        why(&file.encode_to_vec())
    };
    assert!(why(b"not an ONNX file").contains("is no ONNX file"));
    assert!(why(b"").contains("in opset 1 of ONNX"));
    assert!(changed(|file| file.opset_import[0].version = 12).contains("in opset 12 of ONNX; 13 or later"));
    assert!(changed(|file| file.graph = None).contains("has no graph"));
    assert!(changed(|file| file.graph.as_mut().unwrap().output.clear()).contains("no output mid of f32"));
    assert!(changed(|file| file.graph.as_mut().unwrap().input.clear()).contains("1 x 3 x 128 x 128"));
    assert!(
        changed(|file| file.graph.as_mut().unwrap().node[9].name = "ajar_x".into()).contains("\"ajar_x\"")
    );
}

#[test]
fn mistakes_are_named_before_the_work() {
    let sandbox = fixture().sandbox();
    fs::create_dir(sandbox.path("there")).expect("a directory");
    let cases = [
        ("--bundle none.ajb --onnx gate.onnx", "none.ajb: no such file"),
        ("--bundle none.ajb --onnx there", "there: cannot be written: want a file in an existing directory"),
        ("--bundle none.ajb --onnx no/gate.onnx", "no/gate.onnx: cannot be written"),
        ("--bundle gate.ajb --onnx ./gate.ajb", "gate.ajb: is the bundle itself"),
        ("--bundle gate.ajb", "--onnx <OUT.onnx>"),
    ];
    for (line, says) in cases {
        sandbox.ajar_line(&format!("export {line}")).expect_error(2, says);
    }
    sandbox.write("text.ajb", "not a bundle");
    sandbox.ajar_line("export --bundle text.ajb --onnx gate.onnx").expect_error(1, "E1");
    assert!(!sandbox.path("gate.onnx").exists());
    assert!(fs::read(sandbox.path("gate.ajb")).expect("the bundle") == fixture().bundle);
    // What is there is replaced.
    sandbox.write("gate.onnx", "an older one");
    sandbox.ajar_line(EXPORT).expect(0);
    assert!(fs::metadata(sandbox.path("gate.onnx")).expect("a file").len() > 1_000_000);
}
