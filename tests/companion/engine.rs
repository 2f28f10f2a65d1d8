//! `ajar engine`: what a user learns of the engine on this machine.

use crate::cli::Sandbox;
use serde_json::Value;
use std::fs;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn json(sandbox: &Sandbox, line: &str) -> Value {
    serde_json::from_str(&sandbox.ajar_line(line).expect(0).stdout).expect("JSON")
}

#[test]
fn info_and_bench_say_what_runs() {
    let sandbox = Sandbox::new();
    let info = json(&sandbox, "engine info --json");
    let paths = info["paths"].as_array().expect("paths");
    assert!(paths.contains(&"scalar".into()) && paths.last() == Some(&info["path"]), "{info}");
    assert!(info["arena_bytes"].as_u64().expect("bytes") <= 600 * 1024, "{info}");
    let bench = json(&sandbox, "engine bench --json --path scalar --stop-at mid --runs 3");
    assert_eq!(
        (&bench["path"], &bench["stop_at"], &bench["runs"]),
        (&"scalar".into(), &"mid".into(), &3.into())
    );
    assert_eq!(bench["allocations"], 0);
    for time in ["cpu_us_median", "cpu_us_min", "front_cpu_us_median"] {
        assert!(bench[time].as_f64().expect("a time") > 0.0, "{time}: {bench}");
    }
    // tract allocates, so the counter counts.
    let tract = json(&sandbox, "engine bench --json --path tract --stop-at mid --runs 1");
    assert!(tract["allocations"].as_u64().expect("a count") > 0, "{tract}");
}

#[test]
fn lowering_gives_the_shipped_plan() {
    let sandbox = Sandbox::new();
    let line = format!("engine lower --onnx {MODELS}/mobilenetv2-128-int8.onnx --out backbone.plan");
    sandbox.ajar_line(&line).expect(0);
    let shipped = fs::read(format!("{MODELS}/mobilenetv2-128-int8.plan")).expect("the shipped plan");
    assert!(fs::read(sandbox.path("backbone.plan")).expect("a plan") == shipped);
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    sandbox
        .ajar_line("engine bench --path mmx")
        .expect_error(2, "--path: no path \"mmx\"; there are scalar, ");
    sandbox.ajar_line("engine lower --onnx none.onnx --out p").expect_error(2, "none.onnx: no such file");
    sandbox.write("text.onnx", "not an ONNX file");
    sandbox
        .ajar_line("engine bench --onnx text.onnx")
        .expect_error(1, "text.onnx: the backbone cannot be loaded");
    let float = format!("engine bench --onnx {MODELS}/mobilenetv2-128.onnx");
    sandbox.ajar_line(&float).expect_error(1, "--path tract runs it");
}
