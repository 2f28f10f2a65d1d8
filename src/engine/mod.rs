//! The engine: crop in, taps out.
//!
//! The backbone is a MobileNetV2 with int8 weights and u8 activations (`models/README.md`). It is
//! cut open at two places, the taps; [`features`] pools them, [`head`] turns the features into
//! probabilities.

pub mod features;
pub mod head;

use crate::watch::crop::{INPUT_SIDE, Input};
use crate::watch::input::INPUT_CHANNELS;
use crate::watch::quantise::{INPUT_SCALE, INPUT_ZERO_POINT};
pub use crate::watch::quantise::{MEAN, STD};
use tract_onnx::prelude::*;

/// A place where the backbone's activations can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tap {
    /// Output of block 13: 96 channels, 8 x 8, stride 16.
    Mid,
    /// The last map: 1280 channels, 4 x 4, stride 32.
    Last,
}

impl Tap {
    /// Name of the ONNX output.
    pub const fn name(self) -> &'static str {
        match self {
            Tap::Mid => "mid",
            Tap::Last => "last",
        }
    }

    pub const fn channels(self) -> usize {
        match self {
            Tap::Mid => 96,
            Tap::Last => 1280,
        }
    }

    /// Rows, and columns, of the map.
    pub const fn side(self) -> usize {
        match self {
            Tap::Mid => INPUT_SIDE / 16,
            Tap::Last => INPUT_SIDE / 32,
        }
    }

    pub const fn values(self) -> usize {
        self.channels() * self.side() * self.side()
    }
}

/// The activations at each tap, channel by channel, row by row. `last` keeps its old content
/// where the engine stops at `mid`.
pub struct Taps {
    pub mid: Box<[f32]>,
    pub last: Box<[f32]>,
}

impl Default for Taps {
    fn default() -> Self {
        let zeros = |tap: Tap| vec![0.0; tap.values()].into_boxed_slice();
        Taps { mid: zeros(Tap::Mid), last: zeros(Tap::Last) }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the backbone cannot be loaded: {0}")]
    Load(String),
    #[error("inference failed: {0}")]
    Run(String),
}

/// A loaded backbone; clones share its weights. tract runs the ONNX file as it is.
#[derive(Clone)]
pub struct Engine {
    deepest: Tap,
    model: Arc<TypedRunnableModel>,
    planes: Vec<f32>,
}

impl Engine {
    /// Parses the backbone's ONNX file. Everything behind the `deepest` tap is left out.
    pub fn load(onnx: &[u8], deepest: Tap) -> Result<Engine, EngineError> {
        let failed = |error: TractError| EngineError::Load(format!("{error:#}"));
        let outputs: &[&str] = match deepest {
            Tap::Mid => &[Tap::Mid.name()],
            Tap::Last => &[Tap::Mid.name(), Tap::Last.name()],
        };
        let shape = [1, 3, INPUT_SIDE, INPUT_SIDE];
        let load = || -> TractResult<_> {
            let mut model = tract_onnx::onnx().model_for_read(&mut &onnx[..])?;
            model.select_outputs_by_name(outputs)?;
            model.set_input_fact(0, f32::fact(shape).into())?;
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
        Ok(Engine { deepest, model: load().map_err(failed)?, planes: vec![0.0; 3 * INPUT_SIDE * INPUT_SIDE] })
    }

    pub fn deepest(&self) -> Tap {
        self.deepest
    }

    /// Runs the backbone as far as its deepest tap.
    pub fn run(&mut self, input: &Input, taps: &mut Taps) -> Result<(), EngineError> {
        let mut run = || -> TractResult<()> {
            for (channel, plane) in self.planes.chunks_exact_mut(INPUT_SIDE * INPUT_SIDE).enumerate() {
                for (value, pixel) in plane.iter_mut().zip(input.codes.chunks_exact(INPUT_CHANNELS)) {
                    *value = (f32::from(pixel[channel]) - f32::from(INPUT_ZERO_POINT)) * INPUT_SCALE;
                }
            }
            let tensor = Tensor::from_shape(&[1, 3, INPUT_SIDE, INPUT_SIDE], &self.planes)?;
            let outputs = self.model.run(tvec!(tensor.into_tvalue()))?;
            for (output, tap) in outputs.iter().zip([&mut taps.mid, &mut taps.last]) {
                tap.copy_from_slice(output.try_as_plain_ram()?.as_slice::<f32>()?);
            }
            Ok(())
        };
        run().map_err(|error| EngineError::Run(format!("{error:#}")))
    }
}
