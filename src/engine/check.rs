//! What makes a plan's file safe to run: every offset lies inside the file and the arena.
//!
//! The executor and the kernels rely on it. What only changes results, such as a multiplier, is the checksum's to
//! guard: a file that was written to deceive can give any result, but touches no memory that is not its own.

use super::Tap;
use super::layout::{
    ADD, ALIGNMENT, Constants, DEPTHWISE, LANES, MAX_CHANNELS, MAX_RATIO, POINTWISE, PlanError, Record,
    Rounding, STEM, STEM_DEPTH, Step, TapPlace, TapRecord, Tensor,
};
use crate::watch::crop::INPUT_SIDE;
use std::ops::Range;

// Offsets are 32 bits; sums and products of them must not overflow.
const _: () = assert!(usize::BITS >= 64);

/// Turns records into steps whose every offset lies inside the file and the arena: the executor relies on it.
pub(super) struct Check {
    /// Bytes of the file and of the arena.
    pub file: usize,
    pub arena: usize,
}

impl Check {
    pub fn step(&self, record: &Record) -> Result<Step, PlanError> {
        let (side, channels) = (record.side as usize, record.channels as usize);
        let byte = |code: u32| u8::try_from(code).map_err(|_| PlanError::Damaged("a code above 255"));
        let rounding =
            Rounding { zero: byte(record.zero[2])?, low: byte(record.low)?, high: byte(record.high)? };
        if rounding.low > rounding.high {
            return Err(PlanError::Damaged("a smallest code above the largest"));
        }
        let input = || self.tensor(record.input, side, record.channels_in as usize);
        match record.kind {
            STEM if side == INPUT_SIDE => Ok(Step::Stem {
                output: self.tensor(record.output, side / 2, channels)?,
                constants: self.constants(record, STEM_DEPTH * channels)?,
                rounding,
            }),
            POINTWISE => {
                let (input, output) = (input()?, self.tensor(record.output, side, channels)?);
                disjoint(&[input], output)?;
                let constants = self.constants(record, input.channels * channels)?;
                Ok(Step::Pointwise { input, output, constants, rounding })
            }
            DEPTHWISE => {
                let stride = record.stride as usize;
                if !(1..=2).contains(&stride)
                    || !side.is_multiple_of(stride)
                    || record.channels_in != record.channels
                {
                    return Err(PlanError::Damaged("a depthwise step that is none"));
                }
                let (input, output) = (input()?, self.tensor(record.output, side / stride, channels)?);
                disjoint(&[input], output)?;
                let constants = self.constants(record, 3 * 4 * channels)?;
                Ok(Step::Depthwise {
                    input,
                    output,
                    stride,
                    border: byte(record.zero[0])?,
                    constants,
                    rounding,
                })
            }
            ADD => {
                let inputs = [input()?, self.tensor(record.other, side, channels)?];
                let output = self.tensor(record.output, side, channels)?;
                disjoint(&inputs, output)?;
                if inputs[0].channels != channels || disjoint(&inputs[..1], inputs[1]).is_err() {
                    return Err(PlanError::Damaged("an addition of unlike tensors"));
                }
                if !record.ratio.iter().all(|ratio| (0.0..MAX_RATIO).contains(ratio)) {
                    return Err(PlanError::Damaged("an addition of unlike scales"));
                }
                let zero = [byte(record.zero[0])?, byte(record.zero[1])?];
                Ok(Step::Add { inputs, output, zero, ratio: record.ratio, rounding })
            }
            _ => Err(PlanError::Damaged("a step of an unknown kind")),
        }
    }

    fn tensor(&self, offset: u32, side: usize, channels: usize) -> Result<Tensor, PlanError> {
        let tensor = Tensor { offset: offset as usize, side, channels };
        let sizes = (1..=4096).contains(&side) && (LANES..=MAX_CHANNELS).contains(&channels);
        if !sizes
            || !channels.is_multiple_of(LANES)
            || tensor.range().end > self.arena
            || !tensor.offset.is_multiple_of(ALIGNMENT)
        {
            return Err(PlanError::Damaged("a tensor outside the arena"));
        }
        Ok(tensor)
    }

    fn constants(&self, record: &Record, weights: usize) -> Result<Constants, PlanError> {
        let channels = record.channels as usize;
        Ok(Constants {
            weights: self.range(record.weights, weights)?,
            bias: self.range(record.bias, 4 * channels)?,
            bias_signed: self.range(record.bias_signed, 4 * channels)?,
            multiplier: self.range(record.multiplier, 4 * channels)?,
        })
    }

    fn range(&self, offset: u32, length: usize) -> Result<Range<usize>, PlanError> {
        let range = offset as usize..offset as usize + length;
        if range.end > self.file || !range.start.is_multiple_of(ALIGNMENT) {
            return Err(PlanError::Damaged("a constant outside the file"));
        }
        Ok(range)
    }

    pub fn tap(&self, record: &TapRecord, steps: &[Step], tap: Tap) -> Result<TapPlace, PlanError> {
        let outside = PlanError::Damaged("a tap outside the plan");
        let tensor = self.tensor(record.offset, tap.side(), tap.channels())?;
        let (steps_until, zero) = (record.steps as usize, u8::try_from(record.zero));
        if !(1..=steps.len()).contains(&steps_until) || steps[steps_until - 1].output() != tensor {
            return Err(outside);
        }
        Ok(TapPlace { steps: steps_until, tensor, zero: zero.map_err(|_| outside)?, scale: record.scale })
    }
}

fn disjoint(inputs: &[Tensor], output: Tensor) -> Result<(), PlanError> {
    let apart = |a: Range<usize>, b: Range<usize>| a.end <= b.start || b.end <= a.start;
    if inputs.iter().all(|input| apart(input.range(), output.range())) {
        return Ok(());
    }
    Err(PlanError::Damaged("a step that overwrites its input"))
}

#[cfg(test)]
mod tests {
    use crate::engine::layout::{ADD, CHECKSUM, DEPTHWISE, Header, Record, checksum};
    use crate::engine::plan::Plan;

    const SHIPPED: &[u8] = include_bytes!("../../models/mobilenetv2-128-int8.plan");

    /// What is said of the shipped plan once `change` has been made and the checksum set right again.
    fn refusal(change: impl FnOnce(&mut Header, &mut [Record])) -> String {
        let mut bytes = SHIPPED.to_vec();
        let (header, rest) = bytes.split_at_mut(size_of::<Header>());
        let mut new: Header = bytemuck::pod_read_unaligned(header);
        let records = new.steps as usize * size_of::<Record>();
        let mut steps: Vec<Record> =
            rest[..records].chunks_exact(size_of::<Record>()).map(bytemuck::pod_read_unaligned).collect();
        change(&mut new, &mut steps);
        rest[..records].copy_from_slice(bytemuck::cast_slice(&steps));
        header.copy_from_slice(bytemuck::bytes_of(&new));
        let sum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&sum);
        Plan::from_bytes(&bytes).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn no_offset_may_leave_the_file_or_the_arena() {
        assert_eq!(refusal(|_, _| ()), "", "the plan itself is good");
        let depthwise = |steps: &[Record]| steps.iter().position(|step| step.kind == DEPTHWISE).unwrap();
        let far = u32::MAX - 63;
        assert_eq!(refusal(|_, steps| steps[3].kind = 9), "damaged: a step of an unknown kind");
        assert_eq!(refusal(|_, steps| steps[1].input = far), "damaged: a tensor outside the arena");
        assert_eq!(refusal(|_, steps| steps[1].output = far), "damaged: a tensor outside the arena");
        assert_eq!(refusal(|_, steps| steps[1].output += 8), "damaged: a tensor outside the arena");
        assert_eq!(refusal(|_, steps| steps[2].side = far), "damaged: a tensor outside the arena");
        assert_eq!(refusal(|_, steps| steps[2].channels = 40), "damaged: a tensor outside the arena");
        assert_eq!(
            refusal(|_, steps| steps[1].output = steps[1].input),
            "damaged: a step that overwrites its input"
        );
        let constants: [fn(&mut Record); 3] = [
            |step| step.weights = u32::MAX - 63,
            |step| step.bias = u32::MAX - 63,
            |step| step.multiplier += 4,
        ];
        for change in constants {
            assert_eq!(refusal(|_, steps| change(&mut steps[2])), "damaged: a constant outside the file");
        }
        let stride = |stride| refusal(|_, steps| steps[depthwise(steps)].stride = stride);
        assert_eq!([stride(0), stride(3)], ["damaged: a depthwise step that is none"; 2]);
        assert_eq!(refusal(|_, steps| steps[0].zero[2] = 256), "damaged: a code above 255");
        assert_eq!(
            refusal(|_, steps| (steps[0].low, steps[0].high) = (9, 8)),
            "damaged: a smallest code above the largest"
        );
        assert_eq!(refusal(|header, _| header.steps += 1_000_000), "damaged: its steps are cut off");
        assert_eq!(refusal(|header, _| header.arena = far), "damaged: its arena is too large");
        assert_eq!(refusal(|header, _| header.taps[0].steps = 0), "damaged: a tap outside the plan");
        assert_eq!(refusal(|header, _| header.taps[1].offset += 64), "damaged: a tap outside the plan");
    }

    #[test]
    fn an_addition_needs_like_tensors_and_sane_scales() {
        let adding = |change: fn(&mut Record)| {
            refusal(|_, steps| change(steps.iter_mut().find(|step| step.kind == ADD).unwrap()))
        };
        assert_eq!(adding(|step| step.ratio[0] = f32::NAN), "damaged: an addition of unlike scales");
        assert_eq!(adding(|step| step.ratio[1] = 1e9), "damaged: an addition of unlike scales");
        assert_eq!(adding(|step| step.other = step.input), "damaged: an addition of unlike tensors");
    }
}
