//! `ajar cut` on a video made here: red for three seconds, then blue, with a white square at the left top.

use crate::cli::{Output, Sandbox};
use crate::fixture::fixture;
use gstreamer::prelude::*;
use gstreamer::{ClockTime, MessageType, MessageView, State};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const RED: [u8; 3] = [200, 30, 40];
const BLUE: [u8; 3] = [30, 60, 200];
const WHITE: [u8; 3] = [235, 235, 235];

/// 320 x 240, 10 frames a second, 6 seconds, H.264 in MP4. Made once.
fn video() -> &'static [u8] {
    static VIDEO: OnceLock<Vec<u8>> = OnceLock::new();
    VIDEO.get_or_init(|| {
        let sandbox = Sandbox::new();
        let path = sandbox.path("video.mp4");
        encode(&path);
        fs::read(path).expect("a video")
    })
}

fn encode(path: &Path) {
    gstreamer::init().expect("GStreamer");
    let colour = |[r, g, b]: [u8; 3]| u32::from_be_bytes([255, r, g, b]);
    let scene = |background: [u8; 3], name: &str| {
        let caps = |width, height| format!("video/x-raw,width={width},height={height},framerate=10/1");
        format!(
            "videotestsrc pattern=solid-color foreground-color={} num-buffers=30 ! {} ! {name}.sink_0 \
             videotestsrc pattern=solid-color foreground-color={} num-buffers=30 ! {} ! {name}.sink_1 \
             compositor name={name} ! {} ! join. ",
            colour(background),
            caps(320, 240),
            colour(WHITE),
            caps(80, 60),
            caps(320, 240),
        )
    };
    // Zero latency: frames held back would take the time of the second scene.
    let text = format!(
        "concat name=join ! videoconvert ! x264enc tune=zerolatency key-int-max=10 ! h264parse ! mp4mux ! filesink name=file {}{}",
        scene(RED, "red"),
        scene(BLUE, "blue")
    );
    let pipeline = gstreamer::parse::launch(&text)
        .unwrap_or_else(|error| panic!("{error}; scripts/install-deps installs what the tests need"));
    let pipeline = pipeline.downcast::<gstreamer::Pipeline>().expect("a pipeline");
    let file = pipeline.by_name("file").expect("the sink");
    file.set_property("location", path);
    pipeline.set_state(State::Playing).expect("a playing pipeline");
    let bus = pipeline.bus().expect("a bus");
    let end = bus.timed_pop_filtered(ClockTime::from_seconds(60), &[MessageType::Eos, MessageType::Error]);
    pipeline.set_state(State::Null).expect("a stopped pipeline");
    match end.as_ref().map(|message| message.view()) {
        Some(MessageView::Eos(_)) => {}
        Some(MessageView::Error(error)) => panic!("{}", error.error()),
        _ => panic!("the video was not made in time"),
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("video.mp4", video());
    sandbox
}

fn cut(sandbox: &Sandbox, more: &str) -> Output {
    sandbox.ajar_line(&format!("cut --source video.mp4 --out out {more}"))
}

/// The pictures of a directory, sorted.
fn pictures(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut pictures: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    pictures.sort();
    pictures
}

fn names(directory: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    pictures(directory).iter().map(name).collect()
}

/// Size and the colours of the four corners.
fn corners(path: &Path) -> ((u32, u32), [[u8; 3]; 4]) {
    let picture = image::open(path).expect("a picture").into_rgb8();
    let (right, bottom) = (picture.width() - 3, picture.height() - 3);
    let at = |x, y| picture.get_pixel(x, y).0;
    ((picture.width(), picture.height()), [at(2, 2), at(right, 2), at(2, bottom), at(right, bottom)])
}

#[track_caller]
fn assert_colours(path: &Path, want: [[u8; 3]; 4]) {
    let (_, have) = corners(path);
    let near = have.iter().flatten().zip(want.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= 12);
    assert!(near, "{}: want {want:?}, have {have:?}", path.display());
}

#[test]
fn a_picture_is_cut_every_so_many_seconds() {
    let sandbox = sandbox();
    let output = cut(&sandbox, "--crop 0,0,1,1 --every 1").expect(0);
    assert_eq!(output.stdout, "6 pictures in out/\n");
    let want: Vec<String> = (0..6).map(|second| format!("video_{second:05}.00.jpg")).collect();
    assert_eq!(names(&sandbox.path("out")), want);
    for (i, path) in pictures(&sandbox.path("out")).iter().enumerate() {
        let back = if i < 3 { RED } else { BLUE };
        assert_colours(path, [WHITE, back, back, back]);
    }
}

#[test]
fn from_and_to_bound_the_time() {
    let sandbox = sandbox();
    cut(&sandbox, "--crop 0,0,1,1 --every 0.5 --from 1.5 --to 3").expect(0);
    assert_eq!(
        names(&sandbox.path("out")),
        ["video_00001.50.jpg", "video_00002.00.jpg", "video_00002.50.jpg"]
    );
    cut(&sandbox, "--crop 0,0,1,1 --every 1 --from 60").expect_error(2, "no picture was cut");
}

#[test]
fn pixels_and_fractions_cut_the_same() {
    let sandbox = sandbox();
    // The right lower quarter of the white square, and as much beside it.
    let crops = [("pixels", "40,30,120,90"), ("fractions", "0.125,0.125,0.375,0.375")];
    for (out, crop) in crops {
        let line = format!("cut --source video.mp4 --out {out} --crop {crop} --every 10");
        sandbox.ajar_line(&line).expect(0);
    }
    let read = |out: &str| fs::read(sandbox.path(out).join("video_00000.00.jpg")).expect("a picture");
    assert_eq!(read("pixels"), read("fractions"));
    let path = sandbox.path("pixels/video_00000.00.jpg");
    assert_eq!(corners(&path).0, (80, 60));
    assert_colours(&path, [WHITE, RED, RED, RED]);
}

#[test]
fn a_timeline_sorts_pictures_into_states() {
    let sandbox = sandbox();
    let timeline = "# video of the test\nvideo\tstate\tstart_s\tend_s\nvideo.mp4\tred\t0\t2.8\n\
                    video.mp4\ttransition\t2.8\t3.2\nvideo.mp4\tblue\t3.2\t5\nother.mp4\tgreen\t0\t99\n";
    sandbox.write("timeline.tsv", timeline);
    let output = cut(&sandbox, "--crop 0.5,0.5,1,1 --every 0.2 --timeline timeline.tsv").expect(0);
    assert_eq!(output.stdout, "9 pictures in out/blue\n14 pictures in out/red\n");
    for (state, colour) in [("red", RED), ("blue", BLUE)] {
        for path in pictures(&sandbox.path("out").join(state)) {
            assert_colours(&path, [colour; 4]);
        }
    }
    assert_eq!(fs::read_dir(sandbox.path("out")).expect("out").count(), 2);
    // What was cut is a dataset.
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    sandbox.ajar_line("train --name colour --dataset out --key k --out colour.ajb --per-state 2").expect(0);
}

#[test]
fn mistakes_in_a_timeline_are_named() {
    let head = "video\tstate\tstart_s\tend_s\n";
    let cases = [
        ("", "timeline.tsv: is empty"),
        ("state\tend_s\nopen\t1\n", "start_s"),
        (&format!("{head}video.mp4\topen\tsoon\t1\n"), "line 2: start_s and end_s must be seconds"),
        (&format!("{head}video.mp4\topen\t2\t1\n"), "line 2: want a state, and start_s before end_s"),
        (&format!("{head}video.mp4\t../open\t0\t1\n"), "line 2: want a state"),
        (&format!("{head}other.mp4\topen\t0\t1\n"), "timeline.tsv: has no row for video.mp4"),
    ];
    for (text, says) in cases {
        let sandbox = sandbox();
        sandbox.write("timeline.tsv", text);
        cut(&sandbox, "--crop 0,0,1,1 --every 1 --timeline timeline.tsv").expect_error(2, says);
        assert!(!sandbox.path("out").exists(), "{text:?}");
    }
    cut(&sandbox(), "--crop 0,0,1,1 --every 1 --timeline nosuch.tsv")
        .expect_error(2, "nosuch.tsv: No such file");
}

#[test]
fn a_state_stays_inside_the_output() {
    let sandbox = sandbox();
    sandbox.write("timeline.tsv", "state\tstart_s\tend_s\n..\t0\t99\n");
    cut(&sandbox, "--crop 0,0,1,1 --every 1 --timeline timeline.tsv").expect_error(2, "line 2: want a state");
}

#[test]
fn crops_outside_the_frame_are_the_users_mistake() {
    let sandbox = sandbox();
    for (crop, says) in [
        ("0,0,321,240", "--crop [0.0, 0.0, 321.0, 240.0]: want x1 < x2 <= 320 and y1 < y2 <= 240"),
        ("0,100,320,1000", "want x1 < x2 <= 320 and y1 < y2 <= 240"),
        ("0,0,inf,inf", "want numbers, none below 0"),
    ] {
        cut(&sandbox, &format!("--crop {crop} --every 1")).expect_error(2, says);
    }
    assert!(!sandbox.path("out").exists());
}

/// Sources that GStreamer cannot read, and what is said of them.
const UNREADABLE: [(&str, &str); 5] = [
    ("text.mp4", "text.mp4: "),
    // An MP4 has its index at the end.
    ("half.mp4", "half.mp4: "),
    ("rtsp://user:secret@127.0.0.1:9/x", "rtsp://***@127.0.0.1:9/x: "),
    ("/dev/video99", "/dev/video99: "),
    ("videotestsrc ! nosuchelement", "no element \"nosuchelement\""),
];

fn cut_from(sandbox: &Sandbox, source: &str) -> Output {
    sandbox.ajar(&["cut", "--out", "out", "--crop", "0,0,1,1", "--every", "1", "--source", source])
}

fn unreadable() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("text.mp4", "this is no video");
    sandbox.write("half.mp4", &video()[..video().len() / 2]);
    sandbox
}

#[test]
fn sources_that_cannot_be_read_are_named() {
    let sandbox = unreadable();
    // Together, as some take their time.
    std::thread::scope(|scope| {
        for (source, says) in UNREADABLE {
            let sandbox = &sandbox;
            scope.spawn(move || cut_from(sandbox, source).expect_error(1, says));
        }
    });
    cut_from(&sandbox, "nosuch.mp4").expect_error(2, "nosuch.mp4: no such file");
    cut_from(&sandbox, "home").expect_error(2, "home: no such file");
    assert!(!sandbox.path("out").exists());
}

#[test]
fn sources_that_cannot_be_read_are_named_at_once() {
    let sandbox = unreadable();
    for (source, says) in UNREADABLE {
        let start = Instant::now();
        cut_from(&sandbox, source).expect_error(1, says);
        assert!(start.elapsed() < Duration::from_secs(5), "{source}: {:?}", start.elapsed());
    }
}

#[test]
fn a_pipeline_is_a_source() {
    let sandbox = sandbox();
    cut_from(&sandbox, "videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48,framerate=10/1")
        .expect(0);
    assert_eq!(names(&sandbox.path("out")), ["crop_00000.00.jpg", "crop_00001.00.jpg"]);
}

/// Cut, classified: the crop's own file is a picture like any other.
#[test]
fn cut_pictures_can_be_classified() {
    let sandbox = sandbox();
    sandbox.write("gate.ajb", &fixture().bundle);
    cut(&sandbox, "--crop 1,1,2,2 --every 10").expect(0);
    fs::create_dir(sandbox.path("trusted")).expect("a directory");
    fs::copy(fixture().sandbox().path("k/ajar.pub"), sandbox.path("trusted/gate.pub")).expect("a key");
    let line = "classify --bundle gate.ajb --trusted-keys trusted out/video_00000.00.jpg";
    sandbox.ajar_line(line).expect(0);
}
