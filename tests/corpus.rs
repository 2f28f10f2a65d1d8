//! The fuzz targets on their seeds: what `make fuzz` once found stays mended.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Runs a target on every file below these directories, and on each cut short.
fn replay(target: fn(&[u8]), directories: &[&str], least: usize) {
    let mut files = Vec::new();
    for directory in directories {
        let entries = fs::read_dir(Path::new(directory)).expect(directory);
        files.extend(entries.map(|entry| entry.expect(directory).path()));
    }
    assert!(files.len() >= least, "{directories:?}: {} files", files.len());
    for path in &files {
        let bytes = fs::read(path).expect("a seed");
        for length in [bytes.len(), bytes.len() / 2, bytes.len().saturating_sub(1)] {
            target(&bytes[..length]);
        }
    }
    println!("{directories:?}: {} seeds", files.len());
}

#[test]
fn bundles() {
    replay(targets::bundle, &["fuzz/seeds/bundle"], 2);
}

#[test]
fn manifests() {
    replay(targets::manifest, &["fuzz/seeds/manifest"], 3);
}

#[test]
fn states() {
    replay(targets::state, &["fuzz/seeds/state"], 3);
}

#[test]
fn configs() {
    replay(targets::config, &["tests/configs/valid", "tests/configs/invalid"], 80);
}

#[test]
fn control_requests() {
    replay(targets::control, &["fuzz/seeds/control"], 8);
}
