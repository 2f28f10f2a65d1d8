//! Streams: frames through a real encoder and decoder, all of them or keyframes only, as a camera's arrive.

use ajar::board::Board;
use ajar::camera::{Capture, Pacing, Reader, Source};
use ajar::config::Codec;
use ajar::watch::frame::Frame;
use embassy_time::Instant;
use gstreamer::ClockTime;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use super::scene::{FPS, Scene};

const DEADLINE: ClockTime = ClockTime::from_seconds(60);

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded {
    Every,
    /// A keyframe every so many seconds.
    Keyframes(u32),
}

/// The way through the encoder: kbit/s, and a keyframe every so many frames.
fn coded(bitrate: u32, fps: f64, decoded: Decoded) -> String {
    let (every, drop) = match decoded {
        Decoded::Every => (2, ""),
        Decoded::Keyframes(seconds) => (seconds, "! identity drop-buffer-flags=delta-unit"),
    };
    let frames = (f64::from(every) * fps).round();
    format!(
        "! videoconvert ! video/x-raw,format=I420 ! x264enc bitrate={bitrate} speed-preset=veryfast tune=zerolatency \
         key-int-max={frames} option-string=scenecut=0 ! h264parse {drop} ! avdec_h264 max-threads=1 \
         std-compliance=normal"
    )
}

/// A video file, as it is or, for keyframes, encoded anew.
pub fn video(path: &str, fps: f64, decoded: Decoded, each: impl FnMut(f64, &Frame)) {
    let mut text = format!("filesrc location=\"{path}\" ! decodebin");
    if decoded != Decoded::Every {
        text += &coded(1500, fps, decoded);
    }
    let capture = capture(&text);
    capture.play().expect("a playing pipeline");
    read(&capture, each);
}

/// A scripted scene through the encoder.
pub fn scripted(scene: &Scene, bitrate: u32, decoded: Decoded, each: impl FnMut(f64, &Frame)) {
    let Scene { width, height, .. } = scene;
    let text = format!(
        "appsrc name=script format=time caps=video/x-raw,format=I420,width={width},height={height},framerate={FPS}/1 {}",
        coded(bitrate, FPS, decoded)
    );
    let capture = capture(&text);
    let script = capture.pipeline.by_name("script").and_downcast::<AppSrc>().expect("an appsrc");
    script.set_property("block", true);
    script.set_property("max-buffers", 4u64);
    capture.play().expect("a playing pipeline");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut picture = Vec::new();
            for frame in 0..scene.frames() {
                scene.paint(frame, &mut picture);
                picture.resize(width * height * 3 / 2, 128);
                let mut buffer = gstreamer::Buffer::from_slice(picture.clone());
                let time = ClockTime::from_seconds_f64(frame as f64 / FPS);
                buffer.get_mut().expect("a new buffer").set_pts(time);
                script.push_buffer(buffer).expect("a running pipeline");
            }
            script.end_of_stream().expect("a running pipeline");
        });
        read(&capture, each);
    });
}

fn capture(text: &str) -> Capture {
    let decoder = Board::named(ajar::board::DEFAULT_BOARD).expect("a board").decoder;
    Capture::build(&Source::Pipeline(text.into()), Codec::H264, &decoder, Pacing::EveryFrame)
        .expect("a pipeline")
}

fn read(capture: &Capture, mut each: impl FnMut(f64, &Frame)) {
    let mut reader = Reader::default();
    // The encoder does not count from zero.
    let mut zero = None;
    while let Some(sample) = capture.frames.try_pull_sample(DEADLINE) {
        let time = sample.buffer().and_then(|buffer| buffer.pts()).expect("a time");
        let time = time.saturating_sub(*zero.get_or_insert(time)).seconds_f64();
        reader.read(&sample, Instant::MIN, |frame| each(time, frame)).expect("a frame");
    }
    assert!(capture.frames.is_eos(), "{:?}", capture.error());
}
