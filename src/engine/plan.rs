//! The plan: a backbone lowered to what [`super::executor`] runs, as one block of bytes.
//!
//! The bytes are the same on every machine and are used where they lie: the file is mapped, not read.
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

use super::Tap;
use super::check::Check;
use bytemuck::{Pod, Zeroable};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

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
const MAX_ARENA: usize = 16 << 20;
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

/// SHA-256 of the ONNX file that a plan says it was made from; nothing else of it is read.
pub fn source_of(plan: &[u8]) -> Option<&[u8; 32]> {
    let header: &Header = bytemuck::try_from_bytes(plan.get(..size_of::<Header>())?).ok()?;
    Some(&header.source)
}

enum Bytes {
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
}

/// A plan whose every offset has been checked.
pub struct Plan {
    bytes: Bytes,
    pub(super) steps: Vec<Step>,
    taps: [TapPlace; 2],
    arena: usize,
    source: [u8; 32],
}

impl Plan {
    /// Maps a plan's file. `source`: SHA-256 of the ONNX file it must have been made from.
    pub fn open(path: &Path, source: &[u8; 32]) -> Result<Plan, PlanError> {
        let mut file = File::open(path)?;
        // A worn card answers a read with an error, but a mapping with a signal: all of it is read once before.
        io::copy(&mut file, &mut io::sink())?;
        // SAFETY: the bytes change under us only if somebody writes into the file. Ajar never does: a plan is
        // written under another name and renamed. Whoever may write there can also replace the program. A page
        // that was dropped from memory and can no longer be read back kills the process, as one of its code does.
        let plan = Plan::parse(Bytes::Mapped(unsafe { memmap2::Mmap::map(&file)? }))?;
        if plan.source != *source {
            return Err(PlanError::Source);
        }
        Ok(plan)
    }

    /// A plan in memory of its own, for where no file can be written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        if bytes.is_empty() {
            return Err(PlanError::NotAPlan);
        }
        let mut map = memmap2::MmapMut::map_anon(bytes.len())?;
        map.copy_from_slice(bytes);
        Plan::parse(Bytes::Mapped(map.make_read_only()?))
    }

    /// A plan that is part of the program. It must begin at a multiple of [`ALIGNMENT`]. Its checksum is not read, as
    /// that of the program's code is not either: what a run does not need stays out of memory.
    pub fn from_static(bytes: &'static [u8]) -> Result<Plan, PlanError> {
        Plan::parse(Bytes::Static(bytes))
    }

    fn parse(bytes: Bytes) -> Result<Plan, PlanError> {
        let all = bytes.all();
        let header = all.get(..size_of::<Header>()).ok_or(PlanError::NotAPlan)?;
        let header: &Header = bytemuck::try_from_bytes(header).map_err(|_| PlanError::NotAPlan)?;
        if header.magic != MAGIC {
            return Err(PlanError::NotAPlan);
        }
        if header.version != VERSION {
            return Err(PlanError::Version(header.version));
        }
        if header.length as usize != all.len() {
            return Err(PlanError::Damaged("its length is not the one it names"));
        }
        if matches!(bytes, Bytes::Mapped(_)) && header.checksum != checksum(all) {
            return Err(PlanError::Damaged("the checksum does not fit"));
        }
        let header = *header;
        let arena = header.arena as usize;
        if arena > MAX_ARENA {
            return Err(PlanError::Damaged("its arena is too large"));
        }
        let records = all.get(size_of::<Header>()..).unwrap_or_default();
        let records = records.get(..header.steps as usize * size_of::<Record>());
        let records: &[Record] = records
            .and_then(|records| bytemuck::try_cast_slice(records).ok())
            .ok_or(PlanError::Damaged("its steps are cut off"))?;
        let check = Check { file: all.len(), arena };
        let steps: Vec<Step> = records.iter().map(|record| check.step(record)).collect::<Result<_, _>>()?;
        let taps = [Tap::Mid, Tap::Last].map(|tap| check.tap(&header.taps[tap as usize], &steps, tap));
        let [mid, last] = taps;
        let (mid, last) = (mid?, last?);
        if mid.steps > last.steps {
            return Err(PlanError::Damaged("its taps are in the wrong order"));
        }
        Ok(Plan { taps: [mid, last], steps, arena, source: header.source, bytes })
    }

    pub fn tap(&self, tap: Tap) -> TapPlace {
        self.taps[tap as usize]
    }

    /// Bytes that all tensors need together.
    pub fn arena_bytes(&self) -> usize {
        self.arena
    }

    /// SHA-256 of the ONNX file it was made from.
    pub fn source(&self) -> &[u8; 32] {
        &self.source
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.all()
    }

    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Constants of a checked step.
    pub(super) fn slice<T: Pod>(&self, range: &Range<usize>) -> &[T] {
        bytemuck::cast_slice(&self.bytes()[range.clone()])
    }
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
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
