//! Which events of a scripted clip are seen: things that pass through the crop or stay in it for a while.

use crate::cli;
use crate::rtsp::Rtsp;
use crate::scene::Scene;
use gstreamer::prelude::*;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const FPS: usize = 5;
/// Seconds between the starts of two events, and how long each lasts.
const PERIOD: f64 = 9.0;
const LASTS: f64 = 4.0;
/// Before the first one.
const QUIET: f64 = 12.0;
const EVENTS: usize = 9;
const CROP: [f64; 4] = [0.3, 0.3, 0.7, 0.8];
/// Seconds that an event may be noticed after it ended.
const LATE: f64 = 3.0;

/// Missed events and all of them, of streams with a keyframe every 1 and 2 seconds; says those of 4 as well.
pub fn missed(scene: &Scene) -> (usize, usize) {
    println!("\nscripted events on 720p5, auto: seen, by keyframe interval");
    let (mut missed, mut all) = (0, 0);
    for keyframe_interval in [1, 2, 4] {
        let clip = scene.sandbox.path("events.mkv");
        film(&clip, keyframe_interval);
        let seen = watch(scene, &clip);
        println!("  {keyframe_interval} s: {seen} of {EVENTS}");
        if keyframe_interval <= 2 {
            missed += EVENTS - seen;
            all += EVENTS;
        }
    }
    (missed, all)
}

/// How many of the clip's events are followed by a look because of motion.
fn watch(scene: &Scene, clip: &Path) -> usize {
    let server = Rtsp::serve_file(clip);
    let (store, keys) = (scene.sandbox.path("store"), scene.sandbox.path("k"));
    let mut text = format!(
        "[device]\nid = \"bench\"\nstore = {store:?}\ntrusted_keys = {keys:?}\ncontrol_socket = \"\"\ntrial = {{ attempts = 1, minutes = 0 }}\n\
         [classification.custom.lamp]\nmax_distance = 1000.0\nthreshold = 1.0\n\
         [classification.custom.lamp.state_config]\ninterval = 3600\n"
    );
    let _ = write!(
        text,
        "[cameras.hall]\nsource = {:?}\n[classification.custom.lamp.state_config.cameras.hall]\ncrop = {CROP:?}\n",
        server.url
    );
    let config = scene.sandbox.write("config.toml", text);
    let log = scene.sandbox.path("events.jsonl");
    let _ = std::fs::remove_file(&log);
    let mut command = scene.sandbox.command(cli::AJARD);
    command.arg("run").arg("--config").arg(config).arg("--events").arg(&log);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ajard");
    std::thread::sleep(Duration::from_secs_f64(QUIET + PERIOD * EVENTS as f64 + LATE));
    let _ = child.kill();
    let _ = child.wait();
    let text = std::fs::read_to_string(log).expect("events");
    let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let time = |event: &Value| {
        let stamp: Timestamp = event["time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        stamp.as_millisecond() as f64 / 1e3
    };
    let up = events.iter().find(|event| event["status"] == "up").map(time).expect("a camera");
    let looks: Vec<f64> = events.iter().filter(|e| e["reason"] == "motion").map(|e| time(e) - up).collect();
    let noticed = |event: &usize| {
        let start = QUIET + PERIOD * *event as f64;
        looks.iter().any(|look| (start - 0.5..start + LASTS + LATE).contains(look))
    };
    (0..EVENTS).filter(noticed).count()
}

/// A yard with noise in it, and now and then something of the size of a person, brighter or darker than the ground.
fn film(path: &Path, keyframe_interval: usize) {
    let text = format!(
        "appsrc name=in format=time caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 \
         ! x264enc bitrate=700 speed-preset=veryfast tune=zerolatency key-int-max={} ! h264parse ! matroskamux \
         ! filesink location=\"{}\"",
        FPS * keyframe_interval,
        path.display()
    );
    let pipeline = gstreamer::parse::launch(&text).expect("a pipeline").downcast::<gstreamer::Pipeline>();
    let pipeline = pipeline.expect("a pipeline");
    let input = pipeline.by_name("in").and_then(|input| input.downcast::<gstreamer_app::AppSrc>().ok());
    let input = input.expect("an appsrc");
    input.set_block(true);
    input.set_max_bytes(8 << 20);
    pipeline.set_state(gstreamer::State::Playing).expect("a playing pipeline");
    let seconds = QUIET + PERIOD * EVENTS as f64 + 2.0 * LATE;
    let mut noise = hiss(7);
    for number in 0..(seconds * FPS as f64) as usize {
        let time = number as f64 / FPS as f64;
        let mut buffer = gstreamer::Buffer::from_mut_slice(picture(time, &mut noise));
        let stamp = gstreamer::ClockTime::from_mseconds((time * 1000.0) as u64);
        buffer.get_mut().expect("our own").set_pts(stamp);
        input.push_buffer(buffer).expect("a pipeline that takes pictures");
    }
    input.end_of_stream().expect("an end");
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end =
        pipeline.bus().expect("a bus").timed_pop_filtered(gstreamer::ClockTime::from_seconds(120), &ends);
    assert!(end.is_some_and(|end| end.type_() == gstreamer::MessageType::Eos));
    pipeline.set_state(gstreamer::State::Null).expect("a stopped pipeline");
}

/// A generator of noise; gives numbers below 256.
fn hiss(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 56
    }
}

fn picture(time: f64, noise: &mut impl FnMut() -> u64) -> Vec<u8> {
    let event = ((time - QUIET) / PERIOD).floor();
    let since = time - QUIET - event * PERIOD;
    let thing = (event >= 0.0 && event < EVENTS as f64 && since < LASTS).then(|| {
        // Every third stays where it is; the others walk through. Bright and dark ones, of three sizes.
        let way = if event % 3.0 == 2.0 { 0.5 } else { since / LASTS };
        let (width, height) =
            ((40.0 + 15.0 * (event % 3.0)) as usize, (90.0 + 20.0 * (event % 3.0)) as usize);
        let x = ((CROP[0] + (CROP[2] - CROP[0] - 0.08) * way) * WIDTH as f64) as usize;
        (x, (0.5 * HEIGHT as f64) as usize, width, height, if event % 2.0 == 0.0 { 45 } else { -40 })
    });
    let mut bytes = Vec::with_capacity(WIDTH * HEIGHT * 3 / 2);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let ground = 90 + (x / 37 * 7 + y / 23 * 13) as i64 % 60;
            let here = thing.filter(|(left, top, width, height, _)| {
                (*left..left + width).contains(&x) && (*top..top + height).contains(&y)
            });
            let value = ground + (noise() % 7) as i64 - 3 + here.map_or(0, |(.., contrast)| contrast);
            bytes.push(value.clamp(16, 235) as u8);
        }
    }
    bytes.resize(WIDTH * HEIGHT * 3 / 2, 128);
    bytes
}
