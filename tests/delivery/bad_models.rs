//! Models that are signed and well formed and must never be confirmed: the one before serves throughout.

use crate::Device;
use crate::ajard::{LIMIT, events, wait_for_event};
use ajar::bundle::golden::Golden;
use ajar::bundle::manifest::{Manifest, Role};
use prost::Message;
use std::fs;
use std::path::Path;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// Something done to an unpacked bundle.
type Spoil = fn(&Path, &mut Manifest);

/// What is wrong, how, and what the device says.
const BAD: [(&str, Spoil, &str); 8] = [
    ("its numbers overflow", overflow, "E61: self-test: the probabilities are "),
    (
        "it says something else than it did when it was trained",
        other_golden,
        "E61: self-test: the probabilities of a golden crop",
    ),
    ("it takes too long", slow, "E62: self-test: an attempt takes "),
    (
        "it takes too much memory",
        |_, manifest| manifest.limits.rss_mib = 5,
        "E62: self-test: the model takes ",
    ),
    ("its backbone has another shape", other_shape, "E60: self-test: "),
    ("it crashes", |path, _| spoil_backbone(path, huge), "E63: self-test: crashed"),
    (
        "it asks for more memory than there is",
        |path, _| spoil_backbone(path, large),
        "E63: self-test: ran out of memory",
    ),
    ("it comes to no end", |path, _| spoil_backbone(path, endless), "E63: self-test: took too much CPU time"),
];

#[test]
fn bad_models_are_never_confirmed_and_the_old_one_serves_throughout() {
    let device = Device::start();
    let lamp = device.lamp();
    for (name, spoil, says) in BAD {
        let directory = device.scene.sandbox.path("lamp");
        device.repack("bad.ajb", |manifest| spoil(&directory, manifest));
        let _ = fs::remove_dir_all(&directory);
        let attempts = device.get("/v1/status")["watches"][0]["attempts"].as_u64().expect("a count");
        let refused = device.ajar("deploy bad.ajb").expect_error(1, says);
        println!("| {name} | {} |", refused.stderr.trim().trim_start_matches("error: "));
        let now = device.get("/v1/status")["watches"][0].clone();
        assert_eq!((&now["state"], &now["bundle"]), (&"on".into(), &lamp.active.clone().into()), "{name}");
        // It went on looking meanwhile.
        assert!(now["attempts"].as_u64().expect("a count") >= attempts, "{name}");
        assert_eq!(device.lamp(), lamp, "{name}");
    }
    let swaps = events(&device.scene).iter().filter(|event| event["event"] == "swap").count();
    assert_eq!(swaps, 0);
}

/// Passes the self-test, as whoever signed it left that out, and fails on every frame.
#[test]
fn a_model_that_fails_only_when_live_is_rolled_back() {
    let device = Device::start();
    let good = device.lamp().active.expect("a model");
    let directory = device.scene.sandbox.path("lamp");
    device.repack("bad.ajb", |manifest| {
        // Black, which the self-test looks at in place of golden crops, gives numbers; the lamp does not.
        manifest.parts.retain(|part| part.role != Role::Selftest);
        manifest.selftest = None;
        spoil_backbone(&directory, bright_overflow);
    });
    device.ajar("deploy bad.ajb").expect(0);
    let lamp = device.wait(|lamp| !lamp.bad.is_empty());
    println!("rolled back: {}", lamp.bad[0].why);
    assert_eq!((lamp.active, lamp.trial), (Some(good), None));
    assert_eq!(lamp.bad[0].why, "W64: gave no numbers");
    wait_for_event(&device.scene, LIMIT, |event| {
        event["event"] == "swap" && event["why"] == "W64: gave no numbers"
    });
}

fn overflow(directory: &Path, manifest: &mut Manifest) {
    let path = directory.join(&manifest.part(Role::Head).expect("a head").name);
    let weights = fs::read(&path).expect("a head").len() / 4;
    // Finite, as it must be; their sum is not.
    fs::write(path, f32::MAX.to_le_bytes().repeat(weights)).expect("a head");
}

/// No numbers, unless all is black.
fn bright_overflow(graph: &mut GraphProto) {
    let input = graph.input[0].name.clone();
    [("above_black", 1.5), ("steep", 1e5)].into_iter().for_each(|(name, value)| float(graph, name, value));
    node_of(graph, "ReduceMean", &[&input], "brightness", vec![integer("keepdims", 0)]);
    node_of(graph, "Add", &["brightness", "above_black"], "shifted", vec![]);
    node_of(graph, "Relu", &["shifted"], "bright", vec![]);
    node_of(graph, "Mul", &["bright", "steep"], "brighter", vec![]);
    node_of(graph, "Exp", &["brighter"], "infinite", vec![]);
    add_sum(graph, "infinite");
}

fn other_golden(directory: &Path, manifest: &mut Manifest) {
    let path = directory.join(&manifest.part(Role::Selftest).expect("a self-test").name);
    let bytes = fs::read(&path).expect("a self-test");
    let mut golden = Golden::read_all(&bytes, manifest.states.len());
    golden.iter_mut().for_each(|golden| golden.expected.reverse());
    fs::write(path, golden.iter().flat_map(Golden::to_bytes).collect::<Vec<u8>>()).expect("a self-test");
}

fn slow(directory: &Path, _: &mut Manifest) {
    spoil_backbone(directory, |graph| multiply(graph, 3000, 6));
}

fn other_shape(directory: &Path, _: &mut Manifest) {
    spoil_backbone(directory, |graph| {
        let node = graph.node.iter_mut().find(|node| node.output.contains(&"mid".to_string())).expect("mid");
        node.output = vec!["mid_before".into()];
        // Two of the rows are gone.
        constant(graph, "from", &[0]);
        constant(graph, "to", &[6]);
        constant(graph, "axis", &[2]);
        node_of(graph, "Slice", &["mid_before", "from", "to", "axis"], "mid", vec![]);
    });
}

fn huge(graph: &mut GraphProto) {
    filled(graph, &[1 << 61]);
}

fn large(graph: &mut GraphProto) {
    filled(graph, &[1 << 16, 1 << 20]);
}

fn endless(graph: &mut GraphProto) {
    multiply(graph, 4000, 400);
}

/// Changes the backbone of an unpacked bundle.
fn spoil_backbone(directory: &Path, spoil: impl FnOnce(&mut GraphProto)) {
    let path = directory.join("mobilenetv2-128-int8.onnx");
    let mut model = ModelProto::decode(&fs::read(&path).expect("a backbone")[..]).expect("ONNX");
    spoil(model.graph.as_mut().expect("a graph"));
    fs::write(path, model.encode_to_vec()).expect("a backbone");
}

/// Adds to `mid` next to nothing, which takes a tensor of this shape to work out.
fn filled(graph: &mut GraphProto, shape: &[i64]) {
    constant(graph, "shape", shape);
    node_of(graph, "ConstantOfShape", &["shape"], "filling", vec![]);
    node_of(graph, "Cast", &["filling"], "filled", vec![integer("to", DataType::Float as i64)]);
    add_sum(graph, "filled");
}

/// Adds to `mid` next to nothing, which takes `times` products of matrices with `side` rows to work out.
fn multiply(graph: &mut GraphProto, side: i64, times: usize) {
    constant(graph, "side", &[side, side]);
    constant(graph, "all", &[-1]);
    constant(graph, "first", &[0]);
    let input = graph.input[0].name.clone();
    node_of(graph, "Reshape", &[&input, "all"], "flat", vec![]);
    node_of(graph, "Gather", &["flat", "first"], "one", vec![]);
    node_of(graph, "Expand", &["one", "side"], "product0", vec![]);
    for i in 0..times {
        let (from, to) = (format!("product{i}"), format!("product{}", i + 1));
        node_of(graph, "MatMul", &[&from, "product0"], &to, vec![]);
    }
    add_sum(graph, &format!("product{times}"));
}

fn add_sum(graph: &mut GraphProto, tensor: &str) {
    let node = graph.node.iter_mut().find(|node| node.output.contains(&"mid".to_string())).expect("mid");
    node.output = vec!["mid_before".into()];
    node_of(graph, "ReduceMean", &[tensor], "mean", vec![integer("keepdims", 0)]);
    // Not zero: the product with that need not be worked out.
    float(graph, "tiny", 1e-30);
    node_of(graph, "Mul", &["mean", "tiny"], "nothing", vec![]);
    node_of(graph, "Add", &["mid_before", "nothing"], "mid", vec![]);
    // Nodes come in the order that they run in.
    let behind: Vec<NodeProto> = {
        let at = graph.node.iter().position(|node| node.output == ["mid_before"]).expect("mid");
        let added = graph.node.iter().position(|node| node.name.starts_with("bad_")).expect("what was added");
        let tail = graph.node.split_off(added);
        let rest = graph.node.split_off(at + 1);
        tail.into_iter().chain(rest).collect()
    };
    graph.node.extend(behind);
}

fn constant(graph: &mut GraphProto, name: &str, values: &[i64]) {
    graph.initializer.push(TensorProto {
        name: name.into(),
        data_type: DataType::Int64.into(),
        dims: vec![values.len() as i64],
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    });
}

fn float(graph: &mut GraphProto, name: &str, value: f32) {
    graph.initializer.push(TensorProto {
        name: name.into(),
        data_type: DataType::Float.into(),
        raw_data: value.to_le_bytes().to_vec(),
        ..TensorProto::default()
    });
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int.into(), i, ..AttributeProto::default() }
}

fn node_of(graph: &mut GraphProto, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
    graph.node.push(NodeProto {
        name: format!("bad_{output}"),
        op_type: op.into(),
        input: inputs.iter().map(|input| input.to_string()).collect(),
        output: vec![output.into()],
        attribute,
        ..NodeProto::default()
    });
}
