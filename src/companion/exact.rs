//! A quantised backbone as a graph of whole numbers in f32, so that every runtime gives the engine's own codes.
//!
//! Between QuantizeLinear and DequantizeLinear an ONNX file leaves the order of roundings to who runs it; a value that
//! falls to the other side of one moves thousands after it (`models/README.md`). So each step
//!
//! ```text
//! DequantizeLinear(s) -> Conv or Add -> Clip, perhaps -> QuantizeLinear
//! ```
//!
//! becomes what [`crate::engine::lower`] makes of it, on codes less their zero point:
//!
//! ```text
//! Conv (of whole numbers below 2^24: exact in f32, in any order) -> Mul -> Clip -> Round
//! ```

use super::onnx::{PREFIX, Part, integer};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Whole numbers below this are exact in f32.
const EXACT: f64 = 16_777_216.0;
/// The bounds that no sum reaches.
const LEAST: &str = "ajar_least_sum";
const MOST: &str = "ajar_most_sum";

/// What takes the place of the graph's nodes and constants. Inputs and outputs have the names they had; an output
/// is not scaled: its values are steps from its zero point.
pub fn rewrite(graph: &GraphProto) -> Result<Part> {
    let producers =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |out| (out.as_str(), node)));
    let constants = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let mut rewriting = Rewriting {
        graph,
        producers: producers.collect(),
        constants: constants.collect(),
        activations: HashMap::new(),
        part: Part::default(),
    };
    rewriting.part.floats(LEAST, &[], &[-EXACT as f32]);
    rewriting.part.floats(MOST, &[], &[EXACT as f32]);
    for node in graph.node.iter().filter(|node| node.op_type == "QuantizeLinear") {
        rewriting.step(node).with_context(|| format!("{} {}", node.op_type, node.name))?;
    }
    for output in &graph.output {
        let made = rewriting.activations.values().any(|made| made.name == output.name);
        ensure!(made, "output {} is not quantized", output.name);
    }
    Ok(rewriting.part)
}

/// A tensor of codes less their zero point.
struct Activation<'a> {
    name: &'a str,
    scale: f32,
    zero: f32,
}

struct Rewriting<'a> {
    graph: &'a GraphProto,
    producers: HashMap<&'a str, &'a NodeProto>,
    constants: HashMap<&'a str, &'a TensorProto>,
    /// By the name of what QuantizeLinear gives.
    activations: HashMap<&'a str, Activation<'a>>,
    part: Part,
}

impl<'a> Rewriting<'a> {
    /// The step that ends in this QuantizeLinear.
    fn step(&mut self, quantize: &'a NodeProto) -> Result<()> {
        let ([from, scale, zero], [codes]) = (&quantize.input[..], &quantize.output[..]) else {
            bail!("it has no zero point")
        };
        let kind = self.constants.get(zero.as_str()).map(|tensor| tensor.data_type);
        ensure!(kind == Some(DataType::Uint8.into()), "its codes are not u8");
        let (scale, zero) = (self.scalar(scale)? as f32, self.scalar(zero)? as f32);
        let code = |value: f64| ((value as f32 / scale).round_ties_even() + zero).clamp(0.0, 255.0);
        let [mut low, mut high] = [0.0, 255.0];
        let mut from = from.as_str();
        if let Some(clip) = self.producers.get(from).filter(|node| node.op_type == "Clip") {
            let [input, bounds @ ..] = &clip.input[..] else { bail!("its Clip has no input") };
            let bound = |i: usize| bounds.get(i).filter(|name| !name.is_empty());
            low = bound(0).map(|name| self.scalar(name)).transpose()?.map_or(low, code);
            high = bound(1).map(|name| self.scalar(name)).transpose()?.map_or(high, code);
            from = input;
        }
        let name = self.name(codes)?;
        let steps = match self.producers.get(from).copied() {
            None => {
                let scale = self.part.floats(&format!("{PREFIX}{name}_scale"), &[], &[scale]);
                self.part.node("Div", &format!("{PREFIX}{name}_steps"), &[from, &scale], vec![])
            }
            Some(node) => match node.op_type.as_str() {
                "Conv" => self.convolution(node, name, scale),
                "Add" => self.addition(node, name, scale),
                _ => bail!("there is no step for {}", node.op_type),
            }
            .with_context(|| format!("{} {}", node.op_type, node.name))?,
        };
        let low = self.part.floats(&format!("{PREFIX}{name}_low"), &[], &[low - zero]);
        let high = self.part.floats(&format!("{PREFIX}{name}_high"), &[], &[high - zero]);
        let within = format!("{PREFIX}{name}_within");
        let within = self.part.node("Clip", &within, &[&steps, &low, &high], vec![]);
        self.part.node("Round", name, &[&within], vec![]);
        self.activations.insert(codes, Activation { name, scale, zero });
        Ok(())
    }

    /// What the codes' tensor is called once it is real: as the graph's output, if it is one.
    fn name(&self, codes: &str) -> Result<&'a str> {
        let reads = |node: &'a NodeProto| match (&node.input[..], &node.output[..]) {
            ([read, ..], [real]) if node.op_type == "DequantizeLinear" && read == codes => {
                Some(real.as_str())
            }
            _ => None,
        };
        let names = self.graph.node.iter().filter_map(reads);
        let is_output = |name: &&str| self.graph.output.iter().any(|output| output.name == *name);
        names.clone().find(is_output).or(names.clone().next()).context("no DequantizeLinear reads it")
    }

    /// The convolution's sums, in steps of the result.
    fn convolution(&mut self, node: &NodeProto, name: &str, scale: f32) -> Result<String> {
        let [input, weights, bias] = &node.input[..] else { bail!("it has no bias") };
        let Activation { name: input, scale: scale_in, zero } = *self.activation(input)?;
        let (weights, scales) = self.constant(weights)?;
        let (bias, bias_scales) = self.constant(bias)?;
        let name = format!("{PREFIX}{name}");
        let (sizes, mut biases) = (numbers(weights)?, numbers(bias)?);
        let channels = biases.len();
        ensure!(scales.len() == channels && bias_scales.len() == channels, "a channel lacks its scale");
        ensure!(sizes.len().is_multiple_of(channels), "a channel lacks weights");
        let mut multipliers = Vec::new();
        for (channel, weights) in sizes.chunks_exact(sizes.len() / channels).enumerate() {
            let sum_scale = f64::from(scale_in) * f64::from(scales[channel]);
            // Through f32, as the engine's lowering reads it.
            biases[channel] = (f64::from(biases[channel] as f32 * bias_scales[channel]) / sum_scale).round();
            let farthest = f64::from(zero.max(255.0 - zero));
            let largest = biases[channel].abs() + weights.iter().map(|w| w.abs() * farthest).sum::<f64>();
            ensure!(largest < EXACT, "its sums are too large to be exact in f32");
            multipliers.push((sum_scale / f64::from(scale)) as f32);
        }
        let biases: Vec<f32> = biases.into_iter().map(|bias| bias as f32).collect();
        let bias = self.part.floats(&format!("{name}_bias"), &[channels], &biases);
        let multiplier = self.part.floats(&format!("{name}_multiplier"), &[1, channels, 1, 1], &multipliers);
        self.part.constants.push(weights.clone());
        let to_float = vec![integer("to", DataType::Float as i64)];
        // Stored as the bytes they are: a quarter of the size.
        let weights = self.part.node("Cast", &format!("{name}_weights"), &[&weights.name], to_float);
        let inputs = [input, &weights, &bias];
        let sums = self.part.node("Conv", &format!("{name}_sums"), &inputs, node.attribute.clone());
        // Does nothing, but stands between Conv and Mul: an optimiser would make one of the two, of weights that are
        // no longer whole.
        let kept = self.part.node("Clip", &format!("{name}_kept"), &[&sums, LEAST, MOST], vec![]);
        Ok(self.part.node("Mul", &format!("{name}_steps"), &[&kept, &multiplier], vec![]))
    }

    /// Both summands, in steps of the result.
    fn addition(&mut self, node: &NodeProto, name: &str, scale: f32) -> Result<String> {
        let mut summands = Vec::new();
        for (i, input) in node.input.iter().enumerate() {
            let Activation { name: input, scale: scale_in, .. } = *self.activation(input)?;
            let ratio = (f64::from(scale_in) / f64::from(scale)) as f32;
            let ratio = self.part.floats(&format!("{PREFIX}{name}_ratio_{i}"), &[], &[ratio]);
            let scaled = format!("{PREFIX}{name}_summand_{i}");
            summands.push(self.part.node("Mul", &scaled, &[input, &ratio], vec![]));
        }
        let summands: Vec<&str> = summands.iter().map(String::as_str).collect();
        Ok(self.part.node("Add", &format!("{PREFIX}{name}_steps"), &summands, vec![]))
    }

    /// What a node reads through a DequantizeLinear.
    fn activation(&self, real: &str) -> Result<&Activation<'a>> {
        let [codes, scale, zero] = &self.dequantize(real)?.input[..] else {
            bail!("no zero point of {real}")
        };
        let found = self.activations.get(codes.as_str()).with_context(|| format!("{real} is constant"))?;
        let same = self.scalar(scale)? as f32 == found.scale && self.scalar(zero)? as f32 == found.zero;
        ensure!(same, "its input is read in another scale than it was written in");
        Ok(found)
    }

    /// A quantised constant and its scales.
    fn constant(&self, real: &str) -> Result<(&'a TensorProto, Vec<f32>)> {
        let [codes, scales, zeros] = &self.dequantize(real)?.input[..] else {
            bail!("no zero point of {real}")
        };
        let find = |name: &String| self.constants.get(name.as_str()).copied();
        let found = (find(codes), find(scales), find(zeros));
        let (Some(codes), Some(scales), Some(zeros)) = found else { bail!("{real} is not constant") };
        ensure!(numbers(zeros)?.iter().all(|&zero| zero == 0.0), "{real} has a zero point that is not 0");
        Ok((codes, numbers(scales)?.into_iter().map(|scale| scale as f32).collect()))
    }

    fn dequantize(&self, real: &str) -> Result<&'a NodeProto> {
        let found = self.producers.get(real).filter(|node| node.op_type == "DequantizeLinear");
        found.copied().with_context(|| format!("{real} is not quantized"))
    }

    fn scalar(&self, name: &str) -> Result<f64> {
        let tensor = self.constants.get(name).with_context(|| format!("{name} is not constant"))?;
        match numbers(tensor)?[..] {
            [value] => Ok(value),
            _ => bail!("{name} is not one number"),
        }
    }
}

fn numbers(tensor: &TensorProto) -> Result<Vec<f64>> {
    let raw = &tensor.raw_data;
    let kind = DataType::try_from(tensor.data_type).unwrap_or_default();
    let values: Vec<f64> = match kind {
        DataType::Float if raw.is_empty() => tensor.float_data.iter().map(|&x| x.into()).collect(),
        DataType::Int8 | DataType::Uint8 | DataType::Int32 if raw.is_empty() => {
            tensor.int32_data.iter().map(|&x| x.into()).collect()
        }
        DataType::Float => four(raw).map(|bytes| f32::from_le_bytes(bytes).into()).collect(),
        DataType::Int32 => four(raw).map(|bytes| i32::from_le_bytes(bytes).into()).collect(),
        DataType::Int8 => raw.iter().map(|&byte| (byte as i8).into()).collect(),
        DataType::Uint8 => raw.iter().map(|&byte| byte.into()).collect(),
        _ => bail!("{} is of the kind {kind:?}", tensor.name),
    };
    ensure!(!values.is_empty(), "{} is empty, or in another file", tensor.name);
    Ok(values)
}

fn four(raw: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    raw.chunks_exact(4).map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]])
}
