//! What the front of the pipe costs: a crop's copy into its buffer and its motion, paid for every frame, and the
//! fused step into the engine's input, paid for every look.
//!
//!     cargo bench --bench front --no-default-features
//!
//! Microseconds of the thread's own CPU time, minimum and median of single calls; the cases take
//! turns, so that a disturbance hits all of them.

use ajar::watch::crop::{CropBuffer, PixelRect};
use ajar::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use ajar::watch::input::{Input, sample};
use ajar::watch::motion::Motion;
use embassy_time::{Duration, Instant};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

const ROUNDS: usize = 200;

#[derive(Clone, Copy)]
enum Layout {
    I420,
    Nv12,
}

/// Noise; no step's time depends on what it sees.
struct Picture {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl Picture {
    fn new(width: usize, height: usize) -> Picture {
        let mut seed = 1u32;
        let mut noise = |len: usize| -> Vec<u8> {
            let next = |_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                (seed >> 24) as u8
            };
            (0..len).map(next).collect()
        };
        Picture { width, height, luma: noise(width * height), chroma: noise(width * height / 2) }
    }

    fn frame(&self, layout: Layout) -> Frame<'_> {
        let (u, v) = self.chroma.split_at(self.chroma.len() / 2);
        let half = |bytes| Plane { bytes, stride: self.width / 2 };
        let chroma = match layout {
            Layout::I420 => Chroma::Planar { u: half(u), v: half(v) },
            Layout::Nv12 => Chroma::Interleaved(Plane { bytes: &self.chroma, stride: self.width }),
        };
        let luma = Plane { bytes: &self.luma, stride: self.width };
        let colour = Colour { matrix: Matrix::Bt709, range: Range::Limited };
        let (width, height) = (self.width, self.height);
        Frame { width, height, luma, chroma, colour, arrival: Instant::MIN }
    }
}

/// One crop of one frame, and what each call took.
struct Case<'a> {
    name: String,
    frame: Frame<'a>,
    rect: PixelRect,
    motion: Box<Motion>,
    copy: Vec<f64>,
    moved: Vec<f64>,
    from_buffer: Vec<f64>,
    from_frame: Vec<f64>,
}

/// Microseconds of CPU time.
fn time(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let start = now();
    work();
    now() - start
}

fn minimum_and_median(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    format!("{:7.1} {:7.1}", times[0], times[times.len() / 2])
}

fn main() {
    let pictures = [(1280, 720), (1920, 1080)].map(|(width, height)| Picture::new(width, height));
    let mut cases = Vec::new();
    for picture in &pictures {
        for (layout, layout_name) in [(Layout::I420, "I420"), (Layout::Nv12, "NV12")] {
            for side in [100, 220, 480, 1000] {
                let (width, height) = (side, side.min(picture.height));
                let name = format!("{}x{} {layout_name} {width}x{height}", picture.width, picture.height);
                let rect = PixelRect { x: 34, y: picture.height - height, width, height };
                let frame = picture.frame(layout);
                let motion = Box::default();
                let [copy, moved, from_buffer, from_frame] = [const { Vec::new() }; 4];
                cases.push(Case { name, frame, rect, motion, copy, moved, from_buffer, from_frame });
            }
        }
    }
    let mut crop = Box::<CropBuffer>::default();
    let mut input = Box::<Input>::default();
    for round in 0..ROUNDS {
        let now = Instant::from_secs(1) + Duration::from_millis(200) * round as u32;
        for case in &mut cases {
            case.copy.push(time(|| crop.copy_from(black_box(&case.frame), case.rect)));
            case.moved.push(time(|| _ = black_box(case.motion.update(now, black_box(&crop)))));
            case.from_buffer.push(time(|| crop.sample(black_box(&mut input))));
            case.from_frame.push(time(|| sample(black_box(&case.frame), case.rect, black_box(&mut input))));
        }
    }
    println!(
        "{:25}{:>15} {:>15} {:>15} {:>15}",
        "us: min, median", "copy", "motion", "step, buffer", "step, frame"
    );
    for case in &mut cases {
        let [copy, motion, from_buffer, from_frame] =
            [&mut case.copy, &mut case.moved, &mut case.from_buffer, &mut case.from_frame]
                .map(|times| minimum_and_median(times));
        println!("{:25}{copy} {motion} {from_buffer} {from_frame}", case.name);
    }
}
