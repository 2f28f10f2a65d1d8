//! Scripted scenes: what happens in a crop, second by second, and what a detector should make of it.

/// Frames a second of the scripted camera.
pub const FPS: f64 = 10.0;

/// What is going on in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Something moves: must be seen.
    Motion,
    /// A lamp or the infrared switch: must be told as a jump.
    Light,
    /// Lightning: may be told as a jump, is no motion.
    Flash,
    /// Somebody is there and may move or not.
    Busy,
}

#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub what: What,
    /// From when to when it must be seen.
    pub from: f64,
    pub to: f64,
    /// How much earlier it begins and later it ends, less clearly.
    pub margin: f64,
}

/// A thing that differs from what is behind it by so many code values.
struct Actor {
    contrast: f32,
    /// Left and right, top and bottom edge in fractions of the crop, at a time.
    place: Box<dyn Fn(f64) -> Option<[f64; 4]> + Sync>,
}

/// What the light does to a pixel: `(luma, x, y)` in code values and fractions of the crop.
type Light = Box<dyn Fn(f64, f32, f32, f32) -> f32 + Sync>;

pub struct Scene {
    pub name: String,
    pub width: usize,
    pub height: usize,
    pub seconds: f64,
    pub events: Vec<Event>,
    actors: Vec<Actor>,
    light: Option<Light>,
    noise: Box<dyn Fn(f64) -> f32 + Sync>,
    /// Streaks of rain in each picture.
    streaks: usize,
    /// Pixels that the camera shakes by.
    shake: i32,
    still: Vec<f32>,
}

impl Scene {
    pub fn new(name: impl Into<String>, (width, height): (usize, usize), seconds: f64) -> Scene {
        Scene {
            name: name.into(),
            width,
            height,
            seconds,
            events: Vec::new(),
            actors: Vec::new(),
            light: None,
            noise: Box::new(|_| 3.0),
            streaks: 0,
            shake: 0,
            still: still(width, height),
        }
    }

    pub fn noise(mut self, sigma: f32) -> Scene {
        self.noise = Box::new(move |_| sigma);
        self
    }

    pub fn rain(mut self, streaks: usize) -> Scene {
        self.streaks = streaks;
        self
    }

    pub fn shake(mut self, pixels: i32) -> Scene {
        self.shake = pixels;
        self
    }

    /// A box, `size` of the crop's shorter side wide and half as much again high, crosses it from left to right.
    pub fn pass(mut self, at: f64, lasting: f64, size: f64, contrast: f32) -> Scene {
        let shorter = self.width.min(self.height) as f64;
        let (w, h) = (size * shorter / self.width as f64, 1.5 * size * shorter / self.height as f64);
        let top = (0.45 - h / 2.0).max(0.0);
        let left = move |t: f64| (1.0 + w) * (t - at) / lasting - w;
        let place = move |t: f64| {
            (at..at + lasting).contains(&t).then(|| [left(t), left(t) + w, top, (top + h).min(1.0)])
        };
        self.actors.push(Actor { contrast, place: Box::new(place) });
        // From when it is wholly inside to when it begins to leave.
        let margin = lasting * w / (1.0 + w);
        self.events.push(Event { what: What::Motion, from: at + margin, to: at + lasting - margin, margin });
        self
    }

    /// A door slides over `size` of the crop within two seconds, stays, and slides back.
    pub fn door(mut self, at: f64, staying: f64, size: f64, contrast: f32) -> Scene {
        let leaves = at + 2.0 + staying;
        let place = move |t: f64| {
            let share = ((t - at) / 2.0).clamp(0.0, 1.0) - ((t - leaves) / 2.0).clamp(0.0, 1.0);
            (share > 0.0).then_some([0.1, 0.1 + 0.8 * share, 0.1, 0.1 + 0.8 * size])
        };
        self.actors.push(Actor { contrast, place: Box::new(place) });
        // Where it comes to rest is part of the change: later pictures show it too.
        for from in [at, leaves] {
            self.events.push(Event { what: What::Motion, from: from + 1.0, to: from + 3.0, margin: 1.0 });
        }
        self
    }

    /// The light over the whole crop, as a factor of its intensity; the camera's gamma is reckoned with.
    pub fn intensity(mut self, factor: impl Fn(f64) -> f64 + Sync + 'static) -> Scene {
        self.light = Some(Box::new(move |t, luma, _, _| luma * factor(t).powf(1.0 / 2.2) as f32));
        self
    }

    pub fn event(mut self, what: What, from: f64, to: f64) -> Scene {
        self.events.push(Event { what, from, to, margin: 0.0 });
        self
    }

    /// The camera's night: from `dusk` to `dawn` another tone curve, an infrared spot in the middle and a noisier
    /// picture, reached within two seconds of exposure control.
    pub fn infrared(mut self, dusk: f64, dawn: f64) -> Scene {
        self.light = Some(Box::new(move |t, luma, x, y| {
            let since = if t < dusk {
                f64::MAX
            } else if t < dawn {
                t - dusk
            } else {
                t - dawn
            };
            let night = (dusk..dawn).contains(&t);
            // Too dark, or too bright, until the exposure has followed.
            let exposure = match (night, since < 2.0) {
                (_, false) => 1.0,
                (true, true) => 0.35 + 0.65 * since as f32 / 2.0,
                (false, true) => 1.9 - 0.9 * since as f32 / 2.0,
            };
            let spot = 1.25 - 1.1 * ((x - 0.5).powi(2) + (y - 0.5).powi(2));
            // Foliage and cloth shine in infrared, paint does not.
            let tone = if night { (170.0 - 0.55 * (luma - 70.0).abs()) * spot } else { luma };
            tone * exposure
        }));
        self.noise = Box::new(move |t| if (dusk..dawn).contains(&t) { 7.0 } else { 3.0 });
        self.event(What::Light, dusk, dusk + 0.3).event(What::Light, dawn, dawn + 0.3)
    }

    pub fn frames(&self) -> usize {
        (self.seconds * FPS) as usize
    }

    /// Paints the luma of a frame.
    pub fn paint(&self, frame: usize, into: &mut Vec<u8>) {
        let t = frame as f64 / FPS;
        let (w, h) = (self.width, self.height);
        let mut picture = self.still.clone();
        for actor in &self.actors {
            let Some([left, right, top, bottom]) = (actor.place)(t) else { continue };
            let span = |from: f64, to: f64, size: usize| {
                let edge = |at: f64| ((at.clamp(0.0, 1.0) * size as f64).round() as usize).min(size);
                edge(from)..edge(to)
            };
            for y in span(top, bottom, h) {
                picture[y * w..][span(left, right, w)].iter_mut().for_each(|p| *p += actor.contrast);
            }
        }
        let random = |i: usize| hash((frame * 7919 + i) as u32);
        for streak in 0..self.streaks {
            let [a, b] = [random(2 * streak), random(2 * streak + 1)];
            let (x, y, length) = (a as usize % w, (a >> 16) as usize % h, 6 + b as usize % 9);
            for i in 0..length.min(h - y) {
                picture[(y + i) * w + (x + i / 4).min(w - 1)] += 30.0 + (b >> 8 & 31) as f32;
            }
        }
        if let Some(light) = &self.light {
            for (i, pixel) in picture.iter_mut().enumerate() {
                *pixel = light(t, *pixel, (i % w) as f32 / w as f32, (i / w) as f32 / h as f32);
            }
        }
        let sigma = (self.noise)(t) / 147.8;
        let step = |i: usize| (random(i) >> 5) as i32 % (2 * self.shake + 1) - self.shake;
        let (dx, dy) = (step(1), step(2));
        into.clear();
        for y in 0..h as i32 {
            let row = &picture[(y + dy).clamp(0, h as i32 - 1) as usize * w..][..w];
            into.extend((0..w as i32).map(|x| {
                let bytes = random((y * w as i32 + x) as usize + 10).to_le_bytes();
                let noise = bytes.iter().map(|&b| i32::from(b)).sum::<i32>() - 510;
                (row[(x + dx).clamp(0, w as i32 - 1) as usize] + noise as f32 * sigma) as u8
            }));
        }
    }
}

/// What is there when nothing happens: soft ground, a fence with hard edges, a wall.
fn still(width: usize, height: usize) -> Vec<f32> {
    let soft = |x: f32, y: f32, cell: f32| {
        let (cx, cy) = ((x / cell) as u32, (y / cell) as u32);
        let (fx, fy) = (x / cell - cx as f32, y / cell - cy as f32);
        let at = |dx, dy| (hash((cx + dx) * 131 + (cy + dy) * 7561) >> 24) as f32;
        let (top, bottom) = (at(0, 0) * (1.0 - fx) + at(1, 0) * fx, at(0, 1) * (1.0 - fx) + at(1, 1) * fx);
        top * (1.0 - fy) + bottom * fy
    };
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        let ground = 65.0 + 0.18 * soft(x, y, 31.0) + 0.1 * soft(x, y, 7.0) + 0.06 * soft(x, y, 2.0);
        let fence = x < 0.25 * width as f32 && i % width % 12 < 4 && y < 0.7 * height as f32;
        let wall = x > 0.7 * width as f32 && y < 0.35 * height as f32;
        ground + if fence { 70.0 } else { 0.0 } + if wall { 45.0 } else { 0.0 }
    };
    (0..width * height).map(pixel).collect()
}

fn hash(i: u32) -> u32 {
    let mut n = i.wrapping_mul(0x9E37_79B9) ^ 0x85EB_CA6B;
    n = (n ^ (n >> 15)).wrapping_mul(0x2C1B_3C6D);
    n = (n ^ (n >> 12)).wrapping_mul(0x297A_2D39);
    n ^ (n >> 15)
}

/// Every scripted scene, by group.
pub fn all() -> Vec<(&'static str, Vec<Scene>)> {
    const SIZES: [(usize, usize); 2] = [(220, 160), (80, 60)];
    let each =
        |make: &dyn Fn((usize, usize)) -> Vec<Scene>| SIZES.into_iter().flat_map(make).collect::<Vec<_>>();
    let calm = |name: String, size| Scene::new(name, size, 60.0).pass(48.0, 4.0, 0.25, -50.0);
    vec![
        ("objects crossing", each(&objects)),
        ("doors", each(&doors)),
        (
            "noise",
            each(&|size| {
                [2.0, 5.0, 10.0, 15.0, 20.0].map(|s| calm(format!("sigma {s}"), size).noise(s)).into()
            }),
        ),
        ("clouds", each(&|size| clouds(size))),
        ("lamps", each(&lamps)),
        ("infrared switch", each(&|size| vec![calm("infrared".into(), size).infrared(15.0, 35.0)])),
        ("lightning", each(&|size| vec![lightning(calm("lightning".into(), size))])),
        (
            "rain",
            each(&|(w, h)| {
                [100, 300].map(|n| calm(format!("{n} streaks"), (w, h)).rain(w * h * n / 35_200)).into()
            }),
        ),
        ("shake", each(&|size| vec![calm("1 pixel".into(), size).shake(1)])),
    ]
}

fn objects(size: (usize, usize)) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for part in [0.05, 0.08, 0.12, 0.2, 0.5] {
        for contrast in [-60.0, -30.0, -24.0, 24.0, 30.0, 60.0] {
            let mut scene = Scene::new(format!("{part} of the crop, {contrast:+}"), size, 92.0);
            for (at, lasting) in [(8.0, 0.8), (17.0, 2.0), (27.0, 8.0), (46.0, 30.0)] {
                scene = scene.pass(at, lasting, part, contrast);
            }
            scenes.push(scene);
        }
    }
    scenes
}

fn doors(size: (usize, usize)) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for part in [0.3, 1.0] {
        for contrast in [-60.0, -30.0, 30.0, 60.0] {
            let name = format!("{part} of the crop, {contrast:+}");
            scenes.push(Scene::new(name, size, 60.0).door(8.0, 20.0, part, contrast));
        }
    }
    scenes
}

/// The sun goes behind a cloud, twice; somebody passes meanwhile.
fn clouds(size: (usize, usize)) -> Vec<Scene> {
    let cloud = |lasting: f64| {
        let intensity = move |t: f64| {
            let ramp = |from: f64| ((t - from) / lasting).clamp(0.0, 1.0);
            1.0 - 0.6 * (ramp(8.0) - ramp(40.0) + ramp(72.0) - ramp(104.0))
        };
        let scene = Scene::new(format!("within {lasting} s"), size, 140.0).intensity(intensity);
        scene.pass(56.0, 4.0, 0.25, -50.0).pass(105.0, 4.0, 0.25, -50.0)
    };
    [2.0, 5.0, 10.0, 30.0].map(cloud).into()
}

fn lamps(size: (usize, usize)) -> Vec<Scene> {
    let lamp = |factor: f64| {
        let intensity = move |t: f64| if (10.0..30.0).contains(&t) { factor } else { 1.0 };
        let scene = Scene::new(format!("x {factor}"), size, 50.0).intensity(intensity);
        scene.event(What::Light, 10.0, 14.0).event(What::Light, 30.0, 34.0)
    };
    [0.3, 0.6, 1.7, 2.5, 4.0].map(lamp).into()
}

fn lightning(scene: Scene) -> Scene {
    const FLASHES: [(f64, f64); 6] =
        [(10.0, 3.0), (10.3, 1.6), (20.0, 2.0), (30.0, 1.5), (38.0, 3.0), (38.1, 2.0)];
    let flash = |scene: Scene, (at, _): (f64, f64)| scene.event(What::Flash, at, at + 0.2);
    let scene = FLASHES.into_iter().fold(scene, flash);
    scene.intensity(|t| {
        let hit = FLASHES.iter().rev().find(|(at, _)| (*at..at + 0.19).contains(&t));
        hit.map_or(1.0, |(at, factor)| if t < at + 0.09 { *factor } else { 1.0 + (factor - 1.0) / 3.0 })
    })
}
