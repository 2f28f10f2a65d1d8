//! Tuning motion: a clip goes through the crop, the motion and the gate of the device, and everything they found is
//! kept for people to look at.

use super::clip::Clip;
use crate::camera::Source;
use crate::config::Codec;
use crate::exit::UsageError;
use crate::watch::crop::{CropBuffer, Region};
use crate::watch::gate::{Gate, GateSettings, MOTION_PERIOD, Reason};
use crate::watch::motion::{Motion, MotionSettings, Movement, Shown};
use anyhow::Result;
use embassy_time::{Duration, Instant};
use image::RgbImage;

/// Longest side of a kept picture.
const PICTURE: u32 = 240;
/// Pictures that are kept, so that memory is bounded however long the source.
const MOST_PICTURES: usize = 200;
/// Thresholds that are tried beside the one that is set.
const THRESHOLDS: [u8; 6] = [10, 15, 20, 25, 30, 40];
/// The device's clock when the clip begins: far enough from zero for every sum of times.
const START: Instant = Instant::from_secs(1_000);

pub struct Tune {
    pub source: String,
    pub crop: [f64; 4],
    pub codec: Codec,
    pub from: f64,
    pub to: Option<f64>,
    /// Seconds from one frame to the next; every frame unless given.
    pub every: Option<f64>,
    pub motion: MotionSettings,
    pub interval: Duration,
}

/// What was made of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub seconds: f64,
    pub movement: Movement,
    pub changed: usize,
    /// Why the watch would look, if it would.
    pub look: Option<Reason>,
}

/// A frame, and what the detector saw in it.
pub struct Picture {
    pub moment: Moment,
    pub crop: RgbImage,
    pub columns: usize,
    pub cells: Vec<Shown>,
}

/// Moments of movement with less than a second between them.
pub struct Stretch {
    pub from: f64,
    pub to: f64,
    /// Its most moving moment; `None` beyond the pictures that are kept.
    pub picture: Option<Picture>,
    pub strongest: Moment,
}

/// What another threshold would have made of the clip.
pub struct Other {
    pub threshold: u8,
    pub stretches: usize,
    pub looks: usize,
}

/// Everything that was found.
pub struct Course {
    pub moments: Vec<Moment>,
    pub stretches: Vec<Stretch>,
    /// The still frame that came nearest to motion.
    pub nearest: Option<Picture>,
    pub others: Vec<Other>,
    pub region: Region,
    /// Width and height of the crop in pixels, columns and rows of its grid.
    pub size: (usize, usize),
    pub grid: (usize, usize),
    /// Changed cells that are motion.
    pub limit: usize,
}

/// A watch without a model: all that comes before the look.
struct Eye {
    motion: Box<Motion>,
    gate: Gate,
    last_movement: f64,
    other: Other,
}

impl Eye {
    fn new(motion: MotionSettings, interval: Duration) -> Eye {
        let gate = Gate::new(GateSettings { motion: Some(motion), interval });
        let other = Other { threshold: motion.threshold, stretches: 0, looks: 0 };
        Eye { motion: Box::new(Motion::new(motion)), gate, last_movement: f64::MIN, other }
    }

    /// As `Watch::see` does. The second: whether a stretch of movement begins.
    fn see(&mut self, seconds: f64, crop: &CropBuffer) -> (Moment, bool) {
        let now = START.saturating_add(Duration::from_micros((seconds * 1e6) as u64));
        let movement = self.motion.update(now, crop);
        let look = self.gate.ask(now, movement != Movement::Still, false);
        let mut begins = false;
        if movement != Movement::Still {
            begins = seconds - self.last_movement > MOTION_PERIOD.as_millis() as f64 / 1e3;
            self.last_movement = seconds;
        }
        self.other.stretches += usize::from(begins);
        self.other.looks += usize::from(look.is_some());
        (Moment { seconds, movement, changed: self.motion.changed(), look }, begins)
    }

    fn picture(&self, moment: Moment, crop: &CropBuffer) -> Picture {
        let (width, height) = (crop.width() as u32, crop.height() as u32);
        let mut rgb = RgbImage::new(width, height);
        crop.for_each_rgb(|x, y, pixel| rgb.put_pixel(x as u32, y as u32, image::Rgb(pixel)));
        let longest = width.max(height);
        let scaled = |side: u32| (side * PICTURE.min(longest) / longest).max(1);
        let crop = image::imageops::thumbnail(&rgb, scaled(width), scaled(height));
        Picture { moment, crop, columns: self.motion.grid().0, cells: self.motion.shown().collect() }
    }
}

impl Tune {
    pub fn run(&self) -> Result<Course> {
        let mut clip = Clip::open(&self.source, self.codec)?;
        let mut crop = Box::<CropBuffer>::default();
        let mut eye = Eye::new(self.motion, self.interval);
        let others = THRESHOLDS.iter().filter(|&&threshold| threshold != self.motion.threshold);
        let mut others: Vec<Eye> = others
            .map(|&threshold| Eye::new(MotionSettings { threshold, ..self.motion }, self.interval))
            .collect();
        let (mut moments, mut stretches) = (Vec::new(), Vec::<Stretch>::new());
        let (mut nearest, mut next, mut region) = (None::<Picture>, self.from, Region::FULL);
        while let Some((seconds, sample)) = clip.next()? {
            if self.to.is_some_and(|to| seconds >= to) {
                break;
            }
            if seconds < next {
                continue;
            }
            next = self.every.map_or(next, |every| seconds + every);
            region = clip.cut(&sample, self.crop, &mut crop)?;
            let (moment, begins) = eye.see(seconds, &crop);
            others.iter_mut().for_each(|other| {
                other.see(seconds, &crop);
            });
            moments.push(moment);
            if moment.movement == Movement::Still {
                let nearer = |picture: &Picture| moment.changed > picture.moment.changed;
                // The first frames have nothing to be compared with, or no noise to be judged by.
                let judged = moments.len() > 1 && moment.changed < eye.motion.limit();
                if judged && nearest.as_ref().is_none_or(nearer) {
                    nearest = Some(eye.picture(moment, &crop));
                }
                continue;
            }
            if begins {
                stretches.push(Stretch { from: seconds, to: seconds, picture: None, strongest: moment });
            }
            let count = stretches.len();
            let Some(stretch) = stretches.last_mut() else { continue };
            stretch.to = seconds;
            if begins || moment.changed > stretch.strongest.changed {
                stretch.strongest = moment;
                stretch.picture = (count <= MOST_PICTURES).then(|| eye.picture(moment, &crop));
            }
        }
        if moments.len() < 2 {
            let source = Source::parse(&self.source).redacted();
            let why = format!("{source}: nothing to compare: fewer than two frames from --from on");
            return Err(UsageError(why).into());
        }
        let mut others: Vec<Other> = others.into_iter().map(|eye| eye.other).collect();
        others.push(eye.other);
        others.sort_by_key(|other| other.threshold);
        let (grid, limit) = (eye.motion.grid(), eye.motion.limit());
        let size = (crop.width(), crop.height());
        Ok(Course { moments, stretches, nearest, others, region, size, grid, limit })
    }
}

impl Course {
    pub fn cells(&self) -> usize {
        self.grid.0 * self.grid.1
    }

    /// Seconds from the first frame to the last.
    pub fn seconds(&self) -> f64 {
        let at = |moment: Option<&Moment>| moment.map_or(0.0, |moment| moment.seconds);
        at(self.moments.last()) - at(self.moments.first())
    }

    pub fn looks(&self, why: Reason) -> usize {
        self.moments.iter().filter(|moment| moment.look == Some(why)).count()
    }
}
