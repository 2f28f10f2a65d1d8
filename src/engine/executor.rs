//! The executor: runs a plan's steps in one arena. Allocates nothing once it is made.
//!
//! ```text
//! input codes -> stem -> pointwise, depthwise, add ... -> mid -> ... -> last
//!                                                          |             |
//!                                                       features      features
//! ```

use super::Tap;
use super::features::{ALL_VALUES, Block, Features, deepest_tap};
use super::kernels::{Addition, Convolution, Kernels, Path, SCRATCH, Window};
use super::layout::{ALIGNMENT, Constants, Rounding, STEM_DEPTH, Step};
use super::plan::Plan;
use crate::watch::crop::INPUT_SIDE;
use crate::watch::input::Input;
use crate::watch::quantise::INPUT_ZERO_POINT;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;
use std::sync::Arc;

/// Rows, and columns, of the stem's output.
const STEM_SIDE: usize = INPUT_SIDE / 2;
/// Bytes of one row of the input.
const INPUT_ROW: usize = INPUT_SIDE * 4;
/// Bytes of one row of a patch.
const PATCH_ROW: usize = 3 * 4;
/// Bytes of the patches under one row of the stem's output.
const PATCHES: usize = STEM_SIDE * STEM_DEPTH;

/// A loaded backbone; clones share its plan.
#[derive(Clone)]
pub struct Executor {
    plan: Arc<Plan>,
    kernels: Kernels,
    /// The tensors, then the kernels' scratch, the stem's patches, the features.
    arena: Vec<Line>,
}

/// A cache line, so that every tensor begins at one.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

impl Executor {
    pub fn new(plan: Arc<Plan>, kernels: Kernels) -> Executor {
        let bytes = plan.arena_bytes().next_multiple_of(ALIGNMENT) + SCRATCH + PATCHES + 4 * ALL_VALUES;
        let arena = vec![Line::zeroed(); bytes.div_ceil(ALIGNMENT)];
        Executor { plan, kernels, arena }
    }

    /// By the fastest path of this CPU.
    pub fn best(plan: Plan) -> Executor {
        Executor::new(Arc::new(plan), Kernels::best())
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn path(&self) -> Path {
        self.kernels.path()
    }

    /// Bytes of the arena, all in all.
    pub fn arena_bytes(&self) -> usize {
        size_of_val(self.arena.as_slice())
    }

    /// Runs as far as `blocks` need and pools them.
    pub fn run<'a>(&'a mut self, input: &Input, blocks: &'a [Block]) -> Features<'a> {
        let Executor { plan, kernels, arena } = self;
        let mut arena = Arena::split(arena, plan.arena_bytes());
        let last = plan.tap(deepest_tap(blocks)).steps;
        for (i, step) in plan.steps[..last].iter().enumerate() {
            arena.step(plan, kernels, step, input);
            for tap in [Tap::Mid, Tap::Last] {
                if plan.tap(tap).steps == i + 1 {
                    arena.pool(plan, tap, blocks);
                }
            }
        }
        Features::new(arena.features, blocks)
    }

    /// Runs everything and shows each step's output as soon as it is there: rows, columns, padded channels.
    pub fn trace(&mut self, input: &Input, mut see: impl FnMut(&[u8])) {
        let Executor { plan, kernels, arena } = self;
        let mut arena = Arena::split(arena, plan.arena_bytes());
        for step in &plan.steps {
            arena.step(plan, kernels, step, input);
            see(&arena.tensors[step.output().range()]);
        }
    }

    /// The codes at `tap`: rows, columns, channels. They are those of the last run only if that stopped there.
    pub fn tap(&self, tap: Tap) -> &[u8] {
        &bytemuck::cast_slice::<Line, u8>(&self.arena)[self.plan.tap(tap).tensor.range()]
    }
}

/// The parts of the arena.
struct Arena<'a> {
    tensors: &'a mut [u8],
    scratch: &'a mut [u8],
    patches: &'a mut [u8],
    features: &'a mut [f32],
}

impl<'a> Arena<'a> {
    fn split(lines: &'a mut [Line], tensors: usize) -> Arena<'a> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(lines);
        let (tensors, rest) = bytes.split_at_mut(tensors.next_multiple_of(ALIGNMENT));
        let (scratch, rest) = rest.split_at_mut(SCRATCH);
        let (patches, features) = rest.split_at_mut(PATCHES);
        Arena {
            tensors,
            scratch,
            patches,
            features: bytemuck::cast_slice_mut(&mut features[..4 * ALL_VALUES]),
        }
    }

    fn step(&mut self, plan: &Plan, kernels: &Kernels, step: &Step, input: &Input) {
        match step {
            Step::Stem { output, constants, rounding } => {
                let conv = convolution(plan, constants, *rounding);
                let rows = self.tensors[output.range()].chunks_exact_mut(STEM_SIDE * output.channels);
                for (row, output) in rows.enumerate() {
                    patches(input, row, self.patches);
                    kernels.pointwise(&conv, self.patches, output, self.scratch);
                }
            }
            Step::Pointwise { input, output, constants, rounding } => {
                let conv = convolution(plan, constants, *rounding);
                let [input, output] = disjoint(self.tensors, [input.range(), output.range()]);
                kernels.pointwise(&conv, input, output, self.scratch);
            }
            Step::Depthwise { input, output, stride, border, constants, rounding } => {
                let conv = convolution(plan, constants, *rounding);
                let window = Window { side: input.side, stride: *stride, border: *border };
                let [input, output] = disjoint(self.tensors, [input.range(), output.range()]);
                kernels.depthwise(&conv, &window, input, output, self.scratch);
            }
            Step::Add { inputs: [a, b], output, zero, ratio, rounding } => {
                let addition = Addition { zero: *zero, ratio: *ratio, rounding: *rounding };
                let [a, b, output] = disjoint(self.tensors, [a.range(), b.range(), output.range()]);
                kernels.add(&addition, [a, b], output);
            }
        }
    }

    fn pool(&mut self, plan: &Plan, tap: Tap, blocks: &[Block]) {
        let place = plan.tap(tap);
        let (map, zero) = (&self.tensors[place.tensor.range()], f32::from(place.zero));
        for block in blocks.iter().filter(|block| block.tap() == tap) {
            // The scale falls out when a block is normalised.
            block.pool(map, |code| f32::from(code) - zero, self.features);
        }
    }
}

fn convolution<'a>(plan: &'a Plan, constants: &Constants, rounding: Rounding) -> Convolution<'a> {
    Convolution {
        weights: plan.slice(&constants.weights),
        bias: plan.slice(&constants.bias),
        bias_signed: plan.slice(&constants.bias_signed),
        multiplier: plan.slice(&constants.multiplier),
        rounding,
    }
}

/// Tensors of one step. A plan's tensors never overlap within a step; `Plan` has checked that.
fn disjoint<const N: usize>(tensors: &mut [u8], ranges: [Range<usize>; N]) -> [&mut [u8]; N] {
    tensors.get_disjoint_mut(ranges).expect("a checked plan")
}

/// The 3 x 3 patches under one row of the stem's output, one after the other: rows of 3 pixels, 4 bytes a pixel.
/// Above and left of the picture is one pixel of border; below and to the right, a stride of 2 never reaches.
fn patches(input: &Input, row: usize, patches: &mut [u8]) {
    for y in 0..3 {
        let source = (2 * row + y).checked_sub(1).map(|row| &input.codes[row * INPUT_ROW..][..INPUT_ROW]);
        for (column, patch) in patches.chunks_exact_mut(STEM_DEPTH).enumerate() {
            let patch = &mut patch[y * PATCH_ROW..][..PATCH_ROW];
            match (source, column) {
                (Some(source), 0) => {
                    patch[..4].fill(INPUT_ZERO_POINT);
                    patch[4..].copy_from_slice(&source[..PATCH_ROW - 4]);
                }
                (Some(source), column) => {
                    patch.copy_from_slice(&source[(2 * column - 1) * 4..][..PATCH_ROW]);
                }
                (None, _) => patch.fill(INPUT_ZERO_POINT),
            }
        }
    }
}
