//! The view: whether what a camera sends is a picture of the scene at all, and of the one it was set up for.
//!
//! ```text
//! every frame   geometry.rs  has it the shape that the crop was drawn on?
//!               frozen.rs    is it another picture than the one before?
//!               light.rs     has the light jumped?
//! every look    cover.rs     is it black, blank or blurred?
//!               place.rs     does the camera still look where its reference picture was taken?
//! ```
//!
//! A fault of the stream blinds the watch until it is gone. What a look finds is a vote like the model's.

pub mod cover;
pub mod edges;
pub mod frozen;
pub mod geometry;
pub mod light;
pub mod place;
#[cfg(test)]
pub mod scene;

use super::crop::{CropBuffer, Region};
use super::decision::Unknown;
use super::thumbnail::Thumbnail;
use edges::Edges;
use embassy_time::Duration;
use frozen::Frozen;
use geometry::{Geometry, Size};
use light::{Light, Lighting};
use place::{Ground, Place, place};

/// Most reference pictures of one camera, such as by day and by night.
pub const MAX_REFERENCES: usize = 4;

#[derive(Clone, Debug)]
pub struct ViewSettings {
    pub crop: Region,
    /// Width by height of the frames that the crop was drawn on; that of the first frame if nobody says.
    pub aspect: Option<f32>,
    /// Time without any change after which a picture is frozen; 0 for never.
    pub frozen_after: Duration,
    /// What is not to be looked for in a picture: where black, for one, is how the scene may look.
    pub ignore: heapless::Vec<Unknown, 3>,
}

/// What a frame is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Clear,
    /// Nothing is to be concluded from this frame, nor from those before it.
    Unsettled,
    /// The same, and it does not even count as one.
    Unusable,
    /// Nothing is to be concluded until this is over.
    Blind(Unknown),
}

pub struct View {
    settings: ViewSettings,
    geometry: Geometry,
    frozen: Frozen,
    lighting: Lighting,
    references: heapless::Vec<Edges, MAX_REFERENCES>,
    /// Of the picture that is looked at.
    edges: Edges,
}

impl View {
    pub fn new(settings: ViewSettings) -> View {
        let mut geometry = Geometry::default();
        geometry.expect(settings.aspect);
        View {
            settings,
            geometry,
            frozen: Frozen::default(),
            lighting: Lighting::default(),
            references: heapless::Vec::new(),
            edges: Edges::default(),
        }
    }

    /// Goes on with another model's settings, and without a reference.
    pub fn adopt(&mut self, settings: ViewSettings) {
        self.geometry.expect(settings.aspect);
        self.settings = settings;
        self.references.clear();
    }

    /// Adds a picture of what the camera shall look at. More than there is room for are left out.
    pub fn refer_to(&mut self, reference: &Thumbnail) {
        self.edges.take(reference);
        let _ = self.references.push(self.edges.clone());
    }

    /// How often the stream brings a picture that is not made from those before it.
    pub fn set_keyframe_interval(&mut self, interval: Duration) {
        self.frozen.set_keyframe_interval(interval);
    }

    /// Takes in a frame.
    pub fn see(&mut self, crop: &CropBuffer, thumbnail: &Thumbnail) -> Sight {
        let size = self.geometry.see(crop.frame_size());
        let frozen = self.frozen.see(crop, self.settings.frozen_after);
        let light = self.lighting.see(crop.arrival(), thumbnail);
        match (size, frozen, light) {
            (Size::New, ..) => Sight::Unusable,
            (Size::OtherShape, ..) => Sight::Blind(Unknown::Geometry),
            (_, true, _) => Sight::Blind(Unknown::Frozen),
            (_, _, Light::Jumped | Light::Settling) => Sight::Unsettled,
            _ => Sight::Clear,
        }
    }

    /// What is wrong with a picture that is looked at.
    pub fn look(&mut self, crop: &CropBuffer, thumbnail: &Thumbnail) -> Option<Unknown> {
        self.edges.take(thumbnail);
        // The softest of several: none of them says that the picture must be sharper.
        let softest = self.references.iter().max_by(|a, b| a.softness().total_cmp(&b.softness()));
        let found = cover::cover(crop, thumbnail, &self.edges, softest);
        let found = found.or_else(|| self.moved(crop.frame_size()));
        found.filter(|found| !self.settings.ignore.contains(found))
    }

    /// The camera looks elsewhere than in any of the pictures that tell.
    fn moved(&self, (width, height): (usize, usize)) -> Option<Unknown> {
        let ground = Ground::new(self.settings.crop, width as f32 / height.max(1) as f32);
        let mut elsewhere = false;
        for reference in &self.references {
            match place(reference, &self.edges, &ground) {
                Place::Home => return None,
                Place::Elsewhere => elsewhere = true,
                Place::Untold => {}
            }
        }
        elsewhere.then_some(Unknown::Moved)
    }
}

#[cfg(test)]
mod tests {
    use super::scene::{HEIGHT, Picture, WIDTH, noise, street};
    use super::*;
    use crate::watch::Watch;
    use crate::watch::decision::{
        Classification, DecisionSettings, NO_DWELL, Probabilities, States, Verdict,
    };
    use crate::watch::gate::GateSettings;
    use crate::watch::motion::MotionSettings;
    use embassy_time::Instant;

    /// A watch that is shown ten frames a second, and a model that always sees the same state.
    struct Scene {
        watch: Box<Watch>,
        ms: u64,
        changes: Vec<(u64, &'static str)>,
    }

    fn crop() -> Region {
        Region::new([0.4, 0.4, 0.6, 0.7]).unwrap()
    }

    impl Scene {
        const DECISION: DecisionSettings = DecisionSettings {
            threshold: 0.8,
            max_distance: 1.0,
            verification: 3,
            dwell: NO_DWELL,
            stale_after: Duration::from_secs(15),
        };

        fn new(frozen_after: Duration) -> Scene {
            let view =
                ViewSettings { crop: crop(), aspect: None, frozen_after, ignore: heapless::Vec::new() };
            let gate =
                GateSettings { motion: Some(MotionSettings::DEFAULT), interval: Duration::from_secs(1) };
            let start = Instant::from_millis(1_000_000);
            Scene {
                watch: Box::new(Watch::new(gate, view, Scene::DECISION, start)),
                ms: 0,
                changes: Vec::new(),
            }
        }

        fn show(&mut self, picture: Picture) {
            let now = Instant::from_millis(1_000_000 + self.ms);
            let Picture { crop, thumbnail } = picture;
            let mut change = None;
            if self.watch.see(now, &crop, &thumbnail).is_some() {
                let probabilities = Probabilities::from_slice(&[0.9, 0.1]).unwrap();
                change = self.watch.conclude(now, &Classification { probabilities, distance: None }).1;
            }
            let change = change.or_else(|| self.watch.pass(now));
            let name = |to: Verdict| to.unknown().map_or("state", Unknown::name);
            self.changes.extend(change.map(|change| (self.ms, name(change.to))));
            self.ms += 100;
        }

        /// The street for a time, as the camera's noise makes it, seen through `optics`.
        fn street(&mut self, seconds: u64, optics: impl Fn(f32) -> f32) {
            for _ in 0..seconds * 10 {
                let ms = self.ms;
                self.show(Picture::new(ms, (WIDTH, HEIGHT), crop(), |column, row| {
                    let (x, y) = (column as f32 / WIDTH as f32, row as f32 / WIDTH as f32);
                    optics(street(x, y)) as u8 + noise(row * WIDTH + column, ms as u32, 2)
                }));
            }
        }
    }

    #[test]
    fn a_frozen_picture_is_unknown_until_it_lives_again_and_is_verified() {
        let mut scene = Scene::new(Duration::from_secs(30));
        scene.street(5, |luma| luma);
        for _ in 0..400 {
            let ms = scene.ms;
            scene.show(Picture::street(ms, crop(), (0.0, 0.0), 0.0, 1.0));
        }
        let frozen_at = 5_000 + 30_000;
        assert_eq!(scene.changes, [(1_000, "state"), (frozen_at, "frozen")]);
        let now = Instant::from_millis(1_000_000 + scene.ms);
        assert!(!scene.watch.wants(now).now, "more frames of a frozen picture would be in vain");
        scene.street(5, |luma| luma);
        assert_eq!(scene.changes.last(), Some(&(46_000, "state")), "three looks after it lives");
    }

    #[test]
    fn a_flash_and_infra_red_count_only_once_the_camera_has_settled() {
        let mut scene = Scene::new(Duration::MIN);
        scene.street(1, |luma| luma);
        // Two looks say so, then it flashes: they do not count.
        assert_eq!(scene.changes, []);
        scene.street(1, |luma| (luma + 60.0).min(240.0));
        scene.street(10, |luma| luma);
        assert_eq!(scene.changes, [(2_000 + 2_000 + 1_000, "state")]);
    }

    #[test]
    fn black_and_blank_pictures_are_verified_like_a_state() {
        let mut scene = Scene::new(Duration::MIN);
        scene.street(3, |luma| luma);
        scene.street(5, |_| 4.0);
        scene.street(5, |_| 250.0);
        scene.street(5, |luma| luma);
        let reasons: Vec<&str> = scene.changes.iter().map(|change| change.1).collect();
        assert_eq!(reasons, ["state", "dark", "covered", "state"]);
    }

    #[test]
    fn a_size_that_is_never_the_same_twice_is_as_good_as_no_frame() {
        let mut scene = Scene::new(Duration::MIN);
        scene.street(3, |luma| luma);
        for i in 0..170 {
            let (ms, width) = (scene.ms, 320 + i % 2 * 160);
            scene.show(Picture::new(ms, (width, width * 9 / 16), crop(), |column, _| column as u8));
        }
        assert_eq!(scene.changes, [(1_000, "state"), (18_000, "stale")]);
    }

    #[test]
    fn what_is_ignored_is_left_to_the_model() {
        let mut scene = Scene::new(Duration::MIN);
        let ignore = heapless::Vec::from_slice(&[Unknown::Dark]).unwrap();
        let view = ViewSettings { crop: crop(), aspect: None, frozen_after: Duration::MIN, ignore };
        let start = Instant::from_millis(1_000_000);
        scene.watch.adopt(start, view, Scene::DECISION, States::Same);
        scene.street(5, |_| 4.0);
        scene.street(8, |_| 250.0);
        let reasons: Vec<&str> = scene.changes.iter().map(|change| change.1).collect();
        assert_eq!(reasons, ["state", "covered"]);
    }

    #[test]
    fn a_moved_camera_is_unknown_until_it_is_back() {
        let mut scene = Scene::new(Duration::MIN);
        scene.watch.refer_to(&Picture::street(0, crop(), (0.0, 0.0), 0.0, 1.0).thumbnail);
        let mut turn = |x: f32| {
            for _ in 0..50 {
                let ms = scene.ms;
                scene.show(Picture::street(ms, crop(), (x, 0.0), 0.0, 1.0));
            }
            scene.changes.last().map(|change| change.1)
        };
        assert_eq!([0.0, 0.1, 0.0, 0.01].map(&mut turn), ["state", "moved", "state", "state"].map(Some));
    }

    #[test]
    fn another_shape_is_unknown_and_another_size_is_not() {
        let mut scene = Scene::new(Duration::MIN);
        let mut show = |(width, height): (usize, usize)| {
            for _ in 0..40 {
                let ms = scene.ms;
                scene.show(Picture::new(ms, (width, height), crop(), |column, row| {
                    street(column as f32 / width as f32, row as f32 / width as f32) as u8
                }));
            }
            scene.changes.last().map(|change| (change.0, change.1))
        };
        assert_eq!(show((320, 180)), Some((1_000, "state")));
        assert_eq!(show((640, 360)), Some((1_000, "state")));
        // The second frame says that it is no accident.
        assert_eq!(show((320, 240)), Some((8_100, "geometry")));
        assert!(show((640, 360)).is_some_and(|(ms, name)| name == "state" && ms >= 13_000));
    }
}
