//! Every file in boards/: known to the program, valid, and made of pipelines that GStreamer can parse.
//!
//! Only elements of hardware that is not here may be missing. A plugin package that Ajar depends
//! on (good, bad, libav) must be installed, or this fails.
#![cfg(feature = "common")]

use ajar::board::{self, Board};
use gstreamer::{ParseContext, ParseError, ParseFlags};
use std::path::Path;

/// Elements that exist only beside their hardware, and what takes their place where they do not:
/// once an element is missing, GStreamer's parser reports nothing else that is wrong.
const HARDWARE_ELEMENTS: [(&str, &str); 6] = [
    ("libcamerasrc", "fakesrc"),
    ("nvarguscamerasrc", "fakesrc"),
    ("nvv4l2decoder", "decodebin"),
    ("nvvidconv", "decodebin"),
    ("v4l2h264dec", "decodebin"),
    ("v4l2slh265dec", "decodebin"),
];

/// What the camera module puts behind every source.
const SINK: &str =
    "videoconvert ! video/x-raw,format={I420,NV12} ! appsink name=frames sync=false max-buffers=1 drop=true";

/// Name and text of every file in boards/, sorted.
fn boards() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(directory).expect("boards/") {
        let path = entry.expect("boards/").path();
        assert_eq!(path.extension().and_then(|it| it.to_str()), Some("toml"), "{}", path.display());
        let name = path.file_stem().and_then(|it| it.to_str()).expect("a plain name");
        let text = std::fs::read_to_string(&path).expect("a readable file");
        boards.push((name.to_string(), text));
    }
    boards.sort();
    boards
}

/// The pipelines a board can be asked for, each with the key it comes from.
fn pipelines(board: &Board) -> Vec<(String, String)> {
    let decoder = &board.decoder;
    let codecs = [
        ("decoder.h264", "rtph264depay", &decoder.h264),
        ("decoder.h265", "rtph265depay", &decoder.h265),
        ("decoder.mjpeg", "rtpjpegdepay", &decoder.mjpeg),
    ];
    let rtsp = codecs.map(|(key, depay, decoder)| {
        let head = format!("rtspsrc name=source latency=0 protocols=tcp ! {depay} ! {decoder}");
        (key.to_string(), format!("{head} ! {SINK}"))
    });
    let wired =
        board.camera.iter().map(|(kind, source)| (format!("camera.{kind}"), format!("{source} ! {SINK}")));
    rtsp.into_iter().chain(wired).collect()
}

/// The text with a stand-in for every hardware element.
fn without_hardware(text: &str) -> String {
    let stand_in = |word| HARDWARE_ELEMENTS.iter().find(|(element, _)| *element == word).map(|(_, it)| *it);
    text.split(' ').map(|word| stand_in(word).unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// Why GStreamer would not build this pipeline, hardware apart.
fn check_pipeline(text: &str) -> Result<(), String> {
    gstreamer::init().map_err(|error| error.to_string())?;
    let mut context = ParseContext::new();
    if let Err(error) = gstreamer::parse::launch_full(text, Some(&mut context), ParseFlags::FATAL_ERRORS) {
        if error.kind::<ParseError>() != Some(ParseError::NoSuchElement) {
            return Err(error.message().to_string());
        }
        // The parser also lists elements that are there and follow a missing one.
        let missing = context.missing_elements();
        let excused = |name: &String| HARDWARE_ELEMENTS.iter().any(|(element, _)| element == name);
        let absent = |name: &&String| gstreamer::ElementFactory::find(name).is_none();
        if let Some(name) = missing.iter().filter(absent).find(|name| !excused(name)) {
            return Err(format!("no element {name:?}"));
        }
    }
    let built = gstreamer::parse::launch_full(&without_hardware(text), None, ParseFlags::FATAL_ERRORS);
    built.map(drop).map_err(|error| error.message().to_string())
}

#[test]
fn every_file_is_embedded_and_valid() {
    let boards = boards();
    let files: Vec<&str> = boards.iter().map(|(name, _)| name.as_str()).collect();
    let mut embedded = board::names();
    embedded.sort_unstable();
    assert_eq!(embedded, files);
    assert!(files.contains(&board::DEFAULT_BOARD));
    for (name, text) in &boards {
        let board = Board::parse(text).unwrap_or_else(|why| panic!("boards/{name}.toml: {why}"));
        assert_eq!(Board::named(name), Ok(board), "{name} is embedded from another file");
    }
}

#[test]
fn every_pipeline_parses() {
    for (name, text) in boards() {
        let board = Board::parse(&text).expect("a valid board");
        for (key, pipeline) in pipelines(&board) {
            if let Err(why) = check_pipeline(&pipeline) {
                panic!("boards/{name}.toml: {key}: {why} (in: {pipeline})");
            }
        }
    }
}

#[test]
fn a_wired_camera_is_a_pipeline_and_not_a_path() {
    use ajar::camera::Source;
    for (name, text) in boards() {
        for (kind, source) in Board::parse(&text).expect("a valid board").camera {
            assert_eq!(
                Source::parse(&source),
                Source::Pipeline(source.clone()),
                "boards/{name}.toml: camera.{kind}"
            );
        }
    }
}

/// The check itself: mistakes it must see, on every machine.
#[test]
fn broken_pipelines_are_found() {
    let cases = [
        ("fakesrc ! ! fakesink", "syntax error"),
        // The same behind an element that is missing almost everywhere.
        ("fakesrc ! nvv4l2decoder ! ! fakesink", "syntax error"),
        ("fakesrc ! nosuchelement ! fakesink", "no element \"nosuchelement\""),
        ("fakesrc ! nvv4l2decoder ! nosuchelement ! fakesink", "no element \"nosuchelement\""),
        ("fakesrc ! avdec_h264 speed=1 ! fakesink", "no property \"speed\" in element \"avdec_h264\""),
        ("videotestsrc ! h264parse ! fakesink", "could not link videotestsrc"),
    ];
    for (text, expected) in cases {
        let why = check_pipeline(text).expect_err(text);
        assert!(why.contains(expected), "{text}: {why}");
    }
}

const SOUND: &str = r#"
name = "A board"
target = "aarch64-unknown-linux-gnu"
[decoder]
h264 = "avdec_h264"
h265 = "avdec_h265"
mjpeg = "jpegdec"
[gpio]
chip = "/dev/gpiochip0"
[gpio.header]
GPIO17 = 17
GPIO27 = 27
[limits]
cameras = 1
memory_mib = 64
"#;

#[test]
fn broken_boards_say_what_is_wrong() {
    Board::parse(SOUND).expect("the sound board");
    let cases = [
        ("mjpeg =", "mjpg =", "unknown field `mjpg`"),
        ("mjpeg = \"jpegdec\"", "", "missing field `mjpeg`"),
        ("GPIO27 = 27", "GPIO27 = 17", "gpio.header: two names for one line"),
        ("GPIO27 = 27", "GPIO27 = -1", "invalid value"),
        ("GPIO27 = 27", "GPIO17 = 27", "duplicate key"),
        ("chip = \"/dev/gpiochip0\"", "", "gpio.header without gpio.chip"),
        ("cameras = 1", "cameras = 0", "limits: want at least 1 camera and 64 MiB"),
        ("memory_mib = 64", "memory_mib = 63", "limits: want at least 1 camera and 64 MiB"),
    ];
    for (right, wrong, expected) in cases {
        assert!(SOUND.contains(right), "{right}");
        let why = Board::parse(&SOUND.replace(right, wrong)).expect_err(wrong);
        assert!(why.contains(expected), "{wrong:?}: {why}");
    }
}

#[test]
fn an_unknown_board_names_the_known_ones() {
    let why = Board::named("raspberry-pi-9").expect_err("no such board");
    assert!(why.starts_with("no board \"raspberry-pi-9\"; known: generic-arm64, "), "{why}");
}
