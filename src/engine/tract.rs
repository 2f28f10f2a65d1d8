//! tract: reads ONNX files for lowering, runs those that cannot be lowered, and is the reference for the rest.

use super::features::{ALL_VALUES, Block, Features, deepest_tap};
use super::{EngineError, Tap};
use crate::watch::crop::INPUT_SIDE;
use crate::watch::input::Input;
use crate::watch::quantise::{INPUT_SCALE, INPUT_ZERO_POINT};
use tract_onnx::prelude::*;

/// An ONNX backbone as tract runs it: slower, and with allocations. Clones share its weights.
#[derive(Clone)]
pub struct Tract {
    deepest: Tap,
    model: Arc<TypedRunnableModel>,
    planes: Vec<f32>,
    /// The activations at each tap: rows, columns, channels.
    maps: [Vec<f32>; 2],
    features: Vec<f32>,
}

/// Reads an ONNX file. Everything behind the `deepest` tap is left out.
pub(super) fn parse(onnx: &[u8], deepest: Tap) -> Result<InferenceModel, EngineError> {
    let outputs: &[&str] = match deepest {
        Tap::Mid => &[Tap::Mid.name()],
        Tap::Last => &[Tap::Mid.name(), Tap::Last.name()],
    };
    let parse = || -> TractResult<_> {
        let mut model = tract_onnx::onnx().model_for_read(&mut &onnx[..])?;
        model.select_outputs_by_name(outputs)?;
        model.set_input_fact(0, f32::fact([1, 3, INPUT_SIDE, INPUT_SIDE]).into())?;
        Ok(model)
    };
    parse().map_err(|error| EngineError::load(&error))
}

impl Tract {
    pub fn load(onnx: &[u8], deepest: Tap) -> Result<Tract, EngineError> {
        let model = parse(onnx, deepest)?;
        let optimize = || -> TractResult<_> {
            let model = model.into_optimized()?;
            for (output, tap) in model.outputs.iter().zip([Tap::Mid, Tap::Last]) {
                let fact = model.outlet_fact(*output)?;
                let side = tap.side();
                if fact.shape.as_concrete() != Some(&[1, tap.channels(), side, side]) {
                    let name = tap.name();
                    return Err(TractError::msg(format!("output {name} has the shape {:?}", fact.shape)));
                }
            }
            model.into_runnable()
        };
        let model = optimize().map_err(|error| EngineError::load(&error))?;
        let maps = [Tap::Mid, Tap::Last].map(|tap| vec![0.0; tap.values()]);
        let planes = vec![0.0; 3 * INPUT_SIDE * INPUT_SIDE];
        Ok(Tract { deepest, model, planes, maps, features: vec![0.0; ALL_VALUES] })
    }

    /// Runs as far as the deepest tap and pools `blocks`.
    pub fn run<'a>(&'a mut self, input: &Input, blocks: &'a [Block]) -> Result<Features<'a>, EngineError> {
        if deepest_tap(blocks) > self.deepest {
            return Err(EngineError::Run(format!("it was loaded to {} only", self.deepest.name())));
        }
        self.run_maps(input).map_err(|error| EngineError::Run(format!("{error:#}")))?;
        for block in blocks {
            block.pool(&self.maps[block.tap() as usize], |value| value, &mut self.features);
        }
        Ok(Features::new(&self.features, blocks))
    }

    /// The activations at `tap` after a run: rows, columns, channels.
    pub fn tap(&self, tap: Tap) -> &[f32] {
        &self.maps[tap as usize]
    }

    fn run_maps(&mut self, input: &Input) -> TractResult<()> {
        for (channel, plane) in self.planes.chunks_exact_mut(INPUT_SIDE * INPUT_SIDE).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(input.codes.chunks_exact(4)) {
                *value = (f32::from(pixel[channel]) - f32::from(INPUT_ZERO_POINT)) * INPUT_SCALE;
            }
        }
        let tensor = Tensor::from_shape(&[1, 3, INPUT_SIDE, INPUT_SIDE], &self.planes)?;
        let outputs = self.model.run(tvec!(tensor.into_tvalue()))?;
        for ((output, tap), map) in outputs.iter().zip([Tap::Mid, Tap::Last]).zip(&mut self.maps) {
            let output = output.try_as_plain_ram()?;
            let planes = output.as_slice::<f32>()?.chunks_exact(tap.side() * tap.side());
            for (channel, plane) in planes.enumerate() {
                let values = map.iter_mut().skip(channel).step_by(tap.channels());
                values.zip(plane).for_each(|(value, &x)| *value = x);
            }
        }
        Ok(())
    }
}
