//! Every file in tests/configs/: the valid ones are taken, and each invalid one is refused with what its
//! first line expects, by the library and by `ajard check`.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/cli.rs"]
mod cli;

use ajar::config::{Config, GalleryConfig, LineName, Privacy};
use cli::Sandbox;
use std::path::{Path, PathBuf};

/// Every file of a directory under tests/configs/, sorted.
fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(directory);
    let entries = std::fs::read_dir(&directory).expect("tests/configs");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", directory.display());
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable file")
}

fn valid(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/valid").join(name);
    Config::load(&path).unwrap_or_else(|why| panic!("{why}"))
}

/// What the first line of an invalid file says its error must contain.
fn expected(path: &Path, text: &str) -> String {
    let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
    let expected = expected.unwrap_or_else(|| panic!("{}: no `# expect:` line", path.display()));
    assert!(!expected.trim().is_empty(), "{}: expects nothing", path.display());
    expected.to_string()
}

fn check(sandbox: &Sandbox, path: &Path) -> cli::Output {
    sandbox.ajard(&["check".as_ref(), "--config".as_ref(), path.as_os_str()])
}

#[test]
fn valid_files_are_taken() {
    for path in files("valid") {
        Config::load(&path).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// No bundle is installed and some boards are elsewhere, so `check` may fail, but not for the file's sake.
#[test]
fn check_finds_no_mistake_in_valid_files() {
    let sandbox = Sandbox::new();
    for path in files("valid") {
        let output = check(&sandbox, &path);
        assert!([0, 1].contains(&output.code), "{}: {}", path.display(), output.stderr);
        assert!(!output.stderr.contains("panicked"), "{}: {}", path.display(), output.stderr);
        assert!(!output.stderr.contains("pass%21word"), "{}: {}", path.display(), output.stderr);
    }
}

#[test]
fn invalid_files_are_refused_with_what_they_expect() {
    let mut wrong = Vec::new();
    for path in files("invalid") {
        let text = read(&path);
        let expected = expected(&path, &text);
        match Config::parse(&text) {
            Ok(_) => wrong.push(format!("{}: taken", path.display())),
            Err(why) if !why.to_string().contains(&expected) => {
                wrong.push(format!("{}\n  want {expected}\n  have {why}", path.display()))
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn check_names_the_file_and_the_mistake() {
    let sandbox = Sandbox::new();
    for path in files("invalid") {
        let expected = expected(&path, &read(&path));
        let output = check(&sandbox, &path);
        assert_eq!(output.code, 2, "{}: {}", path.display(), output.stderr);
        let want = format!("error: {}: ", path.display());
        assert!(output.stderr.contains(&want), "want {want:?} in {}", output.stderr);
        assert!(
            output.stderr.contains(&expected),
            "{}: want {expected:?} in {}",
            path.display(),
            output.stderr
        );
        assert_eq!(output.stdout, "", "{}", path.display());
    }
}

#[test]
fn a_file_of_no_bytes_watches_nothing() {
    let why = Config::parse("").expect_err("nothing to watch").to_string();
    assert!(why.starts_with("nothing to watch"), "{why}");
    assert_eq!(Config::default().device, ajar::config::DeviceConfig::default());
}

/// As editors on other systems save them.
#[test]
fn line_ends_and_byte_order_marks_do_no_harm() {
    for path in files("valid") {
        let text = read(&path);
        let config = Config::parse(&text);
        assert_eq!(Config::parse(&text.replace('\n', "\r\n")), config, "{}", path.display());
        assert_eq!(Config::parse(&format!("\u{feff}{text}")), config, "{}", path.display());
    }
}

#[test]
fn run_refuses_what_check_refuses() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("ajard.toml", "[cameras.drive]\nsuorce = \"clip.avi\"\n");
    let args = ["run".as_ref(), "--config".as_ref(), path.as_os_str()];
    sandbox.ajard(&args).expect_error(2, "line 2: unknown key \"suorce\"; did you mean \"source\"?");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("latin1.toml", b"# caf\xe9\n");
    for name in ["nosuch.toml", "latin1.toml", "home"] {
        sandbox.ajard(&["check", "--config", name]).expect_error(2, &format!("error: {name}: "));
    }
}

#[test]
fn what_is_not_given_is_as_documented() {
    let config = valid("smallest.toml");
    assert_eq!(config.device, ajar::config::DeviceConfig::default());
    assert_eq!(config.inbox(), Path::new("/var/lib/ajar/inbox"));
    assert_eq!(config.mqtt, None);
    assert_eq!(config.gpio.chip, None);
    let model = &config.classification.custom["gate"];
    assert_eq!((model.threshold, model.max_distance, model.save_attempts), (None, 1.0, 100));
    let GalleryConfig { enabled, frames, max_mb, every, privacy, .. } = config.gallery;
    assert_eq!((enabled, frames, max_mb, every.as_secs()), (true, 200, 200, 300));
    assert_eq!(privacy, Privacy::Frame);
    assert_eq!(config.gallery_directory(), Path::new("/var/lib/ajar/gallery"));
    assert_eq!(config.recent_directory(), Path::new("/var/lib/ajar/recent"));
    assert!(model.state_config.motion);
    assert_eq!(model.state_config.interval.as_secs(), 60);
    let mqtt = valid("mqtt.toml").mqtt.expect("[mqtt]");
    assert_eq!((mqtt.port, mqtt.topic_prefix.as_str()), (1883, "ajar"));
}

#[test]
fn what_is_given_arrives() {
    let config = valid("every_key.toml");
    let mqtt = config.mqtt.as_ref().expect("[mqtt]");
    assert_eq!((mqtt.host.as_str(), mqtt.port), ("broker.lan", 8883));
    assert_eq!(config.device.store, Path::new("/srv/ajar/store"));
    assert_eq!((config.device.trial.attempts, config.device.trial.minutes), (100, 30.5));
    assert_eq!(config.inbox(), Path::new("/srv/ajar/inbox"));
    let line = &config.gpio.lines[0];
    assert_eq!((&line.line, line.active_low), (&LineName::Header("GPIO17".into()), true));
    let model = &config.classification.custom["gate"];
    assert_eq!((model.threshold, model.max_distance, model.save_attempts), (Some(0.9), 1.2, 40));
    assert_eq!((config.gallery.frames, config.gallery.every.as_millis()), (500, 60_500));
    assert_eq!(config.recent_directory(), Path::new("/srv/ajar/recent"));
    assert_eq!(model.state_config.interval.as_millis(), 2500);
    assert_eq!(config.watches().collect::<Vec<_>>(), [("gate", "drive")]);
}

#[test]
fn pixels_and_fractions_name_the_same_place() {
    let pixels = valid("crop_in_pixels.toml").region("gate", "drive").expect("a region");
    let fractions = ajar::watch::crop::Region::new([0.25, 0.25, 0.75, 1.0]).expect("a region");
    assert_eq!(pixels.pixels(1280, 720), fractions.pixels(1280, 720));
    // The same crop on the camera's smaller stream.
    assert_eq!(pixels.pixels(640, 360), fractions.pixels(640, 360));
}

#[test]
fn watches_are_all_pairs_of_model_and_camera() {
    let config = valid("several_cameras_per_model.toml");
    let watches: Vec<_> = config.watches().collect();
    assert_eq!(watches, [("bins", "right"), ("gate", "left"), ("gate", "right")]);
    assert!(watches.iter().all(|(model, camera)| config.region(model, camera).is_some()));
}
