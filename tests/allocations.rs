//! Once warm, no frame costs an allocation: neither on the camera's thread nor in the loop around
//! the engine.

use ajar::allocations::{self, Counting};
use ajar::board::Board;
use ajar::camera::{Capture, Pacing, Source};
use ajar::config::{Codec, Config};
use ajar::device::events::Events;
use ajar::device::gpio::Gpio;
use ajar::device::inlet::Inlet;
use ajar::device::journal::Journal;
use ajar::device::mailbox::Mailbox;
use ajar::device::recent::{Marker, Recent};
use ajar::device::run::{Loop, Outputs, Runner};
use ajar::watch::crop::{CropBuffer, Input, Region};
use ajar::watch::decision::{Classification, DecisionSettings, NO_DWELL, Probabilities};
use ajar::watch::gate::GateSettings;
use ajar::watch::motion::MotionSettings;
use ajar::watch::thumbnail::Thumbnail;
use ajar::watch::view::ViewSettings;
use embassy_time::{Duration, Instant};
use gstreamer::prelude::*;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn region() -> Region {
    Region::new([0.1, 0.1, 0.7, 0.8]).unwrap()
}

fn watch_loop(mailbox: Arc<Mailbox>, marker: Marker) -> Loop {
    let gate = GateSettings { motion: Some(MotionSettings::DEFAULT), interval: Duration::from_secs(1) };
    let decision = DecisionSettings {
        threshold: 0.8,
        max_distance: 1.0,
        verification: 3,
        dwell: NO_DWELL,
        stale_after: Duration::from_secs(15),
    };
    let states = vec!["open".to_string(), "closed".to_string()];
    let frozen_after = Duration::from_secs(30);
    let view = ViewSettings { crop: region(), aspect: None, frozen_after, ignore: Default::default() };
    let mut runner = Runner::new("gate", "drive", states, gate, view, decision, Instant::now());
    // One that every look is compared with in all ways.
    let mut reference = Thumbnail::default();
    for (i, cell) in reference.cells.iter_mut().enumerate() {
        *cell = (i % 160 / 20 * 37 + i / 160 / 15 * 51) as u8;
    }
    runner.refer_to(&reference);
    let journal = Arc::new(Journal::new([runner.report.clone()].into_iter()));
    let events = Arc::new(Events::default());
    let outputs = Outputs { events, mqtt: None, gpio: Gpio::default(), journal, marker };
    Loop::new(vec![runner], mailbox, outputs)
}

fn recent() -> Recent {
    let config = Config::parse(
        "[gallery]\ndirectory = \"/nonexistent/gallery\"\n\
         [cameras.drive]\nsource = \"clip.avi\"\n\
         [classification.custom.gate.state_config.cameras.drive]\ncrop = [0.1, 0.1, 0.9, 0.8]\n",
    );
    Recent::open(&config.unwrap())
}

fn capture(frames: u32) -> Capture {
    gstreamer::init().unwrap();
    let source = format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=10/1"
    );
    let decoder = Board::named("generic-x86-64").unwrap().decoder;
    let capture = Capture::build(&Source::parse(&source), Codec::H264, &decoder, Pacing::EveryFrame).unwrap();
    capture.pipeline.set_state(gstreamer::State::Playing).unwrap();
    capture
}

#[test]
fn ten_thousand_frames_from_gstreamer_to_the_decision_allocate_nothing() {
    const WARM_UP: usize = 100;
    const FRAMES: usize = 10_000;
    let capture = capture((WARM_UP + FRAMES) as u32);
    let mailbox = Arc::new(Mailbox::new(1));
    let mut inlet = Inlet::new("hall", vec![(0, region())], mailbox.clone(), Arc::default());
    let recent = recent();
    let mut service = watch_loop(mailbox, recent.marker());
    let mut spare = Box::<CropBuffer>::default();
    let (mut looks, mut frames, mut marked, mut allocated) = (0u32, 0, 0, 0);
    // Ten frames a second of a clock that this test keeps: no waiting, and the gate opens as
    // often as it would in a thousand seconds.
    let start = Instant::now();
    while let Ok(sample) = capture.frames.pull_sample() {
        let now = start + Duration::from_millis(100 * frames as u64);
        let probabilities = Probabilities::from_slice(&[0.95, 0.05]).unwrap();
        // Now and then something is in the way.
        let distance = if looks % 40 == 7 { 2.0 } else { 0.5 };
        let open = Classification { probabilities, distance: Some(distance) };
        let count = allocations::count(|| {
            inlet.accept(&sample, now);
            service.pass(
                || now,
                |_: &str, _: &Input| {
                    looks += 1;
                    Some(open.clone())
                },
            );
        });
        allocated += if frames >= WARM_UP { count } else { 0 };
        frames += 1;
        // The curator's part.
        let waiting = std::iter::from_fn(|| recent.handoff.take(&mut spare, std::time::Duration::ZERO));
        marked += waiting.count();
    }
    assert_eq!(frames, WARM_UP + FRAMES);
    assert!(looks > 900, "the gate opened only {looks} times");
    assert!(marked > 10, "only {marked} pictures were marked");
    println!("{FRAMES} frames, {looks} looks, {marked} pictures marked, {allocated} allocations");
    assert_eq!(allocated, 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations::count(|| drop(std::hint::black_box(Box::new(1)))), 1);
}
