//! Frigate's `config.yml`: the cameras and state classifications in it, as Ajar names them.
//!
//! Keys by docs.frigate.video, Frigate 0.17. Everything else in the file is passed over.

use super::yaml::{Node, parse};
use crate::bundle::names::check_model_name;
use crate::exit::UsageError;
use std::collections::BTreeMap;
use std::path::Path;

/// What Frigate takes where nothing is said.
const THRESHOLD: f64 = 0.8;

#[derive(Debug, PartialEq)]
pub struct Frigate {
    /// Those that models look at, by Ajar's names.
    pub cameras: BTreeMap<String, Camera>,
    pub models: Vec<Model>,
    /// What could not be taken over, or is worth a look.
    pub notes: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub struct Camera {
    /// As it stands there, placeholders and all.
    pub source: String,
    pub codec: Codec,
    pub frame_size: Option<[u32; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
}

#[derive(Debug, PartialEq)]
pub struct Model {
    pub name: String,
    /// Frigate's own, which its folders have.
    pub frigate_name: String,
    pub usage: Usage,
    pub threshold: f64,
    pub motion: bool,
    pub interval: Option<f64>,
    pub save_attempts: Option<usize>,
    /// The crop on each camera, by Ajar's name, as it stands there.
    pub crops: BTreeMap<String, [f64; 4]>,
}

/// `enabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Enabled,
    Disabled,
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Frigate, UsageError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
    read(path, &text)
}

pub fn read(path: &Path, text: &str) -> Result<Frigate, UsageError> {
    let documents = parse(path, text)?;
    let Some(document) = documents.first() else {
        return Err(UsageError(format!("{}: is empty; want Frigate's config.yml", path.display())));
    };
    let root = Node::root(path, document);
    let mut frigate = Frigate { cameras: BTreeMap::new(), models: Vec::new(), notes: Vec::new() };
    let custom = root.get("classification").and_then(|classification| classification.get("custom"));
    let models = custom.map(|custom| custom.entries()).transpose()?.unwrap_or_default();
    for (name, node) in models {
        frigate.read_model(&root, &name, &node)?;
    }
    if frigate.models.is_empty() {
        return Err(root.wrong("no state classification: want classification.custom.NAME with state_config"));
    }
    Ok(frigate)
}

impl Frigate {
    fn read_model(&mut self, root: &Node, frigate_name: &str, node: &Node) -> Result<(), UsageError> {
        let Some(state) = node.get("state_config") else {
            let why = "has no state_config: Ajar tells states, it does not classify objects";
            self.notes.push(format!("left out: the model {frigate_name:?} {why}"));
            return Ok(());
        };
        let name = self.rename("model", frigate_name);
        check_model_name(&name).map_err(|why| node.wrong(&format!("the name becomes {why}; rename it")))?;
        if let Some(other) = self.models.iter().find(|model| model.name == name) {
            let other = &other.frigate_name;
            return Err(node.wrong(&format!("{name:?} is also what {other:?} becomes; rename one of them")));
        }
        let threshold = node.get("threshold").map(|node| within(&node, 0.0, 1.0)).transpose()?;
        let enabled = node.get("enabled").map(|node| node.is_true()).transpose()?.unwrap_or(true);
        let mut model = Model {
            name,
            frigate_name: frigate_name.into(),
            usage: if enabled { Usage::Enabled } else { Usage::Disabled },
            threshold: threshold.unwrap_or(THRESHOLD),
            motion: state.get("motion").map(|node| node.is_true()).transpose()?.unwrap_or(false),
            interval: state.get("interval").map(|node| within(&node, 0.5, 1e9)).transpose()?,
            save_attempts: node.get("save_attempts").map(|node| whole(&node)).transpose()?,
            crops: BTreeMap::new(),
        };
        for (camera, node) in state.need("cameras")?.entries()? {
            let renamed = self.read_camera(root, &camera, &node)?;
            let size = self.cameras.get(&renamed).and_then(|camera| camera.frame_size);
            model.crops.insert(renamed, crop(&node, &camera, size)?);
        }
        if model.crops.is_empty() {
            return Err(state.wrong("cameras: name at least one camera"));
        }
        self.models.push(model);
        Ok(())
    }

    /// Takes in a camera that a model looks at; gives Ajar's name of it.
    fn read_camera(&mut self, root: &Node, frigate_name: &str, from: &Node) -> Result<String, UsageError> {
        let camera = root.get("cameras").and_then(|cameras| cameras.get(frigate_name));
        let camera =
            camera.ok_or_else(|| from.wrong(&format!("there is no camera cameras.{frigate_name}")))?;
        let name = slug(frigate_name);
        check_model_name(&name).map_err(|why| camera.wrong(&format!("the name becomes {why}; rename it")))?;
        if !self.cameras.contains_key(&name) {
            self.rename("camera", frigate_name);
            let read = read_camera(root, &camera)?;
            self.comment(frigate_name, &read);
            self.cameras.insert(name.clone(), read);
        }
        Ok(name)
    }

    /// Ajar's name for Frigate's, with a note if it is another.
    fn rename(&mut self, what: &str, frigate_name: &str) -> String {
        let name = slug(frigate_name);
        if name != frigate_name {
            self.notes.push(format!("renamed: the {what} {frigate_name:?} is {name} in Ajar"));
        }
        name
    }

    fn comment(&mut self, name: &str, Camera { source, .. }: &Camera) {
        if source.contains("{FRIGATE_") {
            self.notes.push(format!(
                "fill in: the source of {name} has a placeholder for what Frigate's environment has"
            ));
        }
        if ["127.0.0.1", "localhost"].iter().any(|host| source.contains(&format!("//{host}:"))) {
            let why = "is a stream of Frigate's own go2rtc; on another computer put its address in place of";
            self.notes.push(format!("fill in: the source of {name} {why} 127.0.0.1"));
        }
        if !source.starts_with("rtsp://") && !source.starts_with("rtsps://") {
            self.notes.push(format!(
                "fill in: the source of {name} is not RTSP; ajard wants a GStreamer pipeline for it"
            ));
        }
    }
}

/// The stream that Frigate classifies: the one it detects in.
fn read_camera(root: &Node, camera: &Node) -> Result<Camera, UsageError> {
    let ffmpeg = camera.need("ffmpeg")?;
    let inputs = ffmpeg.need("inputs")?.items();
    let detects = |input: &&Node| {
        let roles = input.get("roles").map(|roles| roles.items()).unwrap_or_default();
        roles.iter().any(|role| role.text().is_ok_and(|role| role == "detect"))
    };
    let input = inputs.iter().find(detects).or(inputs.first());
    let input = input.ok_or_else(|| ffmpeg.wrong("inputs: name at least one stream"))?;
    let source = input.need("path")?.text()?;
    let global = root.get("ffmpeg");
    let arguments = [Some(input), Some(&ffmpeg), global.as_ref()].into_iter().flatten().find_map(arguments);
    let is_h265 = arguments.is_some_and(|text| text.contains("h265") || text.contains("hevc"));
    let codec = if is_h265 { Codec::H265 } else { Codec::H264 };
    let sizes = [camera.get("detect"), root.get("detect")].map(|detect| {
        let detect = detect?;
        Some((detect.get("width")?, detect.get("height")?))
    });
    let frame_size = match sizes.into_iter().flatten().next() {
        Some((width, height)) => Some([pixels(&width)?, pixels(&height)?]),
        None => None,
    };
    Ok(Camera { source, codec, frame_size })
}

/// Frigate's presets for decoding name the codec; without one it is that of most cameras.
fn arguments(place: &Node) -> Option<String> {
    let arguments = place.get("hwaccel_args")?.items();
    let texts: Vec<String> = arguments.iter().filter_map(|argument| argument.text().ok()).collect();
    Some(texts.join(" "))
}

fn crop(node: &Node, camera: &str, size: Option<[u32; 2]>) -> Result<[f64; 4], UsageError> {
    let crop = node.need("crop")?;
    let numbers = crop.items().iter().map(Node::number).collect::<Result<Vec<f64>, _>>()?;
    let numbers: [f64; 4] =
        numbers.try_into().map_err(|_| crop.wrong("want four numbers, [x1, y1, x2, y2]"))?;
    let region = crate::config::region(numbers, size);
    region.map(|_| numbers).map_err(|why| {
        let missing = size.is_none() && numbers.iter().any(|edge| *edge > 1.0);
        let hint = format!("it is in pixels, so give cameras.{camera}.detect width and height");
        crop.wrong(if missing { &hint } else { &why })
    })
}

fn within(node: &Node, least: f64, most: f64) -> Result<f64, UsageError> {
    let number = node.number()?;
    let inside = (least..=most).contains(&number);
    if inside { Ok(number) } else { Err(node.wrong(&format!("{number} is not within {least} and {most}"))) }
}

fn whole(node: &Node) -> Result<usize, UsageError> {
    let number = within(node, 0.0, 1e9)?;
    if number.fract() == 0.0 { Ok(number as usize) } else { Err(node.wrong("want a whole number")) }
}

fn pixels(node: &Node) -> Result<u32, UsageError> {
    Ok(within(node, 1.0, 65_536.0)? as u32)
}

/// A name that Ajar takes: lower case, other characters become `-`.
pub fn slug(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c.to_ascii_lowercase() } else { '-' }
    };
    name.trim().chars().map(plain).collect()
}
