//! The layout of a plan's bytes, and what they mean.
//!
//! The bytes are the same on every machine and are used where they lie: the file is mapped.
//!
//! ```text
//!   0   8  "AJARPLAN"
//!   8   4  version of this layout and of the packing, u32 little endian, as all numbers
//!  12   4  steps
//!  16   4  bytes of the arena
//!  20   4  bytes of the file
//!  24  40  two taps, `mid` and `last`: steps until it is there, offset in the arena, zero point, scale (f32), 0
//!  64  32  SHA-256 of the ONNX file it was made from
//!  96  32  SHA-256 of everything else in this file
//! 128  80  each step, see `Record`
//! ...      weights, biases, multipliers; each begins at a multiple of 64
//! ```
//!
//! Weights are packed for a dot product of four bytes: `[channels / 16][depth / 4][16][4]` for a pointwise
//! step, `[channels / 16][3 columns][16][4 rows, the last 0]` for a depthwise one (docs/engine.md draws it).

use bytemuck::{Pod, Zeroable};
use sha2::{Digest, Sha256};
use std::io;
use std::ops::Range;

/// To be raised whenever a plan of the old code would be wrong for the new.
pub const VERSION: u32 = 1;
/// Channels of every tensor are padded to a multiple of this.
pub const LANES: usize = 16;
/// Tensors, weights and biases begin at multiples of this.
pub const ALIGNMENT: usize = 64;
/// Most channels a tensor may have, padded.
pub const MAX_CHANNELS: usize = 2048;

pub(super) const MAGIC: [u8; 8] = *b"AJARPLAN";
pub(super) const CHECKSUM: Range<usize> = 96..128;
/// Arenas beyond this are no plan of ours: bounds what a damaged file could ask for.
pub(super) const MAX_ARENA: usize = 16 << 20;
/// Sums of codes times this stay far within what every path rounds alike.
pub(super) const MAX_RATIO: f32 = 1024.0;

/// Why a file is not a plan that can be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not a plan")]
    NotAPlan,
    #[error("a plan of version {0}, this Ajar runs version {VERSION}")]
    Version(u32),
    #[error("made from another backbone")]
    Source,
    #[error("damaged: {0}")]
    Damaged(&'static str),
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Header {
    pub magic: [u8; 8],
    pub version: u32,
    pub steps: u32,
    pub arena: u32,
    pub length: u32,
    pub taps: [TapRecord; 2],
    pub source: [u8; 32],
    pub checksum: [u8; 32],
}

#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct TapRecord {
    pub steps: u32,
    pub offset: u32,
    pub zero: u32,
    pub scale: f32,
    pub reserved: u32,
}

/// One step as it lies in the file. Offsets of tensors count from the arena's start, those of constants from
/// the file's. What a kind does not need is 0.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Record {
    pub kind: u32,
    pub input: u32,
    /// The second tensor of an addition.
    pub other: u32,
    pub output: u32,
    /// Rows, and columns, of the input.
    pub side: u32,
    /// Of the input and of the output, padded.
    pub channels_in: u32,
    pub channels: u32,
    pub stride: u32,
    pub weights: u32,
    pub bias: u32,
    /// The bias for kernels that multiply signed bytes: activations less 128.
    pub bias_signed: u32,
    pub multiplier: u32,
    /// Zero points of input, other, output.
    pub zero: [u32; 3],
    /// Smallest and largest code of the output.
    pub low: u32,
    pub high: u32,
    /// Scales of input and other over the scale of the output.
    pub ratio: [f32; 2],
    pub reserved: u32,
}

pub(super) const STEM: u32 = 1;
pub(super) const POINTWISE: u32 = 2;
pub(super) const DEPTHWISE: u32 = 3;
pub(super) const ADD: u32 = 4;

/// Bytes of a 3 x 3 patch of the input picture: what a stem's sum runs over.
pub const STEM_DEPTH: usize = 3 * 3 * 4;

/// A tensor in the arena: u8, rows, columns, channels, the channels padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub offset: usize,
    pub side: usize,
    pub channels: usize,
}

impl Tensor {
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.side * self.side * self.channels
    }
}

/// Where the constants of a convolution lie in the file.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    pub weights: Range<usize>,
    pub bias: Range<usize>,
    pub bias_signed: Range<usize>,
    pub multiplier: Range<usize>,
}

/// From a sum to a code: times the channel's multiplier, rounded, plus `zero`, within `low..=high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    pub zero: u8,
    pub low: u8,
    pub high: u8,
}

/// What the executor does, in order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The first convolution, 3 x 3 with stride 2, on the input picture.
    Stem {
        output: Tensor,
        constants: Constants,
        rounding: Rounding,
    },
    /// A convolution 1 x 1.
    Pointwise {
        input: Tensor,
        output: Tensor,
        constants: Constants,
        rounding: Rounding,
    },
    /// A convolution 3 x 3 of each channel by itself. `border`: the code of zero in the input.
    Depthwise {
        input: Tensor,
        output: Tensor,
        stride: usize,
        border: u8,
        constants: Constants,
        rounding: Rounding,
    },
    Add {
        inputs: [Tensor; 2],
        output: Tensor,
        zero: [u8; 2],
        ratio: [f32; 2],
        rounding: Rounding,
    },
}

/// Where a tap is: valid after the first `steps` steps and until a later one overwrites it.
#[derive(Clone, Copy, Debug)]
pub struct TapPlace {
    pub steps: usize,
    pub tensor: Tensor,
    pub zero: u8,
    /// What one code is worth.
    pub scale: f32,
}

impl Step {
    pub fn output(&self) -> Tensor {
        match self {
            Step::Stem { output, .. }
            | Step::Pointwise { output, .. }
            | Step::Depthwise { output, .. }
            | Step::Add { output, .. } => *output,
        }
    }
}

/// SHA-256 of a plan's bytes without its checksum.
pub(super) fn checksum(plan: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&plan[..CHECKSUM.start]);
    hash.update(&plan[CHECKSUM.end..]);
    hash.finalize().into()
}
