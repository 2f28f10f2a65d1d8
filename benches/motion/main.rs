//! What the detector of motion sees and misses: on real clips, on scripted scenes, and on scripted scenes through a
//! video encoder; at every frame, and at one frame every 1, 2 and 4 seconds. README.md says how to read it.
//!
//! `make bench-motion`, or with the part of a group's name: `make bench-motion ONLY=lamps`. Events that were missed
//! and false triggers are listed with `AJAR_BENCH_LIST=1`.

mod scene;
mod score;
mod stream;

use ajar::companion::timeline::Timeline;
use ajar::watch::crop::Region;
use ajar::watch::frame::{Chroma, Colour, Frame, Plane};
use embassy_time::Instant;
use scene::{Event, FPS, Scene, What};
use score::{Score, Witness};
use std::collections::BTreeMap;
use std::path::Path;
use stream::Decoded;

const VIDEOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/videos");
const PASSAGES: &str = include_str!("passages.tsv");
/// Seconds between two frames: 0 for every frame.
const RATES: [u32; 4] = [0, 1, 2, 4];
/// kbit/s of the encoded scenes. 320 x 240 at 40 is a share of its picture as 1280 x 720 has at 480.
const BITRATES: [u32; 3] = [40, 80, 200];

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let wanted = |group: &str| group.contains(&only);
    println!(
        "{:28}{:>16}{:>16}{:>16}{:>16}   detected of events, false triggers",
        "", "every frame", "1 s", "2 s", "4 s"
    );
    let mut total = Score::default();
    let mut report = |group: &str, scores: [Score; 4]| {
        print!("{group:28}");
        for score in scores {
            let Score { detected, events, false_triggers, .. } = score;
            print!("{:>16}", format!("{detected}/{events}, {false_triggers}"));
            total += score;
        }
        println!();
    };
    if wanted("videos") {
        match Path::new(VIDEOS).is_dir() {
            true => videos(&mut report),
            false => println!("videos: skipped: no shared data"),
        }
    }
    for (group, scenes) in scene::all().into_iter().filter(|(group, _)| wanted(group)) {
        report(group, scripted(&scenes));
    }
    if wanted("low bitrate") {
        for bitrate in BITRATES {
            report(&format!("{bitrate} kbit/s, 320x240"), encoded(bitrate));
        }
    }
    let Score { detected, events, false_triggers, minutes } = total;
    println!(
        "bench-motion: detected {detected} of {events} events, {false_triggers} false triggers in {minutes:.0} minutes"
    );
}

/// Every rate on the same pictures.
fn scripted(scenes: &[Scene]) -> [Score; 4] {
    let mut scores = [Score::default(); 4];
    let mut luma = Vec::new();
    for scene in scenes {
        let chroma = vec![128; scene.width * scene.height / 4];
        let mut witnesses = RATES.map(|_| Witness::default());
        for frame in 0..scene.frames() {
            scene.paint(frame, &mut luma);
            for (witness, rate) in witnesses.iter_mut().zip(RATES) {
                if rate == 0 || frame % (f64::from(rate) * FPS) as usize == 0 {
                    witness.see(frame as f64 / FPS, &picture(scene, &luma, &chroma), Region::FULL);
                }
            }
        }
        for ((score, witness), rate) in scores.iter_mut().zip(witnesses).zip(RATES) {
            *score += witness.score(
                &format!("{} {}x{} at {rate} s", scene.name, scene.width, scene.height),
                &scene.events,
            );
        }
    }
    scores
}

fn picture<'a>(scene: &Scene, luma: &'a [u8], chroma: &'a [u8]) -> Frame<'a> {
    let Scene { width, height, .. } = *scene;
    let half = Plane { bytes: chroma, stride: width / 2 };
    let (luma, chroma) = (Plane { bytes: luma, stride: width }, Chroma::Planar { u: half, v: half });
    Frame { width, height, luma, chroma, colour: Colour::JPEG, arrival: Instant::MIN }
}

fn decoded(rate: u32) -> Decoded {
    if rate == 0 { Decoded::Every } else { Decoded::Keyframes(rate) }
}

/// Noise and passers-by, as a camera with little bandwidth sends them.
fn encoded(bitrate: u32) -> [Score; 4] {
    RATES.map(|rate| {
        let mut scene = Scene::new("encoded", (320, 240), 150.0).noise(5.0);
        for (i, contrast) in [-60.0, -30.0, 30.0, 60.0].into_iter().enumerate() {
            scene = scene.pass(20.0 + 15.0 * i as f64, 5.0, 0.2, contrast);
        }
        scene = scene.door(80.0, 20.0, 0.6, 50.0);
        let mut witness = Witness::default();
        stream::scripted(&scene, bitrate, decoded(rate), |t, frame| witness.see(t, frame, Region::FULL));
        witness.score(&format!("{bitrate} kbit/s at {rate} s"), &scene.events)
    })
}

/// The real clips: changes of a zone's state, and passages.
fn videos(report: &mut impl FnMut(&str, [Score; 4])) {
    let mut crops: BTreeMap<(&str, [u32; 4]), Vec<Event>> = BTreeMap::new();
    for line in PASSAGES.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let [video, crop, from, to] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let crop: Vec<u32> = crop.split(',').map(|edge| edge.parse().expect("a number")).collect();
        let [from, to] = [from, to].map(|time| time.parse().expect("a number"));
        let events = crops.entry((video, crop.try_into().expect("four edges"))).or_default();
        events.push(Event { what: What::Motion, from, to, margin: 0.3 });
    }
    let one_by_one = "one-by-one-person-detection.mp4";
    let timeline = Timeline::load(&Path::new(VIDEOS).join("timeline.tsv"), one_by_one).expect("a timeline");
    let rows = timeline.rows().filter_map(|(state, from, to)| {
        let what = match state {
            "transition" => What::Motion,
            "occupied" => What::Busy,
            _ => return None,
        };
        Some(Event { what, from, to, margin: 0.3 })
    });
    crops.insert((one_by_one, zone(one_by_one, "table")), rows.collect());
    // Nothing happens in this one.
    crops.insert(("opencv_vtest_768x576_msmpeg4.avi", [300, 0, 476, 126]), Vec::new());
    for ((video, crop), events) in &crops {
        let path = format!("{VIDEOS}/{video}");
        let fps = if video.starts_with("car") { 12.5 } else { 10.0 };
        let scores = RATES.map(|rate| {
            let mut witness = Witness::default();
            stream::video(&path, fps, decoded(rate), |t, frame| {
                let size = [frame.width as u32, frame.height as u32];
                witness.see(t, frame, ajar::config::region(crop.map(f64::from), Some(size)).expect("a crop"));
            });
            witness.score(&format!("{video} at {rate} s"), events)
        });
        let name = video.split(['-', '_']).take(2).collect::<Vec<_>>().join(" ");
        report(&format!("{name}, x {}", crop[0]), scores);
    }
}

/// A zone's crop from `zones_xyxy.json`.
fn zone(video: &str, zone: &str) -> [u32; 4] {
    let text = std::fs::read_to_string(Path::new(VIDEOS).join("zones_xyxy.json")).expect("zones_xyxy.json");
    let zones: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let edges: Vec<u32> = serde_json::from_value(zones[video][zone].clone()).expect("a zone");
    edges.try_into().expect("four edges")
}
