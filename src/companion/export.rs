//! Export: a model as one ONNX file, from a picture's pixels to the probability of each state.
//!
//! ```text
//! image -> normalised -> backbone -> taps -> blocks -> scores -> probabilities
//!                                              `-----> distance, where there is an unseen test
//! ```
//!
//! The backbone is the bundle's own, as far as the head needs it, with its arithmetic spelled out by `exact`.
//! The rest are standard operators that say what [`crate::engine::features`], `head` and `unseen` do.

use super::exact;
use super::onnx::{self, PREFIX, Part, integer, list, value};
use crate::bundle::manifest::InputSpec;
use crate::engine::Tap;
use crate::engine::features::{Block, feature_len};
use crate::engine::unseen::Unseen;
use crate::model::Model;
use crate::watch::crop::INPUT_SIDE;
use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use std::mem;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, StringStringEntryProto};

/// The file's input: a picture of [`INPUT_SIDE`] on a side, u8, rows of pixels of red, green and blue.
pub const IMAGE: &str = "image";
/// One a state, in the manifest's order.
pub const PROBABILITIES: &str = "probabilities";
/// As [`Unseen::distance`] gives it.
pub const DISTANCE: &str = "distance";
/// The oldest opset that has the added nodes as they are written here.
const OPSET: i64 = 13;

/// `backbone`: the ONNX file that the model was trained on.
pub fn onnx(model: &Model, backbone: &[u8]) -> Result<Vec<u8>> {
    let mut file = ModelProto::decode(backbone).context("the backbone is no ONNX file")?;
    let opset = onnx::opset(&file);
    ensure!(opset >= OPSET, "the backbone is written in opset {opset} of ONNX; {OPSET} or later is needed");
    let graph = file.graph.as_mut().context("the backbone has no graph")?;
    check_names(graph)?;
    let mut first = Part::default();
    normalise(&mut first, &model.manifest.input, &input(graph)?);
    cut(graph, model.head.blocks())?;
    let backbone = match exact::rewrite(graph) {
        Ok(part) => part,
        // tract runs such a backbone, as it is written.
        Err(why) => {
            log::warn!("the backbone's arithmetic stays as it is written: {why:#}");
            Part { nodes: mem::take(&mut graph.node), constants: mem::take(&mut graph.initializer) }
        }
    };
    let mut last = Part::default();
    model.head.blocks().iter().for_each(|&block| pool(&mut last, block));
    score(&mut last, model);
    let states = model.manifest.states.len();
    let of_states = format!("of {}", model.manifest.states.join(", "));
    let side = INPUT_SIDE;
    graph.input = vec![value(IMAGE, DataType::Uint8, &[1, side, side, 3], "RGB, rows of pixels")];
    graph.output = vec![value(PROBABILITIES, DataType::Float, &[1, states], &of_states)];
    if let Some(unseen) = &model.unseen {
        ensure!(model.head.blocks().contains(&Unseen::BLOCK), "the head lacks the block of the unseen test");
        measure(&mut last, unseen);
        graph.output.push(value(DISTANCE, DataType::Float, &[1], "above 1: unlike what it was trained on"));
    }
    graph.node = [first.nodes, backbone.nodes, last.nodes].concat();
    graph.initializer = [first.constants, backbone.constants, last.constants].concat();
    graph.name.clone_from(&model.manifest.model);
    describe(&mut file, model)?;
    Ok(file.encode_to_vec())
}

/// The added names must be new.
fn check_names(graph: &GraphProto) -> Result<()> {
    let taken = |name: &&String| {
        name.starts_with(PREFIX) || [IMAGE, PROBABILITIES, DISTANCE].contains(&name.as_str())
    };
    match onnx::names(graph).find(taken) {
        Some(name) => bail!("the backbone has a tensor or node named {name:?}, which the export needs"),
        None => Ok(()),
    }
}

/// The name of the backbone's input.
fn input(graph: &GraphProto) -> Result<String> {
    let want = value("", DataType::Float, &[1, 3, INPUT_SIDE, INPUT_SIDE], "");
    match &onnx::fed(graph)[..] {
        [input] if input.r#type == want.r#type => Ok(input.name.clone()),
        _ => bail!("the backbone does not have one input of f32, 1 x 3 x {INPUT_SIDE} x {INPUT_SIDE}"),
    }
}

/// Leaves of the backbone what `blocks` need.
fn cut(graph: &mut GraphProto, blocks: &[Block]) -> Result<()> {
    let taps = [Tap::Mid, Tap::Last].into_iter().filter(|&tap| blocks.iter().any(|block| block.tap() == tap));
    let needed = taps.map(|tap| {
        let (name, channels, side) = (tap.name(), tap.channels(), tap.side());
        let want = value(name, DataType::Float, &[1, channels, side, side], "");
        let mut outputs = graph.output.iter();
        let found = outputs.any(|output| output.name == name && output.r#type == want.r#type);
        ensure!(found, "the backbone has no output {name} of f32, 1 x {channels} x {side} x {side}");
        Ok(want)
    });
    graph.output = needed.collect::<Result<_>>()?;
    onnx::prune(graph);
    // Shapes of what is between are for readers; they follow from the rest.
    graph.value_info.clear();
    Ok(())
}

/// From pixels to the backbone's `input`: in f32 and in this order, as [`crate::watch::quantise::code`] does.
fn normalise(part: &mut Part, spec: &InputSpec, input: &str) {
    let full = part.floats("ajar_full", &[], &[255.0]);
    let mean = part.floats("ajar_mean", &[3], &spec.mean);
    let std = part.floats("ajar_std", &[3], &spec.std);
    let x = part.node("Cast", "ajar_values", &[IMAGE], vec![integer("to", DataType::Float as i64)]);
    let x = part.node("Div", "ajar_shares", &[&x, &full], vec![]);
    let x = part.node("Sub", "ajar_centred", &[&x, &mean], vec![]);
    let x = part.node("Div", "ajar_deviations", &[&x, &std], vec![]);
    part.node("Transpose", input, &[&x], vec![list("perm", &[0, 3, 1, 2])]);
}

/// The name of a block's values, 1 x [`Block::values`].
fn block_name(block: Block) -> &'static str {
    match block {
        Block::Gap => "ajar_block_gap",
        Block::P3 => "ajar_block_p3",
        Block::Mid => "ajar_block_mid",
    }
}

/// From a tap's map, in whatever unit, to a block's values, of unit length.
fn pool(part: &mut Part, block: Block) {
    let name = block_name(block);
    let windows = |stride: i64| vec![list("kernel_shape", &[2, 2]), list("strides", &[stride, stride])];
    let (op, attributes) = match block {
        Block::Gap => ("GlobalAveragePool", vec![]),
        Block::P3 => ("AveragePool", windows(1)),
        Block::Mid => ("AveragePool", windows(2)),
    };
    let map = part.node(op, &format!("{name}_map"), &[block.tap().name()], attributes);
    // A place's channels lie together.
    let places =
        part.node("Transpose", &format!("{name}_places"), &[&map], vec![list("perm", &[0, 2, 3, 1])]);
    let x = part.node("Flatten", &format!("{name}_means"), &[&places], vec![integer("axis", 1)]);
    let squared = sum_of_squares(part, name, &x, 1);
    let norm = part.node("Sqrt", &format!("{name}_norm"), &[&squared], vec![]);
    // Where there is nothing it stays zero instead of being divided by it.
    let least = part.floats(&format!("{name}_least"), &[], &[f32::MIN_POSITIVE]);
    let norm = part.node("Max", &format!("{name}_divisor"), &[&norm, &least], vec![]);
    part.node("Div", name, &[&x, &norm], vec![]);
}

/// Of each row of `x`. `keep`: 1 for a result of two dimensions, 0 for one.
fn sum_of_squares(part: &mut Part, name: &str, x: &str, keep: i64) -> String {
    let axis = part.integers(&format!("{name}_axis"), &[1]);
    let squares = part.node("Mul", &format!("{name}_squares"), &[x, x], vec![]);
    part.node("ReduceSum", &format!("{name}_sum"), &[&squares, &axis], vec![integer("keepdims", keep)])
}

/// From blocks to probabilities.
fn score(part: &mut Part, model: &Model) {
    let head = &model.head;
    let blocks: Vec<&str> = head.blocks().iter().map(|&block| block_name(block)).collect();
    let features = part.node("Concat", "ajar_features", &blocks, vec![integer("axis", 1)]);
    // The temperature divides scores, so it may as well divide what they are made of.
    let cooled = |values: &[f32]| values.iter().map(|x| x / head.temperature()).collect::<Vec<f32>>();
    let states = head.bias().len();
    let weights = part.floats("ajar_weights", &[states, feature_len(head.blocks())], &cooled(head.weights()));
    let bias = part.floats("ajar_bias", &[states], &cooled(head.bias()));
    let scores = part.node("Gemm", "ajar_scores", &[&features, &weights, &bias], vec![integer("transB", 1)]);
    part.node("Softmax", PROBABILITIES, &[&scores], vec![integer("axis", 1)]);
}

/// The unseen test.
fn measure(part: &mut Part, unseen: &Unseen) {
    let values = Unseen::BLOCK.values();
    let means = part.floats("ajar_means", &[unseen.means().len() / values, values], unseen.means());
    let limit = part.floats("ajar_limit", &[1], &[unseen.limit()]);
    let apart = part.node("Sub", "ajar_apart", &[block_name(Unseen::BLOCK), &means], vec![]);
    let squared = sum_of_squares(part, "ajar_apart", &apart, 0);
    // Of all states: without axes, as they are written differently before and after opset 18.
    let nearest = part.node("ReduceMin", "ajar_nearest", &[&squared], vec![integer("keepdims", 1)]);
    let distance = part.node("Sqrt", "ajar_distance", &[&nearest], vec![]);
    part.node("Div", DISTANCE, &[&distance, &limit], vec![]);
}

/// What the file says of itself.
fn describe(file: &mut ModelProto, model: &Model) -> Result<()> {
    let manifest = &model.manifest;
    file.producer_name = "ajar".into();
    file.producer_version = env!("CARGO_PKG_VERSION").into();
    file.model_version = i64::try_from(manifest.seq).unwrap_or(i64::MAX);
    // The backbone's own words say whose weights it has, so they stay.
    let what = format!("Ajar's model {}, which tells {}.", manifest.model, manifest.states.join(", "));
    file.doc_string = format!("{what}\n\nIts backbone: {}", file.doc_string);
    let properties = [
        ("ajar", env!("CARGO_PKG_VERSION").to_string()),
        ("model", manifest.model.clone()),
        ("states", serde_json::to_string(&manifest.states)?),
        ("threshold", manifest.decision.threshold.to_string()),
    ];
    file.metadata_props.retain(|entry| properties.iter().all(|(key, _)| *key != entry.key));
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
    file.metadata_props.extend(properties.map(entry));
    Ok(())
}
