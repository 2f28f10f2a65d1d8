//! A scene with two states that a camera films, and a model of it.
#![allow(dead_code)]

use crate::cli::Sandbox;
use gstreamer::prelude::*;
use std::path::{Path, PathBuf};

/// Seconds that each state lasts in the film.
pub const STRETCH: u32 = 8;

/// Films `states` one after the other, `STRETCH` seconds each, each a pattern of GStreamer's test source.
pub fn film(path: &Path, patterns: &[&str]) {
    let frames = STRETCH * 10;
    let part = |pattern: &&str| {
        format!(
            "videotestsrc pattern={pattern} num-buffers={frames} ! video/x-raw,width=320,height=240,framerate=10/1 ! film."
        )
    };
    encode_film(path, &patterns.iter().map(part).collect::<Vec<_>>());
}

/// Films the parts one after the other as H.264 in Matroska with a keyframe a second. Each is a pipeline that ends in
/// `! film.`, at ten frames a second.
pub fn encode_film(path: &Path, parts: &[String]) {
    gstreamer::init().expect("GStreamer");
    let text = format!(
        "concat name=film ! videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 \
         ! h264parse ! matroskamux ! filesink location=\"{}\" {}",
        path.display(),
        parts.join(" ")
    );
    let pipeline = gstreamer::parse::launch(&text).expect("a pipeline");
    pipeline.set_state(gstreamer::State::Playing).expect("a playing pipeline");
    let bus = pipeline.bus().expect("a bus");
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end = bus.timed_pop_filtered(gstreamer::ClockTime::from_seconds(60), &ends).expect("an end in time");
    assert_eq!(end.type_(), gstreamer::MessageType::Eos, "{end:?}");
    pipeline.set_state(gstreamer::State::Null).expect("a stopped pipeline");
}

/// Two states of a lamp, trained, signed and deployed; everything lies in the sandbox.
pub struct Scene {
    pub sandbox: Sandbox,
    /// `on` for a stretch, `off` for a stretch, `on` again.
    pub film: PathBuf,
}

impl Scene {
    pub fn new() -> Scene {
        let sandbox = Sandbox::new();
        let film_path = sandbox.path("lamp.mkv");
        film(&film_path, &["smpte75", "checkers-8", "smpte75"]);
        let (one, two, three) = (STRETCH, 2 * STRETCH, 3 * STRETCH);
        let rows = format!("state\tstart_s\tend_s\non\t0\t{one}\noff\t{one}\t{two}\non\t{two}\t{three}\n");
        sandbox.write("lamp.tsv", rows);
        let cut = "cut --source lamp.mkv --crop 20,20,300,200 --every 0.5 --timeline lamp.tsv --out pictures";
        for line in [
            "key new --out k --no-password",
            cut,
            "train --name lamp --dataset pictures --key k --out lamp.ajb",
            "deploy --store store lamp.ajb",
        ] {
            sandbox.ajar_line(line).expect(0);
        }
        Scene { sandbox, film: film_path }
    }

    /// Writes a configuration with this camera source, and a broker if there is one. Pictures of GStreamer's test source
    /// have no noise, so they are not frozen.
    pub fn config(&self, source: &str, mqtt_port: Option<u16>) -> PathBuf {
        let mqtt = mqtt_port
            .map(|port| format!("[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n"))
            .unwrap_or_default();
        let [store, keys, control] = ["store", "k", "control.sock"].map(|name| self.sandbox.path(name));
        let text = format!(
            "[device]\nid = \"test\"\nstore = {store:?}\ntrusted_keys = {keys:?}\n\
             control_socket = {control:?}\ntrial = {{ attempts = 4, minutes = 0.02 }}\n{mqtt}\
             [cameras.hall]\nsource = {source:?}\nframe_size = [320, 240]\nfrozen_after = 0\n\
             [classification.custom.lamp.state_config]\ninterval = 1\n\
             [classification.custom.lamp.state_config.cameras.hall]\ncrop = [20, 20, 300, 200]\n"
        );
        self.sandbox.write("config.toml", text)
    }
}
