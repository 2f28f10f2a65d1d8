//! Real labelled pictures, where they are: beside the project in `shared/data`, never in it.

use crate::cli::Sandbox;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory of the shared data; prints why not if there is none.
fn shared(relative: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(relative);
    if !path.is_dir() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}

fn args(words: &str, path: &Path) -> Vec<OsString> {
    words.split(' ').map(OsString::from).chain([path.into()]).collect()
}

/// Parking spots, free or occupied, over weeks of weather: 25 of each must be enough for the rest.
#[test]
fn parking_spots_are_told_apart() {
    let Some(spots) = shared("sets/pklot_ufpr05_spots") else { return };
    let sandbox = Sandbox::new();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    sandbox
        .ajar(&args("train --name spot --key k --out spot.ajb --per-state 25 --dataset", &spots))
        .expect(0);
    let output = sandbox.ajar(&args("evaluate --bundle spot.ajb --json --dataset", &spots)).expect(0);
    println!("{}", output.stdout);
    let result: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert!(result["n"].as_u64().expect("a number") > 1000, "{result}");
    let error = result["balanced_error"].as_f64().expect("a number");
    assert!(error < 0.15, "{result}");
}

/// Pictures a camera's upload really cut off, among good ones of the same camera.
#[test]
fn pictures_that_a_camera_cut_off_are_left_out_by_name() {
    let Some(broken) = shared("truncated_jpegs_raw") else { return };
    let Some(good) = shared("sets/roofcam_wet_dry_night") else { return };
    let sandbox = Sandbox::new();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    for state in ["night", "wet"] {
        copy(&good.join(state), &sandbox.path("pictures").join(state), 4);
    }
    let names = copy(&broken, &sandbox.path("pictures/wet"), usize::MAX);
    assert!(!names.is_empty());
    let line = "train --name roof --key k --out roof.ajb --dataset pictures --report report.json";
    let output = sandbox.ajar_line(line).expect(0);
    assert!(output.stdout.contains("night: 4 pictures\nwet: 4 pictures\n"), "{}", output.stdout);
    let report = fs::read_to_string(sandbox.path("report.json")).expect("a report");
    for name in &names {
        assert!(
            output.stdout.contains(&format!("left out: pictures/wet/{name} (truncated")),
            "{}",
            output.stdout
        );
        assert!(report.contains(name), "{name}");
    }
    println!("{} pictures left out", names.len());
}

/// Copies the first files of a directory; returns their names.
fn copy(from: &Path, to: &Path, count: usize) -> Vec<String> {
    fs::create_dir_all(to).expect("a directory");
    let entries = fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    paths.truncate(count);
    for path in &paths {
        fs::copy(path, to.join(path.file_name().expect("a name"))).expect("a copied file");
    }
    paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}
