//! The configuration of `ajard` that does what Frigate's did.

use super::config::{Camera, Codec, Frigate, Model, Usage};
use std::fmt::Write;

/// Cameras and classification, as `ajard` reads them.
pub fn write(frigate: &Frigate) -> String {
    let mut text = String::new();
    let enabled = || frigate.models.iter().filter(|model| model.usage == Usage::Enabled);
    for (name, camera) in &frigate.cameras {
        if enabled().any(|model| model.crops.contains_key(name)) {
            write_camera(&mut text, name, camera);
        }
    }
    enabled().for_each(|model| write_model(&mut text, model));
    text
}

fn write_camera(text: &mut String, name: &str, Camera { source, codec, frame_size }: &Camera) {
    let _ = writeln!(text, "[cameras.{name}]\nsource = {}", quoted(source));
    if *codec == Codec::H265 {
        let _ = writeln!(text, "codec = \"h265\"");
    }
    if let Some([width, height]) = frame_size {
        let _ = writeln!(text, "frame_size = [{width}, {height}]");
    }
    text.push('\n');
}

fn write_model(text: &mut String, model: &Model) {
    let Model { name, threshold, motion, interval, save_attempts, crops, .. } = model;
    let key = format!("classification.custom.{name}");
    let _ = writeln!(text, "[{key}]\nthreshold = {threshold}");
    if let Some(count) = save_attempts {
        let _ = writeln!(text, "save_attempts = {count}");
    }
    let _ = writeln!(text, "\n[{key}.state_config]\nmotion = {motion}");
    if let Some(seconds) = interval {
        let _ = writeln!(text, "interval = {seconds}");
    }
    text.push('\n');
    for (camera, [x1, y1, x2, y2]) in crops {
        let _ = writeln!(text, "[{key}.state_config.cameras.{camera}]\ncrop = [{x1}, {y1}, {x2}, {y2}]\n");
    }
}

/// Text of TOML, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
