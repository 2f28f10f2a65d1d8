//! Lowering: from tract's graph of a quantized ONNX file to a plan.
//!
//! In such a file (models/README.md) every activation passes one QuantizeLinear and one DequantizeLinear, and
//! what lies between two of them is one step:
//!
//! ```text
//! DequantizeLinear(s) -> Conv or Add -> Clip, perhaps -> QuantizeLinear
//! ```

use super::layout::{ADD, ALIGNMENT, DEPTHWISE, Header, MAX_RATIO, POINTWISE, Record, STEM, TapRecord};
use super::pack::{self, Lifetime, padded};
use super::plan::Plan;
use super::tract::parse;
use super::{EngineError, Tap};
use crate::watch::crop::INPUT_SIDE;
use crate::watch::quantise::{INPUT_SCALE, INPUT_ZERO_POINT};
use bytemuck::Zeroable;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::math::{Add, Max, Min};
use tract_onnx::tract_core::ops::quant::{DequantizeLinearF32, QuantizeLinearU8};

/// What the executor has no step for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{op} {node}: {why}")]
pub struct CannotLower {
    /// Kind and name of the node.
    pub op: String,
    pub node: String,
    pub why: String,
}

/// The plan of a quantized backbone, as a file's bytes.
///
/// # Errors
/// [`EngineError::Load`] if tract cannot read the file, [`EngineError::Lower`] if a node is nothing the executor
/// runs; tract itself can run such a file.
pub fn lower(onnx: &[u8]) -> Result<Vec<u8>, EngineError> {
    let file = parse(onnx, Tap::Last)?;
    let model = file.clone().into_typed().map_err(|error| EngineError::load(&error))?;
    let mut lowering = Lowering {
        file: &file,
        model: &model,
        activations: Vec::new(),
        by_outlet: HashMap::new(),
        records: Vec::new(),
        data: Vec::new(),
    };
    let plan = lowering.run(onnx)?;
    // What is too large for the executor, or of another shape, has no plan either.
    match Plan::from_bytes(&plan) {
        Ok(_) => Ok(plan),
        Err(why) => Err(refuse_graph(&why).into()),
    }
}

/// An activation.
struct Activation {
    side: usize,
    channels: usize,
    scale: f32,
    zero: u8,
    /// The step that writes it and the last one that reads it; the input picture has none.
    steps: Option<(usize, usize)>,
}

struct Lowering<'a> {
    /// The graph as the file has it.
    file: &'a InferenceModel,
    /// The same, with types, shapes and constants worked out.
    model: &'a TypedModel,
    activations: Vec<Activation>,
    /// Their numbers by the outlet of their QuantizeLinear.
    by_outlet: HashMap<OutletId, usize>,
    /// Their offsets are numbers of activations until all lifetimes are known.
    records: Vec<Record>,
    data: Vec<u8>,
}

type Lowered<T> = Result<T, CannotLower>;

impl<'a> Lowering<'a> {
    fn run(&mut self, onnx: &[u8]) -> Lowered<Vec<u8>> {
        let order = self.model.eval_order().map_err(|error| refuse_graph(&error))?;
        for node in order.into_iter().map(|id| self.model.node(id)) {
            if let Some(quantize) = mini_op::<QuantizeLinearU8>(node) {
                self.step(node, quantize)?;
            }
        }
        let lifetimes: Vec<Lifetime> = self.activations.iter().map(Activation::lifetime).collect();
        let (offsets, arena) = pack::place(&lifetimes);
        let mut header = Header::zeroed();
        header.source = Sha256::digest(onnx).into();
        header.arena = arena as u32;
        for (tap, outlet) in [Tap::Mid, Tap::Last].into_iter().zip(&self.model.outputs) {
            header.taps[tap as usize] = self.tap(*outlet, &offsets)?;
        }
        let start = pack::data_start(self.records.len()) as u32;
        for record in &mut self.records {
            for tensor in [&mut record.input, &mut record.other, &mut record.output] {
                *tensor = offsets[*tensor as usize] as u32;
            }
            if record.kind != ADD {
                let constants =
                    [&mut record.weights, &mut record.bias, &mut record.bias_signed, &mut record.multiplier];
                constants.into_iter().for_each(|offset| *offset += start);
            }
        }
        Ok(pack::file(header, &self.records, &self.data))
    }

    /// The step whose result a QuantizeLinear takes in.
    fn step(&mut self, node: &'a TypedNode, quantize: &QuantizeLinearU8) -> Lowered<()> {
        let mut tensor = self.describe(node, quantize)?;
        let (source, low, high) = self.clips(node, &tensor)?;
        if source.op.name() == "Source" {
            if (tensor.zero, tensor.channels, tensor.side) != (INPUT_ZERO_POINT, 3, INPUT_SIDE)
                || (tensor.scale / INPUT_SCALE - 1.0).abs() > 1e-6
            {
                return Err(refuse(node, "the input is quantized in another way"));
            }
        } else {
            let mut record = if let Some(conv) = source.op_as::<Conv>() {
                self.convolution(source, conv, &tensor)?
            } else if is_binary::<Add>(source) {
                self.addition(source, &tensor)?
            } else {
                return Err(refuse(source, "there is no step for it"));
            };
            record.output = self.activations.len() as u32;
            record.zero[2] = tensor.zero.into();
            (record.low, record.high) = (low.into(), high.into());
            let step = self.records.len();
            tensor.steps = Some((step, step));
            for input in [record.input, record.other] {
                if let Some((_, last)) = &mut self.activations[input as usize].steps {
                    *last = step;
                }
            }
            self.records.push(record);
        }
        self.by_outlet.insert(node.id.into(), self.activations.len());
        self.activations.push(tensor);
        Ok(())
    }

    fn describe(&self, node: &TypedNode, quantize: &QuantizeLinearU8) -> Lowered<Activation> {
        let shape = node.outputs[0].fact.shape.as_concrete();
        let Some(&[1, channels, side, width]) = shape else {
            return Err(refuse(node, &format!("its shape is {shape:?}")));
        };
        if side != width {
            return Err(refuse(node, "not square"));
        }
        // tract keeps only the reciprocal of a QuantizeLinear's scale; its DequantizeLinear has the scale itself.
        let readers = node.outputs[0].successors.iter().map(|inlet| self.model.node(inlet.node));
        let scales = readers.filter_map(|reader| reader.op_as::<DequantizeLinearF32>());
        let scale = scales
            .map(|dequantize| dequantize.scale)
            .find(|scale| (scale * quantize.scale - 1.0).abs() < 1e-6)
            .ok_or_else(|| refuse(node, "no DequantizeLinear of its scale reads it"))?;
        Ok(Activation { side, channels, scale, zero: quantize.zero_point, steps: None })
    }

    /// The node before a QuantizeLinear and its Clip, and the smallest and largest code that lets through.
    fn clips(&self, quantize: &'a TypedNode, tensor: &Activation) -> Lowered<(&'a TypedNode, u8, u8)> {
        let mut node = self.model.node(quantize.inputs[0].node);
        let (mut low, mut high) = (0, u8::MAX);
        loop {
            let bound = |i: usize| Some((self.scalar(node.inputs[i])?, node.inputs[1 - i]));
            let bounded = is_binary::<Max>(node) || is_binary::<Min>(node);
            let Some((bound, input)) = bounded.then(|| bound(1).or_else(|| bound(0))).flatten() else {
                return Ok((node, low, high));
            };
            let code = tensor.code(bound);
            if is_binary::<Max>(node) {
                low = low.max(code)
            } else {
                high = high.min(code)
            }
            node = self.model.node(input.node);
        }
    }

    fn convolution(&mut self, node: &TypedNode, conv: &Conv, output: &Activation) -> Lowered<Record> {
        let input = self.dequantized(node, 0)?;
        let (from, pool) = (&self.activations[input], &conv.pool_spec);
        let stride = pool.stride(0);
        let (kind, padding) = match (&pool.kernel_shape[..], stride, conv.group) {
            ([3, 3], 2, 1) if from.steps.is_none() => (STEM, 1),
            ([1, 1], 1, 1) if from.steps.is_some() => (POINTWISE, 0),
            ([3, 3], 1 | 2, group)
                if from.steps.is_some() && group == output.channels && group == from.channels =>
            {
                (DEPTHWISE, 1)
            }
            (kernel, ..) => {
                let why = format!("kernel {kernel:?}, stride {stride}, {} groups", conv.group);
                return Err(refuse(node, &why));
            }
        };
        let around = tvec![padding, padding];
        let plain = pool.padding == PaddingSpec::Explicit(around.clone(), around)
            || (padding == 0 && pool.padding == PaddingSpec::Valid);
        if !plain || pool.stride(1) != stride || *pool.dilations() != [1, 1] {
            return Err(refuse(node, &format!("padding {:?}", pool.padding)));
        }
        if conv.kernel_fmt != KernelFormat::OIHW
            || conv.q_params.is_some()
            || from.side != output.side * stride
        {
            return Err(refuse(node, "an unusual layout"));
        }
        let (weights, scales) = self.weights(node, output.channels)?;
        let packed = match kind {
            STEM => pack::stem(&weights, output.channels),
            POINTWISE => pack::pointwise(&weights, output.channels),
            _ => pack::depthwise(&weights, output.channels),
        };
        let per_channel = weights.len() / output.channels;
        let bias = self.constant(node.inputs[2]).ok_or_else(|| refuse(node, "its bias is not constant"))?;
        if bias.len() != output.channels {
            return Err(refuse(node, "it has no bias for each channel"));
        }
        let channels = padded(output.channels);
        let (mut plain, mut signed) = (vec![0i32; channels], vec![0i32; channels]);
        let mut multiplier = vec![0f32; channels];
        for channel in 0..output.channels {
            let weights = &weights[channel * per_channel..][..per_channel];
            let sum_scale = f64::from(from.scale) * f64::from(scales[channel]);
            let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
            let size: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
            // Zero points are taken out of the sums here, once.
            let bias = (f64::from(bias[channel]) / sum_scale).round() as i64 - i64::from(from.zero) * sum;
            let ratio = sum_scale / f64::from(output.scale);
            let largest = bias.abs() + 255 * size;
            // Codes of beyond 2^30 are far outside a byte, and no kernel may overflow on the way there.
            if largest >= 1 << 31 || largest as f64 * ratio >= f64::from(1 << 30) {
                return Err(refuse(node, "its sums do not fit 32 bits"));
            }
            plain[channel] = bias as i32;
            signed[channel] = (bias + 128 * sum) as i32;
            multiplier[channel] = ratio as f32;
        }
        Ok(Record {
            kind,
            input: input as u32,
            side: from.side as u32,
            channels_in: padded(from.channels) as u32,
            channels: channels as u32,
            stride: stride as u32,
            zero: [from.zero.into(), 0, 0],
            weights: self.append(bytemuck::cast_slice(&packed)),
            bias: self.append(bytemuck::cast_slice(&plain)),
            bias_signed: self.append(bytemuck::cast_slice(&signed)),
            multiplier: self.append(bytemuck::cast_slice(&multiplier)),
            ..Record::default()
        })
    }

    fn addition(&self, node: &TypedNode, output: &Activation) -> Lowered<Record> {
        let inputs = [self.dequantized(node, 0)?, self.dequantized(node, 1)?];
        let [a, b] = inputs.map(|input| &self.activations[input]);
        let same =
            |t: &Activation| (t.side, t.channels) == (output.side, output.channels) && t.steps.is_some();
        if !same(a) || !same(b) || inputs[0] == inputs[1] {
            return Err(refuse(node, "an addition of unlike tensors"));
        }
        let ratio = |t: &Activation| (f64::from(t.scale) / f64::from(output.scale)) as f32;
        if [a, b].iter().any(|t| ratio(t) >= MAX_RATIO) {
            return Err(refuse(node, "an addition of unlike scales"));
        }
        Ok(Record {
            kind: ADD,
            input: inputs[0] as u32,
            other: inputs[1] as u32,
            side: output.side as u32,
            channels_in: padded(output.channels) as u32,
            channels: padded(output.channels) as u32,
            zero: [a.zero.into(), b.zero.into(), 0],
            ratio: [ratio(a), ratio(b)],
            ..Record::default()
        })
    }

    /// The activation that a node reads through a DequantizeLinear.
    fn dequantized(&self, node: &TypedNode, input: usize) -> Lowered<usize> {
        let reader = self.model.node(node.inputs[input].node);
        let found = reader.op_as::<DequantizeLinearF32>().and_then(|_| self.by_outlet.get(&reader.inputs[0]));
        found.copied().ok_or_else(|| refuse(node, "its input is not quantized to u8"))
    }

    /// The int8 weights of a convolution and the scale of each channel. tract's typed graph has only their
    /// products, so they come from the graph as it was read, where a convolution has the same name.
    fn weights(&self, node: &TypedNode, channels: usize) -> Lowered<(Vec<i8>, Vec<f32>)> {
        let in_file = |outlet: OutletId| -> Option<&'a Tensor> {
            Some(self.file.node(outlet.node).op_as::<Const>()?.val().as_ref())
        };
        let dequantize = self.file.node_by_name(&node.name).map(|conv| self.file.node(conv.inputs[1].node));
        let dequantize = dequantize.ok().filter(|node| node.op.name() == "DequantizeLinear");
        let parts =
            dequantize.and_then(|node| Some((in_file(node.inputs[0])?, in_file(node.inputs[1])?, node)));
        let (weights, scales, dequantize) =
            parts.ok_or_else(|| refuse(node, "its weights are not quantized"))?;
        let unlike = |why: &str| refuse(node, &format!("its weights {why}"));
        let plain =
            |tensor: &'a Tensor| tensor.try_as_plain_ram().map_err(|_| unlike("are not plain numbers"));
        let weights = plain(weights)?.as_slice::<i8>().map_err(|_| unlike("are not int8"))?;
        let scales = plain(scales)?.as_slice::<f32>().map_err(|_| unlike("have no scales in f32"))?;
        let scales = if scales.len() == 1 { vec![scales[0]; channels] } else { scales.to_vec() };
        if scales.len() != channels || !weights.len().is_multiple_of(channels) {
            return Err(unlike("have no scale for each channel"));
        }
        // -128 is left out: two products then fit 16 bits on Arm without dot products.
        if weights.contains(&-128) {
            return Err(unlike("are not within -127..=127"));
        }
        if let Some(&zero) = dequantize.inputs.get(2) {
            let zero = in_file(zero).ok_or_else(|| unlike("have a zero point that is not constant"))?;
            let zero = plain(zero)?.as_slice::<i8>().map_err(|_| unlike("are not int8"))?;
            if zero.iter().any(|&zero| zero != 0) {
                return Err(unlike("have a zero point that is not 0"));
            }
        }
        Ok((weights.to_vec(), scales))
    }

    /// A constant, perhaps behind a cast, as f32.
    fn constant(&self, outlet: OutletId) -> Option<Vec<f32>> {
        let node = self.model.node(outlet.node);
        if node.op_is::<Cast>() {
            return self.constant(node.inputs[0]);
        }
        let konst = self.model.outlet_fact(outlet).ok()?.konst.as_ref()?;
        let values = konst.cast_to::<f32>().ok()?;
        Some(values.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec())
    }

    fn scalar(&self, outlet: OutletId) -> Option<f32> {
        match self.constant(outlet)?[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Puts constants at the end of the data; where that is.
    fn append(&mut self, bytes: &[u8]) -> u32 {
        let offset = self.data.len().next_multiple_of(ALIGNMENT);
        self.data.resize(offset, 0);
        self.data.extend_from_slice(bytes);
        offset as u32
    }

    fn tap(&self, outlet: OutletId, offsets: &[usize]) -> Lowered<TapRecord> {
        let node = self.model.node(outlet.node);
        let dequantize = node.op_as::<DequantizeLinearF32>();
        let tensor = dequantize.and_then(|_| self.by_outlet.get(&node.inputs[0])).copied();
        let tensor = tensor.ok_or_else(|| refuse(node, "an output that is not quantized to u8"))?;
        let Activation { scale, zero, steps, .. } = self.activations[tensor];
        let (written, _) = steps.ok_or_else(|| refuse(node, "an output that is the input"))?;
        let (steps, offset) = (written as u32 + 1, offsets[tensor] as u32);
        Ok(TapRecord { steps, offset, zero: zero.into(), scale, reserved: 0 })
    }
}

impl Activation {
    fn lifetime(&self) -> Lifetime {
        match self.steps {
            Some((first, last)) => {
                Lifetime { bytes: self.side * self.side * padded(self.channels), steps: first..=last }
            }
            None => Lifetime { bytes: 0, steps: 0..=0 },
        }
    }

    fn code(&self, value: f32) -> u8 {
        ((value / self.scale).round_ties_even() + f32::from(self.zero)) as u8
    }
}

fn mini_op<T: tract_onnx::tract_core::ops::element_wise::ElementWiseMiniOp>(node: &TypedNode) -> Option<&T> {
    node.op_as::<ElementWiseOp>()?.0.downcast_ref::<T>()
}

fn is_binary<T: tract_onnx::tract_core::ops::binary::BinMiniOp>(node: &TypedNode) -> bool {
    node.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<T>())
}

fn refuse(node: &TypedNode, why: &str) -> CannotLower {
    CannotLower { op: node.op.name().to_string(), node: node.name.clone(), why: why.into() }
}

fn refuse_graph(error: &dyn std::fmt::Display) -> CannotLower {
    CannotLower { op: "graph".into(), node: String::new(), why: format!("{error:#}") }
}
