//! `ajar tune` on a film made here: nothing for eight seconds, a ball that bounces for eight, nothing again.

use crate::cli::Sandbox;
use crate::scene::{STRETCH, film};
use ajar::config::Config;
use ajar::watch::motion::MotionSettings;
use std::fs;
use std::sync::OnceLock;

fn sandbox() -> Sandbox {
    static FILM: OnceLock<Vec<u8>> = OnceLock::new();
    let sandbox = Sandbox::new();
    let bytes = FILM.get_or_init(|| {
        let path = sandbox.path("made.mkv");
        film(&path, &["black", "ball", "black"]);
        fs::read(path).expect("a film")
    });
    sandbox.write("ball.mkv", bytes);
    sandbox
}

/// The lines of the list of movements: from, to.
fn movements(stdout: &str) -> Vec<(f64, f64)> {
    let lines = stdout.lines().filter(|line| line.starts_with("  ") && line.contains(" to "));
    let times = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0].parse().expect("a time"), words[2].parse().expect("a time"))
    });
    times.collect()
}

#[test]
fn it_says_when_something_moved_and_when_a_watch_would_look() {
    let sandbox = sandbox();
    let out = sandbox.ajar_line("tune ball.mkv --crop 0,0,320,240 --interval 5").expect(0).stdout;
    let stretch = f64::from(STRETCH);
    let [(from, to)] = movements(&out)[..] else { panic!("{out}") };
    // The ball stays in the background's memory for a while.
    assert!(
        (from - stretch).abs() < 0.5 && (2.0 * stretch - 0.5..2.0 * stretch + 4.0).contains(&to),
        "{out}"
    );
    // Looks at the start, at 5 s, once a second while it moves, once after it, and 5 s later.
    let looks = out.lines().find(|line| line.starts_with("looks")).expect("a line of looks");
    let counts: Vec<f64> = looks.split([' ', ',', ':']).filter_map(|word| word.parse().ok()).collect();
    let [total, start, motion, interval] = counts[..] else { panic!("{looks}") };
    assert_eq!((start, total), (1.0, start + motion + interval), "{looks}");
    assert!((stretch..stretch + 5.0).contains(&motion), "{looks}");
    assert!((1.0..=3.0).contains(&interval), "{looks}");
}

#[test]
fn where_nothing_moves_it_finds_nothing() {
    let out = sandbox().ajar_line("tune ball.mkv --crop 0,0,320,240 --seconds 7").expect(0).stdout;
    assert_eq!(movements(&out), [], "{out}");
    assert!(out.contains("movements 0, 0.0 s in all"), "{out}");
    assert!(out.contains("still, nearest to motion: 0 of"), "{out}");
}

#[test]
fn frames_can_be_taken_as_rarely_as_keyframes() {
    let sandbox = sandbox();
    let out =
        sandbox.ajar_line("tune ball.mkv --crop 0,0,1,1 --from 4 --seconds 12 --every 2").expect(0).stdout;
    assert!(out.contains(" 6 frames;"), "{out}");
    assert_eq!(movements(&out).len(), 4, "a movement for each frame with the ball in it: {out}");
}

#[test]
fn a_higher_threshold_finds_no_more() {
    let out =
        sandbox().ajar_line("tune ball.mkv --crop 0,0,1,1 --threshold 12 --interval 100").expect(0).stdout;
    let rows = out.lines().skip_while(|line| !line.starts_with("threshold")).skip(1);
    let rows: Vec<Vec<u32>> = rows
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .collect();
    let thresholds: Vec<u32> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(thresholds, [10, 12, 15, 20, 25, 30, 40]);
    assert!(rows.first().expect("rows")[2] >= rows.last().expect("rows")[2], "{rows:?}");
    assert!(out.contains("<- this one"), "{out}");
}

#[test]
fn the_page_has_everything_in_it() {
    let sandbox = sandbox();
    let out = sandbox.ajar_line("tune ball.mkv --crop 0,0,320,240 --out tune.html").expect(0).stdout;
    assert!(out.contains("In pictures: tune.html"), "{out}");
    let page = fs::read_to_string(sandbox.path("tune.html")).expect("a page");
    for text in [
        "Motion in ball.mkv",
        "<svg",
        "class=\"motion\"",
        "class=\"look motion\"",
        "Still, but nearest to motion",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Crop, background, difference and decision, of one movement and of the still frame.
    assert_eq!(page.matches("src=\"data:image/").count(), 8);
    assert!(!page.contains("http") && !page.contains("<script"), "nothing is fetched or run");
}

#[test]
fn what_it_prints_is_configuration() {
    let sandbox = sandbox();
    let numbers = "--threshold 33 --area 0.02 --lightning-threshold 0.9 --frame-alpha 0.05";
    let line = format!("tune ball.mkv --crop 80,60,320,240 {numbers}");
    let out = sandbox.ajar_line(&line).expect(0).stdout;
    let toml = out[out.find('[').expect("a section")..].replace("NAME", "gate").replace("CAMERA", "drive");
    let config =
        Config::parse(&format!("[cameras.drive]\nsource = \"ball.mkv\"\n{toml}")).expect("a configuration");
    let want = MotionSettings { threshold: 33, area: 0.02, lightning_threshold: 0.9, frame_alpha: 0.05 };
    assert_eq!(config.classification.custom["gate"].state_config.motion, Some(want));
    let region = config.region("gate", "drive").expect("a crop");
    assert_eq!(region.edges(), [0.25, 0.25, 1.0, 1.0]);
}

#[test]
fn a_live_source_ends_when_told() {
    let sandbox = Sandbox::new();
    let source = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=10/1";
    let out = sandbox.ajar(&["tune", source, "--crop", "0,0,1,1", "--seconds", "2"]).expect(0).stdout;
    assert!(out.contains(" 20 frames;") && !movements(&out).is_empty(), "{out}");
}

#[test]
fn mistakes_are_named() {
    let sandbox = sandbox();
    for (line, why) in [
        ("tune nosuch.mkv --crop 0,0,1,1", "nosuch.mkv: no such file"),
        ("tune ball.mkv", "--crop <X1,Y1,X2,Y2>"),
        ("tune ball.mkv --crop 0,0,640,480", "--crop [0.0, 0.0, 640.0, 480.0]: want x1 < x2 <= 320"),
        (
            "tune ball.mkv --crop 0,0,1,1 --threshold 0",
            "--threshold: want a difference in luma from 1 to 255",
        ),
        ("tune ball.mkv --crop 0,0,1,1 --threshold 300", "300 is not in 0..=255"),
        ("tune ball.mkv --crop 0,0,1,1 --area 40", "--area: 40 is not a share of the crop"),
        ("tune ball.mkv --crop 0,0,1,1 --lightning-threshold 0", "--lightning-threshold: 0 is not within"),
        ("tune ball.mkv --crop 0,0,1,1 --frame-alpha 0", "--frame-alpha: 0 is not above 0"),
        ("tune ball.mkv --crop 0,0,1,1 --out tune.png", "--out tune.png: want a name that ends in .html"),
        ("tune ball.mkv --crop 0,0,1,1 --out no/tune.html", "no/tune.html: cannot be written"),
        ("tune ball.mkv --crop 0,0,1,1 --from 99", "ball.mkv: nothing to compare"),
    ] {
        sandbox.ajar_line(line).expect_error(2, why);
    }
}
