//! Real pictures of a car park, and what one of its spots is in each.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// As often free as occupied.
const SPOT: &str = "10";
/// Pixels of the pictures.
const SIZE: [f64; 2] = [1280.0, 720.0];
const FOLDER: &str = "../shared/data/pklot_full_frames";

pub struct Spot {
    pub path: PathBuf,
    pub state: String,
}

pub struct Lot {
    pub spots: Vec<Spot>,
    /// The spot, in fractions.
    pub crop: [f64; 4],
}

impl Lot {
    /// `None`, and says so, where the pictures are not there.
    pub fn find() -> Option<Lot> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let Ok(table) = fs::read_to_string(folder.join("states.tsv")) else {
            println!("skipped: no shared data");
            return None;
        };
        let rows = table.lines().filter_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [file, SPOT, state] => Some(Spot { path: folder.join(file), state: state.into() }),
            _ => None,
        });
        let spots: Vec<Spot> = rows.collect();
        assert!(spots.len() >= 24, "{} pictures", spots.len());
        let zones = fs::read_to_string(folder.join("zones_polygons.json")).expect("the zones");
        let zones: Value = serde_json::from_str(&zones).expect("JSON");
        let corners = zones[SPOT].as_array().expect("a zone");
        let edge = |axis: usize| {
            corners.iter().map(move |corner| corner[axis].as_f64().expect("a number") / SIZE[axis])
        };
        let low = |axis| edge(axis).fold(1.0, f64::min);
        let high = |axis| edge(axis).fold(0.0, f64::max);
        Some(Lot { spots, crop: [low(0), low(1), high(0), high(1)] })
    }

    /// The folder with the pictures, under another name.
    pub fn link(&self, to: &Path) {
        let folder = self.spots[0].path.parent().expect("a folder").canonicalize().expect("a folder");
        fs::create_dir_all(to).expect("a folder");
        for spot in &self.spots {
            let name = spot.path.file_name().expect("a name");
            std::os::unix::fs::symlink(folder.join(name), to.join(name)).expect("a link");
        }
    }

    /// The state of a picture with this id, whose time is that of the file.
    pub fn truth(&self, id: &str) -> Option<&str> {
        let plain = |text: &str| text.replace(['_', '-'], "");
        let found = self.spots.iter().find(|spot| {
            let stem = spot.path.file_stem().expect("a name").to_string_lossy().into_owned();
            plain(id).starts_with(&plain(&stem))
        });
        found.map(|spot| spot.state.as_str())
    }

    pub fn first(&self, state: &str) -> &Spot {
        self.spots.iter().find(|spot| spot.state == state).expect("a picture of each state")
    }

    pub fn last(&self, state: &str) -> &Spot {
        self.spots.iter().rfind(|spot| spot.state == state).expect("a picture of each state")
    }
}
