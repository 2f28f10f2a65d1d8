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
pub mod frozen;
pub mod geometry;
pub mod light;
pub mod place;

use super::crop::{CropBuffer, Region};
use super::decision::Unknown;
use super::thumbnail::Thumbnail;
use embassy_time::Duration;
use frozen::Frozen;
use geometry::{Geometry, Size};
use light::{Light, Lighting};
use place::{Edges, Ground, Place, place};

/// Most reference pictures of one camera, such as by day and by night.
pub const MAX_REFERENCES: usize = 4;

#[derive(Clone, Copy, Debug)]
pub struct ViewSettings {
    pub crop: Region,
    /// Width by height of the frames that the crop was drawn on; that of the first frame if nobody says.
    pub aspect: Option<f32>,
    /// Time without any change after which a picture is frozen; 0 for never.
    pub frozen_after: Duration,
}

/// What a frame is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Clear,
    /// Nothing is to be concluded from this frame, nor from those before it.
    Unsettled,
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
        let mut view = View {
            settings,
            geometry: Geometry::default(),
            frozen: Frozen::default(),
            lighting: Lighting::default(),
            references: heapless::Vec::new(),
            edges: Edges::default(),
        };
        view.geometry.expect(settings.aspect);
        view
    }

    /// Goes on with another model's settings, and without a reference.
    pub fn adopt(&mut self, settings: ViewSettings) {
        self.settings = settings;
        self.geometry.expect(settings.aspect);
        self.references.clear();
    }

    /// Adds a picture of what the camera shall look at. More than there is room for are left out.
    pub fn refer_to(&mut self, reference: &Thumbnail) {
        self.edges.take(reference);
        let _ = self.references.push(self.edges.clone());
    }

    /// Takes in a frame.
    pub fn see(&mut self, crop: &CropBuffer, thumbnail: &Thumbnail) -> Sight {
        let size = self.geometry.see(crop.frame_size());
        let frozen = self.frozen.see(crop, self.settings.frozen_after);
        let light = self.lighting.see(crop.arrival(), thumbnail);
        match (size, frozen, light) {
            (Size::New, ..) => Sight::Unsettled,
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
        cover::cover(crop, thumbnail, &self.edges, softest).or_else(|| self.moved(crop.frame_size()))
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
