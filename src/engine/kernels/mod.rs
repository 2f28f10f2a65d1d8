//! Kernels: the arithmetic of one step, once for each kind of CPU. All give identical bytes.
//!
//! ```text
//! sum  = bias + activations (u8) . weights (i8)           exact, 32 bits
//! code = clamp(round_half_even(sum as f32 * multiplier) + zero, low, high)
//! ```
//!
//! The one product in f32 is the same everywhere: nothing is fused and every machine rounds alike. This is
//! the only place with `unsafe` arithmetic; sizes are checked here, before a kernel is called.

mod rounding;
mod rows;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
#[cfg(target_arch = "aarch64")]
mod neon;

use super::layout::{LANES, MAX_CHANNELS, Rounding};
use std::fmt;
use std::str::FromStr;

/// Bytes that a kernel may use for itself.
pub const SCRATCH: usize = 2 * PIXELS * MAX_CHANNELS;
/// Most pixels that a kernel works on at once with its scratch.
const PIXELS: usize = 6;

/// A set of instructions that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// No instructions but those that every CPU of its kind has; the reference for the others.
    Scalar,
    /// x86-64 since 2013: dot products of two 16-bit values.
    Avx2,
    /// x86-64 with dot products of four bytes in 256 bits: Alder Lake, N100.
    AvxVnni,
    /// x86-64 with dot products of four bytes in 512 bits: Ice Lake and Zen 4 onwards.
    Avx512Vnni,
    /// Every 64-bit Arm: products of bytes, added in pairs.
    Neon,
    /// 64-bit Arm with dot products of four bytes: Raspberry Pi 5, Jetson Orin.
    Sdot,
}

impl Path {
    pub const ALL: [Path; 6] =
        [Path::Scalar, Path::Avx2, Path::AvxVnni, Path::Avx512Vnni, Path::Neon, Path::Sdot];

    pub const fn name(self) -> &'static str {
        match self {
            Path::Scalar => "scalar",
            Path::Avx2 => "avx2",
            Path::AvxVnni => "avx-vnni",
            Path::Avx512Vnni => "avx512-vnni",
            Path::Neon => "neon",
            Path::Sdot => "sdot",
        }
    }

    /// Whether this CPU has the instructions.
    pub fn available(self) -> bool {
        match self {
            Path::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Path::AvxVnni => Path::Avx2.available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Vnni => {
                is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "aarch64")]
            Path::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Path::Sdot => std::arch::is_aarch64_feature_detected!("dotprod"),
            _ => false,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(name: &str) -> Result<Path, String> {
        let known = Path::ALL.map(Path::name).join(", ");
        let found = Path::ALL.into_iter().find(|path| path.name() == name);
        found.ok_or_else(|| format!("no path {name:?}; there are {known}"))
    }
}

/// The constants of a convolution, one bias and one multiplier a channel.
#[derive(Clone, Copy)]
pub struct Convolution<'a> {
    pub weights: &'a [i8],
    pub bias: &'a [i32],
    /// For kernels that multiply signed bytes: of activations less 128.
    pub bias_signed: &'a [i32],
    pub multiplier: &'a [f32],
    pub rounding: Rounding,
}

/// The picture that a depthwise convolution runs over.
#[derive(Clone, Copy)]
pub struct Window {
    /// Rows, and columns, of the input.
    pub side: usize,
    /// 1 or 2.
    pub stride: usize,
    /// The code of zero: what lies around the input.
    pub border: u8,
}

/// Two tensors added: each less its zero point, times the ratio of its scale to the output's.
#[derive(Clone, Copy)]
pub struct Addition {
    pub zero: [u8; 2],
    pub ratio: [f32; 2],
    pub rounding: Rounding,
}

type Pointwise = unsafe fn(&Convolution, &[u8], &mut [u8], &mut [u8]);
type Depthwise = unsafe fn(&Convolution, &Window, &[u8], &mut [u8], &[u8]);
type Add = unsafe fn(&Addition, [&[u8]; 2], &mut [u8]);

/// The kernels of one path.
#[derive(Clone, Copy)]
pub struct Kernels {
    path: Path,
    pointwise: Pointwise,
    depthwise: Depthwise,
    add: Add,
}

impl Kernels {
    /// Those of the fastest path that this CPU has.
    pub fn best() -> Kernels {
        let fastest = Path::ALL.into_iter().rev().find_map(Kernels::new);
        fastest.expect("every CPU can run the scalar path")
    }

    /// `None` where this CPU lacks the instructions.
    pub fn new(path: Path) -> Option<Kernels> {
        let set = |pointwise, depthwise, add| Kernels { path, pointwise, depthwise, add };
        path.available().then(|| match path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => set(avx2::pointwise, avx2::depthwise, avx2::add),
            #[cfg(target_arch = "x86_64")]
            Path::AvxVnni => set(avxvnni::pointwise, avxvnni::depthwise, avx2::add),
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Vnni => set(avx512::pointwise, avx512::depthwise, avx512::add),
            #[cfg(target_arch = "aarch64")]
            Path::Neon => set(neon::pointwise::<false>, neon::depthwise, neon::add),
            #[cfg(target_arch = "aarch64")]
            Path::Sdot => set(neon::pointwise::<true>, neon::depthwise_sdot, neon::add),
            _ => set(scalar::pointwise, scalar::depthwise, scalar::add),
        })
    }

    pub fn path(&self) -> Path {
        self.path
    }

    /// A convolution 1 x 1. `input`: pixels of a multiple of 4 bytes; `output`: as many pixels of a multiple of
    /// [`LANES`] channels; weights `[channels / 16][depth / 4][16][4]`; `scratch`: [`SCRATCH`] bytes.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn pointwise(&self, conv: &Convolution, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
        let channels = conv.check();
        let pixels = output.len() / channels;
        let depth = input.len() / pixels;
        assert!(output.len() == pixels * channels && input.len() == pixels * depth);
        assert!(depth.is_multiple_of(4) && depth <= MAX_CHANNELS && conv.weights.len() == depth * channels);
        assert!(scratch.len() >= SCRATCH);
        // SAFETY: this CPU has the path's instructions (`new`), and every size was checked above.
        unsafe { (self.pointwise)(conv, input, output, scratch) }
    }

    /// A convolution 3 x 3 of each channel by itself, with one pixel of border. Tensors are rows, columns,
    /// channels; weights `[channels / 16][3 columns][16][4 rows]`; `scratch`: [`SCRATCH`] bytes.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn depthwise(
        &self,
        conv: &Convolution,
        window: &Window,
        input: &[u8],
        output: &mut [u8],
        scratch: &mut [u8],
    ) {
        let channels = conv.check();
        let Window { side, stride, border } = *window;
        assert!((1..=2).contains(&stride) && side.is_multiple_of(stride) && side > 0);
        let side_out = side / stride;
        assert!(input.len() == side * side * channels && output.len() == side_out * side_out * channels);
        assert!(conv.weights.len() == 3 * 4 * channels && scratch.len() >= SCRATCH);
        let border_pixel = &mut scratch[..channels];
        border_pixel.fill(border);
        // SAFETY: this CPU has the path's instructions (`new`), and every size was checked above.
        unsafe { (self.depthwise)(conv, window, input, output, border_pixel) }
    }

    /// Adds two tensors.
    ///
    /// # Panics
    /// If sizes differ or are no multiple of [`LANES`].
    pub fn add(&self, addition: &Addition, inputs: [&[u8]; 2], output: &mut [u8]) {
        assert!(inputs.iter().all(|input| input.len() == output.len()) && output.len().is_multiple_of(LANES));
        // SAFETY: this CPU has the path's instructions (`new`), and every size was checked above.
        unsafe { (self.add)(addition, inputs, output) }
    }
}

impl Convolution<'_> {
    /// Returns the channels.
    fn check(&self) -> usize {
        let channels = self.bias.len();
        assert!(channels > 0 && channels.is_multiple_of(LANES) && channels <= MAX_CHANNELS);
        assert!(self.bias_signed.len() == channels && self.multiplier.len() == channels);
        channels
    }
}
