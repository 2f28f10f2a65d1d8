//! `ajard`'s configuration: what the user typed, and whether it makes sense.
//!
//! The keys under `classification` are Frigate's. See docs/config.md.

mod camera;
mod gallery;
pub mod motion;

use crate::board::{Board, DEFAULT_BOARD};
use crate::bundle::names::check_model_name;
use crate::exit::UsageError;
use crate::watch::crop::Region;
use crate::watch::motion::MotionSettings;
pub use camera::{CameraConfig, Codec, Decode, Receiver, StreamName, Transport};
use embassy_time::Duration;
pub use gallery::{GalleryConfig, Privacy};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Interval of a watch that names none.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// Distance from the training that a watch bears unless it says otherwise: the model's own limit.
const DEFAULT_MAX_DISTANCE: f32 = 1.0;
/// Attempts of a watch whose pictures are kept, as in Frigate.
const DEFAULT_SAVE_ATTEMPTS: usize = 100;
const MAX_SAVE_ATTEMPTS: usize = 5000;
/// Thirty years: keeps every sum of times far from overflow.
const MAX_SECONDS: f64 = 1e9;
const MIN_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub device: DeviceConfig,
    pub gallery: GalleryConfig,
    pub mqtt: Option<MqttConfig>,
    pub gpio: GpioConfig,
    pub cameras: BTreeMap<String, CameraConfig>,
    pub classification: Classification,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceConfig {
    /// Part of every MQTT topic. The host name unless given.
    pub id: Option<String>,
    /// A file name in boards/, without `.toml`.
    pub board: String,
    pub store: PathBuf,
    pub trusted_keys: PathBuf,
    /// The Unix socket that `ajar` and `curl` reach `ajard` by; nobody does if it is empty.
    pub control_socket: PathBuf,
    /// Bundles that are put there are installed. Beside the store unless given.
    pub inbox: Option<PathBuf>,
    pub trial: TrialConfig,
}

/// What a new generation of a model must show before it is the active one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialConfig {
    /// Attempts without a fault.
    pub attempts: u32,
    /// Time that `ajard` has run it.
    pub minutes: f64,
}

impl Default for TrialConfig {
    fn default() -> Self {
        TrialConfig { attempts: 32, minutes: 10.0 }
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        DeviceConfig {
            id: None,
            board: DEFAULT_BOARD.into(),
            store: "/var/lib/ajar/store".into(),
            trusted_keys: "/etc/ajar/trusted-keys.d".into(),
            control_socket: "/run/ajard/control.sock".into(),
            inbox: None,
            trial: TrialConfig::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    pub host: String,
    #[serde(default = "mqtt_port")]
    pub port: u16,
    pub user: Option<String>,
    /// The password is the file's content without the final line break; never in this file.
    pub password_file: Option<PathBuf>,
    /// `ajar-<device id>` unless given.
    pub client_id: Option<String>,
    #[serde(default = "topic_prefix")]
    pub topic_prefix: String,
}

fn mqtt_port() -> u16 {
    1883
}

fn topic_prefix() -> String {
    "ajar".into()
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpioConfig {
    /// The board's own unless given.
    pub chip: Option<PathBuf>,
    pub lines: Vec<GpioLine>,
}

/// One output line: active while its watch's state is `state`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpioLine {
    pub line: LineName,
    pub model: String,
    pub camera: String,
    pub state: String,
    #[serde(default)]
    pub active_low: bool,
    /// Level while the state is `unknown` and when `ajard` stops.
    #[serde(default)]
    pub fail_safe: Level,
}

/// An offset on the chip, or a name on the board's header.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "want a line's number, or a name on the header such as \"GPIO17\"")]
pub enum LineName {
    Offset(u32),
    Header(String),
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            LineName::Offset(offset) => write!(f, "{offset}"),
            LineName::Header(name) => write!(f, "{name}"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Inactive,
    Active,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classification {
    pub custom: BTreeMap<String, ModelConfig>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The bundle's own unless given.
    pub threshold: Option<f32>,
    /// Farther from the training than this, a crop is `unseen`; 1 is the limit that the training set.
    #[serde(default = "default_max_distance")]
    pub max_distance: f32,
    /// Most attempts of a watch whose pictures are kept.
    #[serde(default = "default_save_attempts")]
    pub save_attempts: usize,
    pub state_config: StateConfig,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// Look when something moves in the crop, and what that is; `None` for `motion = false`.
    #[serde(default = "default_motion", deserialize_with = "motion::read")]
    pub motion: Option<MotionSettings>,
    /// Look at least this often.
    #[serde(default = "default_interval", deserialize_with = "seconds")]
    pub interval: Duration,
    /// What is not looked for in its pictures.
    #[serde(default)]
    pub ignore: Vec<Fault>,
    pub cameras: BTreeMap<String, WatchConfig>,
}

/// What may be wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    Dark,
    Covered,
    Moved,
}

fn default_max_distance() -> f32 {
    DEFAULT_MAX_DISTANCE
}

fn default_motion() -> Option<MotionSettings> {
    Some(MotionSettings::DEFAULT)
}

fn default_save_attempts() -> usize {
    DEFAULT_SAVE_ATTEMPTS
}

fn default_interval() -> Duration {
    DEFAULT_INTERVAL
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    /// `[x1, y1, x2, y2]`: fractions 0..1 of the frame, or pixels of the camera's `frame_size`.
    pub crop: [f64; 4],
    #[serde(default)]
    pub stream: StreamName,
}

/// Whole or fractional seconds.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let micros = seconds * 1e6;
    if !(0.0..=MAX_SECONDS * 1e6).contains(&micros) {
        return Err(serde::de::Error::custom("want a number of seconds from 0 to 1e9"));
    }
    Ok(Duration::from_micros(micros as u64))
}

impl Config {
    /// Reads and checks a file. The error names the file, and the line where there is one.
    pub fn load(path: &Path) -> Result<Config, UsageError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
        Config::parse(&text).map_err(|UsageError(why)| UsageError(format!("{}: {why}", path.display())))
    }

    pub fn parse(text: &str) -> Result<Config, UsageError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            UsageError(format!("line {line}: {}", explain(error.message())))
        })?;
        config.validate().map_err(UsageError)?;
        Ok(config)
    }

    /// Named checks of what serde cannot see.
    pub fn validate(&self) -> Result<(), String> {
        let board = Board::named(&self.device.board).map_err(|why| format!("device.board: {why}"))?;
        self.check_device()?;
        self.check_mqtt()?;
        self.gallery.check().map_err(|why| format!("gallery.{why}"))?;
        for (name, camera) in &self.cameras {
            check_model_name(name).map_err(|why| format!("cameras: name {why}"))?;
            camera::check(camera).map_err(|why| format!("cameras.{name}.{why}"))?;
        }
        let fills_gallery = self.gallery.keeps_frames() && !self.cameras.is_empty();
        if self.watches().next().is_none() && !fills_gallery {
            return Err("nothing to watch: add a model under [classification.custom.NAME]".into());
        }
        for (name, model) in &self.classification.custom {
            let key = format!("classification.custom.{name}");
            check_model_name(name).map_err(|why| format!("classification.custom: name {why}"))?;
            self.check_model(model).map_err(|why| format!("{key}.{why}"))?;
        }
        for (i, line) in self.gpio.lines.iter().enumerate() {
            self.check_line(i, line, &board).map_err(|why| format!("gpio.lines[{i}].{why}"))?;
        }
        Ok(())
    }

    /// Where bundles are put that shall be installed.
    pub fn inbox(&self) -> PathBuf {
        self.device.inbox.clone().unwrap_or_else(|| self.device.store.with_file_name("inbox"))
    }

    /// Where frames are kept.
    pub fn gallery_directory(&self) -> PathBuf {
        self.gallery.directory.clone().unwrap_or_else(|| self.device.store.with_file_name("gallery"))
    }

    /// Where the pictures of attempts are kept.
    pub fn recent_directory(&self) -> PathBuf {
        self.gallery_directory().with_file_name("recent")
    }

    /// Every (model, camera) pair, in order of their names.
    pub fn watches(&self) -> impl Iterator<Item = (&str, &str)> {
        self.classification.custom.iter().flat_map(|(model, config)| {
            config.state_config.cameras.keys().map(move |camera| (model.as_str(), camera.as_str()))
        })
    }

    /// The crop of a watch in fractions of the frame; `None` if it is not one.
    pub fn region(&self, model: &str, camera: &str) -> Option<Region> {
        let watch = self.classification.custom.get(model)?.state_config.cameras.get(camera)?;
        region(watch.crop, self.cameras.get(camera)?.frame_size).ok()
    }

    /// The stream of its camera that a watch looks at.
    pub fn stream(&self, model: &str, camera: &str) -> StreamName {
        let model = self.classification.custom.get(model);
        let watch = model.and_then(|model| model.state_config.cameras.get(camera));
        watch.map_or(StreamName::default(), |watch| watch.stream)
    }

    /// The offset of a GPIO line on the chip.
    pub fn line_offset(&self, line: &LineName, board: &Board) -> Option<u32> {
        match line {
            LineName::Offset(offset) => Some(*offset),
            LineName::Header(name) => board.gpio.header.get(name).copied(),
        }
    }

    fn check_device(&self) -> Result<(), String> {
        let minutes = self.device.trial.minutes;
        if !(0.0..=MAX_SECONDS / 60.0).contains(&minutes) {
            return Err(format!("device.trial.minutes: {minutes} is not a number from 0 to 1.6e7"));
        }
        match &self.device.id {
            Some(id) => check_topic_level(id).map_err(|why| format!("device.id: {why}")),
            None => Ok(()),
        }
    }

    fn check_mqtt(&self) -> Result<(), String> {
        let Some(mqtt) = &self.mqtt else { return Ok(()) };
        if mqtt.host.is_empty() || mqtt.host.contains("://") {
            return Err(format!("mqtt.host: {:?} is not a host name or address", mqtt.host));
        }
        if mqtt.port == 0 {
            return Err("mqtt.port: 0 is not a port".into());
        }
        if mqtt.password_file.is_some() && mqtt.user.is_none() {
            return Err("mqtt.password_file: needs mqtt.user as well".into());
        }
        let mut levels = mqtt.topic_prefix.split('/');
        let prefix = &mqtt.topic_prefix;
        levels.try_for_each(check_topic_level).map_err(|why| format!("mqtt.topic_prefix {prefix:?}: {why}"))
    }

    fn check_model(&self, model: &ModelConfig) -> Result<(), String> {
        if let Some(threshold) = model.threshold.filter(|t| !(0.0..=1.0).contains(t)) {
            return Err(format!("threshold: {threshold} is not within 0 and 1"));
        }
        if !(model.max_distance.is_finite() && model.max_distance > 0.0) {
            return Err(format!("max_distance: {} is not a number above 0", model.max_distance));
        }
        if model.save_attempts > MAX_SAVE_ATTEMPTS {
            return Err(format!("save_attempts: {} is more than {MAX_SAVE_ATTEMPTS}", model.save_attempts));
        }
        let state = &model.state_config;
        if state.interval < MIN_INTERVAL {
            return Err("state_config.interval: must be at least 0.5 seconds".into());
        }
        if let Some(motion) = &state.motion {
            motion::check(motion).map_err(|why| format!("state_config.motion.{why}"))?;
        }
        if state.cameras.is_empty() {
            return Err("state_config.cameras: name at least one camera".into());
        }
        for (name, watch) in &state.cameras {
            let key = format!("state_config.cameras.{name}");
            let Some(camera) = self.cameras.get(name) else {
                let hint = nearest(name, self.cameras.keys().map(String::as_str));
                return Err(format!("{key}: there is no [cameras.{name}]{}", did_you_mean(hint)));
            };
            region(watch.crop, camera.frame_size).map_err(|why| format!("{key}.crop: {why}"))?;
            if watch.stream == StreamName::Sub && camera.substream.is_none() {
                return Err(format!("{key}.stream: [cameras.{name}] has no substream"));
            }
        }
        Ok(())
    }

    fn check_line(&self, i: usize, line: &GpioLine, board: &Board) -> Result<(), String> {
        if self.gpio.chip.is_none() && board.gpio.chip.is_none() {
            return Err(format!("line: {} has no GPIO header; give gpio.chip", board.name));
        }
        let Some(offset) = self.line_offset(&line.line, board) else {
            let LineName::Header(name) = &line.line else { return Ok(()) };
            let hint = nearest(name, board.gpio.header.keys().map(String::as_str));
            if board.gpio.header.is_empty() {
                return Err(format!(
                    "line: Ajar knows no header names of {}; give the line's number",
                    board.name
                ));
            }
            return Err(format!("line: {} has no line {name:?}{}", board.name, did_you_mean(hint)));
        };
        let others = &self.gpio.lines[..i];
        if others.iter().any(|other| self.line_offset(&other.line, board) == Some(offset)) {
            return Err(format!("line: line {offset} is used twice"));
        }
        if !self.watches().any(|watch| watch == (line.model.as_str(), line.camera.as_str())) {
            return Err(format!("model: {:?} does not watch camera {:?}", line.model, line.camera));
        }
        Ok(())
    }
}

/// Jaro-Winkler similarity from which a name may be what was meant.
const SIMILAR: f64 = 0.75;

/// A crop in fractions or pixels as a region.
pub fn region(crop: [f64; 4], frame_size: Option<[u32; 2]>) -> Result<Region, String> {
    let [x1, y1, x2, y2] = crop;
    if !crop.iter().all(|edge| edge.is_finite() && *edge >= 0.0) {
        return Err(format!("{crop:?}: want numbers, none below 0"));
    }
    if crop.iter().all(|edge| (0.0..=1.0).contains(edge)) {
        let region = Region::new(crop.map(|edge| edge as f32));
        return region.ok_or_else(|| format!("{crop:?}: want x1 < x2 and y1 < y2"));
    }
    let Some([width, height]) = frame_size else {
        return Err(format!("{crop:?} is in pixels, so the camera needs frame_size = [width, height]"));
    };
    let (width, height) = (f64::from(width), f64::from(height));
    let fractions = [x1 / width, y1 / height, x2 / width, y2 / height];
    Region::new(fractions.map(|edge| edge as f32))
        .ok_or_else(|| format!("{crop:?}: want x1 < x2 <= {width} and y1 < y2 <= {height}"))
}

fn check_topic_level(level: &str) -> Result<(), String> {
    let bad = level.is_empty() || level.contains(['/', '+', '#', '\0']) || level.starts_with('$');
    if bad { Err(format!("{level:?} cannot be part of an MQTT topic")) } else { Ok(()) }
}

/// serde's "unknown field `a`, expected one of `b`, `c`" with the nearest known key.
fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.strip_prefix("unknown field "), quoted.next()) {
        (Some(_), Some(typed)) => {
            let known: Vec<&str> = quoted.collect();
            match nearest(typed, known.iter().copied()) {
                Some(hint) => format!("unknown key {typed:?}; did you mean {hint:?}?"),
                None => format!("unknown key {typed:?}; known here: {}", known.join(", ")),
            }
        }
        _ => message.trim().to_string(),
    }
}

fn did_you_mean(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; did you mean {hint:?}?")).unwrap_or_default()
}

/// The most similar of `known`, if there is a similar one.
fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.filter(|(score, _)| *score >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}
