//! Random layers, the same for the same seed on every machine: shapes, weights and pictures, ordinary ones and the
//! extremes.

use ajar::engine::kernels::{Addition, Convolution, Kernels, SCRATCH, Window};
use ajar::engine::layout::Rounding;

/// The output of a random convolution 1 x 1.
pub fn pointwise(seed: u64, kernels: &Kernels) -> Vec<u8> {
    let mut random = Random::new(seed);
    let depth = 4 * random.below(if seed.is_multiple_of(4) { 250 } else { 60 }) + 4;
    let channels = 16 * (random.below(9) + 1);
    let pixels = random.below(40) + 1;
    let input = random.codes(pixels * depth);
    let layer = Layer::random(&mut random, depth, depth * channels, channels);
    let mut output = vec![0; pixels * channels];
    kernels.pointwise(&layer.convolution(), &input, &mut output, &mut vec![0; SCRATCH]);
    output
}

/// The output of a random depthwise convolution.
pub fn depthwise(seed: u64, kernels: &Kernels) -> Vec<u8> {
    let mut random = Random::new(!seed);
    let stride = random.below(2) + 1;
    let side = stride * (random.below(9) + 1);
    let channels = 16 * (random.below(9) + 1);
    let window = Window { side, stride, border: random.next() as u8 };
    let input = random.codes(side * side * channels);
    let mut layer = Layer::random(&mut random, 9, 12 * channels, channels);
    // The fourth row of a packed column is always 0.
    layer.weights.iter_mut().skip(3).step_by(4).for_each(|weight| *weight = 0);
    layer.sign(|channel, weights| {
        let block = &weights[channel / 16 * 192..][..192];
        let taps = (0..3).flat_map(|column| &block[column * 64 + channel % 16 * 4..][..4]);
        taps.map(|&weight| i32::from(weight)).sum()
    });
    let side_out = side / stride;
    let mut output = vec![0; side_out * side_out * channels];
    kernels.depthwise(&layer.convolution(), &window, &input, &mut output, &mut vec![0; SCRATCH]);
    output
}

/// The sum of two random tensors.
pub fn add(seed: u64, kernels: &Kernels) -> Vec<u8> {
    let mut random = Random::new(seed.rotate_left(32));
    let length = 16 * (random.below(100) + 1);
    let inputs = [random.codes(length), random.codes(length)];
    let addition = Addition {
        zero: [random.next() as u8, random.next() as u8],
        ratio: [random.ratio(2.0), random.ratio(2.0)],
        rounding: random.rounding(),
    };
    let mut output = vec![0; length];
    kernels.add(&addition, [&inputs[0], &inputs[1]], &mut output);
    output
}

struct Layer {
    weights: Vec<i8>,
    bias: Vec<i32>,
    bias_signed: Vec<i32>,
    multiplier: Vec<f32>,
    rounding: Rounding,
}

impl Layer {
    /// `terms`: products in one sum, which sets how large a multiplier is sensible.
    fn random(random: &mut Random, terms: usize, weights: usize, channels: usize) -> Layer {
        let extreme = random.below(4) == 0;
        let weights: Vec<i8> = (0..weights)
            .map(|_| match random.below(255) as i32 - 127 {
                any if extreme => 127 * any.signum() as i8,
                any => any as i8,
            })
            .collect();
        let bias: Vec<i32> = (0..channels).map(|_| (random.next() as i32) >> 12).collect();
        // Sums spread over a few hundred codes, so that both ends saturate now and then.
        let spread = 10_000.0 * (terms as f32).sqrt();
        let multiplier = (0..channels).map(|_| random.ratio(400.0 / spread)).collect();
        let mut layer =
            Layer { weights, bias_signed: Vec::new(), bias, multiplier, rounding: random.rounding() };
        let depth = layer.weights.len() / channels;
        layer.sign(|channel, weights| {
            let block = &weights[channel / 16 * 16 * depth..][..16 * depth];
            let groups = block.chunks_exact(64).flat_map(|group| &group[channel % 16 * 4..][..4]);
            groups.map(|&weight| i32::from(weight)).sum()
        });
        layer
    }

    /// The bias for signed kernels; `sum`: of the weights of a channel.
    fn sign(&mut self, sum: impl Fn(usize, &[i8]) -> i32) {
        let signed = self.bias.iter().enumerate();
        self.bias_signed = signed.map(|(channel, bias)| bias + 128 * sum(channel, &self.weights)).collect();
    }

    fn convolution(&self) -> Convolution<'_> {
        Convolution {
            weights: &self.weights,
            bias: &self.bias,
            bias_signed: &self.bias_signed,
            multiplier: &self.multiplier,
            rounding: self.rounding,
        }
    }
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Above 0, at most `most`.
    fn ratio(&mut self, most: f32) -> f32 {
        most * (self.below(10_000) + 1) as f32 / 10_000.0
    }

    /// Any codes, or now and then only the largest.
    fn codes(&mut self, length: usize) -> Vec<u8> {
        let extreme = self.below(4) == 0;
        (0..length).map(|_| if extreme { 255 } else { self.next() as u8 }).collect()
    }

    fn rounding(&mut self) -> Rounding {
        let (a, b) = (self.next() as u8, self.next() as u8);
        let narrow = self.below(3) == 0;
        Rounding {
            zero: self.next() as u8,
            low: if narrow { a.min(b) } else { 0 },
            high: if narrow { a.max(b) } else { 255 },
        }
    }
}
