//! Boards: what differs from one small computer to the next, as data (`boards/*.toml`).

use serde::Deserialize;
use std::collections::BTreeMap;

/// Name and text of every board this build knows. A test holds it against the directory.
const BOARDS: [(&str, &str); 8] = [
    ("generic-arm64", include_str!("../boards/generic-arm64.toml")),
    ("generic-x86-64", include_str!("../boards/generic-x86-64.toml")),
    ("jetson-nano", include_str!("../boards/jetson-nano.toml")),
    ("jetson-orin-nano", include_str!("../boards/jetson-orin-nano.toml")),
    ("raspberry-pi-3", include_str!("../boards/raspberry-pi-3.toml")),
    ("raspberry-pi-4", include_str!("../boards/raspberry-pi-4.toml")),
    ("raspberry-pi-5", include_str!("../boards/raspberry-pi-5.toml")),
    ("raspberry-pi-zero-2-w", include_str!("../boards/raspberry-pi-zero-2-w.toml")),
];

/// The board of a configuration that names none.
pub const DEFAULT_BOARD: &str =
    if cfg!(target_arch = "aarch64") { "generic-arm64" } else { "generic-x86-64" };

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// As its maker writes it.
    pub name: String,
    /// Rust target triple.
    pub target: String,
    pub decoder: Decoder,
    #[serde(default)]
    pub gpio: BoardGpio,
    /// GStreamer sources for cameras that are wired to the board, by kind.
    #[serde(default)]
    pub camera: BTreeMap<String, String>,
    pub limits: Limits,
}

/// GStreamer elements from a compressed stream to raw pictures, by codec.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoder {
    pub h264: String,
    pub h265: String,
    pub mjpeg: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardGpio {
    /// Character device of the header's lines; none on a board without a header.
    pub chip: Option<String>,
    /// Names of the header's lines, such as `GPIO17`, and their offsets on the chip.
    #[serde(default)]
    pub header: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Cameras at 720p that the board is expected to bear.
    pub cameras: u32,
    /// For systemd's `MemoryMax=`, in MiB.
    pub memory_mib: u32,
}

impl Board {
    pub fn parse(text: &str) -> Result<Board, String> {
        let board: Board = toml::from_str(text).map_err(|error| error.to_string())?;
        board.validate()?;
        Ok(board)
    }

    /// The board of this name, or the names that exist.
    pub fn named(name: &str) -> Result<Board, String> {
        match BOARDS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Board::parse(text),
            None => Err(format!("no board {name:?}; known: {}", names().join(", "))),
        }
    }

    fn validate(&self) -> Result<(), String> {
        if self.gpio.chip.is_none() && !self.gpio.header.is_empty() {
            return Err("gpio.header without gpio.chip".into());
        }
        let mut lines: Vec<_> = self.gpio.header.values().collect();
        lines.sort();
        if lines.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("gpio.header: two names for one line".into());
        }
        if self.limits.cameras == 0 || self.limits.memory_mib < 64 {
            return Err("limits: want at least 1 camera and 64 MiB".into());
        }
        Ok(())
    }
}

pub fn names() -> Vec<&'static str> {
    BOARDS.iter().map(|(name, _)| *name).collect()
}
