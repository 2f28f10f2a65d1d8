//! ONNX graphs: what is in one, what is added to it, and what is left out.

use std::collections::HashSet;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// Names of added nodes and of what is between them begin so.
pub const PREFIX: &str = "ajar_";

/// Nodes and their constants, in the order they run in.
#[derive(Default)]
pub struct Part {
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
}

impl Part {
    /// Adds a node of one output; gives that back.
    pub fn node(
        &mut self,
        op: &str,
        output: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            name: format!("{PREFIX}{}_{}", op.to_lowercase(), output.trim_start_matches(PREFIX)),
            op_type: op.into(),
            input: inputs.iter().map(|input| input.to_string()).collect(),
            output: vec![output.into()],
            attribute: attributes,
            ..NodeProto::default()
        });
        output.into()
    }

    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, DataType::Float, dims, bytes)
    }

    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, DataType::Int64, &[values.len()], bytes)
    }

    fn constant(&mut self, name: &str, kind: DataType, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|&n| n as i64).collect();
        let tensor =
            TensorProto { name: name.into(), data_type: kind.into(), dims, raw_data, ..Default::default() };
        self.constants.push(tensor);
        name.into()
    }
}

pub fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int.into(), i, ..Default::default() }
}

pub fn list(name: &str, ints: &[i64]) -> AttributeProto {
    let (r#type, ints) = (AttributeType::Ints.into(), ints.to_vec());
    AttributeProto { name: name.into(), r#type, ints, ..Default::default() }
}

/// What an input or output is; `meaning` is for its reader.
pub fn value(name: &str, kind: DataType, dims: &[usize], meaning: &str) -> ValueInfoProto {
    let dim =
        |&n: &usize| Dimension { value: Some(dimension::Value::DimValue(n as i64)), ..Dimension::default() };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: kind.into(), shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), doc_string: meaning.into() }
}

/// Version of the standard operators that a file is written in.
pub fn opset(file: &ModelProto) -> i64 {
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    file.opset_import.iter().find(|set| standard(&set.domain)).map_or(1, |set| set.version)
}

/// The inputs that must be fed: old files list constants among them.
pub fn fed(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    graph.input.iter().filter(|input| !constant(&input.name)).collect()
}

/// Names of every tensor and node.
pub fn names(graph: &GraphProto) -> impl Iterator<Item = &String> {
    let of_nodes =
        graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output).chain([&node.name]));
    of_nodes.chain(graph.initializer.iter().map(|tensor| &tensor.name))
}

/// Leaves out what no output needs.
pub fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    // A node comes after all that it reads.
    while let Some(node) = graph.node.pop() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
}
