//! The plan in a store: kept by `ajar deploy`, made anew by `ajard` where it is missing or damaged.

use crate::cli::{Output, Sandbox};
use crate::fixture::fixture;
use ajar::bundle::manifest::{Manifest, Role};
use ajar::bundle::sha256_hex;
use ajar::companion::shipped_plan;
use ajar::engine::plan::source_of;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Something that may happen to a file's bytes.
type Damage = fn(&mut Vec<u8>);

const FLOAT: &[u8] = include_bytes!("../../models/mobilenetv2-128.onnx");
const CONFIG: &str = "[device]\nboard = \"generic-x86-64\"\nstore = \"store\"\ntrusted_keys = \"k\"\n\
    [cameras.drive]\nsource = \"videotestsrc ! identity\"\n\
    [classification.custom.gate.state_config.cameras.drive]\ncrop = [0, 0, 1, 1]\n";

fn deployed() -> (Sandbox, PathBuf) {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("deploy --store store gate.ajb").expect(0);
    let plan = sandbox.path("store/plans").join(&fixture().manifest.backbone.sha256);
    (sandbox, plan)
}

/// `ajard check`, which loads the models as `ajard run` does.
fn check(sandbox: &Sandbox) -> Output {
    sandbox.write("ajard.toml", CONFIG);
    sandbox.ajard(&["check", "--config", "ajard.toml"]).expect(0)
}

fn shipped() -> Vec<u8> {
    shipped_plan().unwrap().bytes().to_vec()
}

#[test]
fn deploying_keeps_the_plan_and_ajard_uses_it() {
    let (sandbox, plan) = deployed();
    assert!(fs::read(&plan).unwrap() == shipped());
    assert_eq!(check(&sandbox).stderr, "");
}

#[test]
fn a_missing_or_damaged_plan_is_made_anew() {
    let (sandbox, plan) = deployed();
    let damage: [(&str, Damage); 4] = [
        ("damaged: the checksum does not fit; making it anew", |bytes| bytes[1_000_000] ^= 1),
        ("damaged: its length is not the one it names; making it anew", |bytes| bytes.truncate(500_000)),
        ("a plan of version 77, this Ajar runs version", |bytes| bytes[8] = 77),
        ("not a plan; making it anew", |bytes| bytes.clear()),
    ];
    for (message, damage) in damage {
        let mut bytes = shipped();
        damage(&mut bytes);
        fs::set_permissions(&plan, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&plan, bytes).unwrap();
        let output = check(&sandbox);
        assert!(output.stderr.contains(message), "want {message:?} in {}", output.stderr);
        assert!(fs::read(&plan).unwrap() == shipped(), "{message}");
    }
    fs::remove_file(&plan).unwrap();
    let output = check(&sandbox);
    assert!(output.stderr.contains("not there yet, making it"), "{}", output.stderr);
    assert!(fs::read(&plan).unwrap() == shipped());
}

#[test]
fn a_store_that_cannot_be_written_costs_only_time() {
    let (sandbox, _) = deployed();
    fs::remove_dir_all(sandbox.path("store/plans")).unwrap();
    sandbox.write("store/plans", "in the way");
    let output = check(&sandbox);
    assert!(output.stderr.contains("the plan stays in memory"), "{}", output.stderr);
}

#[test]
fn a_backbone_that_cannot_be_lowered_runs_on_tract_and_says_why() {
    let fixture = fixture();
    let sandbox = fixture.sandbox();
    let mut parts = fixture.parts.clone();
    let mut manifest = fixture.manifest.clone();
    manifest.backbone.sha256 = sha256_hex(FLOAT);
    for (part, bytes) in manifest.parts.iter_mut().zip(&mut parts) {
        if part.role == Role::Backbone {
            *bytes = FLOAT.to_vec();
            (part.size, part.sha256) = (FLOAT.len() as u64, sha256_hex(FLOAT));
        }
    }
    let text = toml::to_string(&manifest).unwrap();
    sandbox.write("float.ajb", fixture.signed(text.as_bytes(), &parts.concat(), &manifest));
    let deployed = sandbox.ajar_line("deploy --store store float.ajb").expect(0);
    assert!(
        deployed.stderr.contains("plan is not kept")
            && deployed.stderr.contains("lowered: Add b13_project_sum"),
        "{}",
        deployed.stderr
    );
    let output = check(&sandbox);
    let warnings: Vec<&str> = output.stderr.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else { panic!("one warning, not {warnings:?}") };
    assert!(warning.contains("runs on tract") && warning.contains("Add b13_project_sum"), "{warning}");
}

/// The plan with some of its weights changed and its checksum made to fit: what only a comparison finds out.
fn computes_something_else() -> Vec<u8> {
    let mut bytes = shipped();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 300_000].iter_mut().for_each(|weight| *weight ^= 0x40);
    // It follows the hash of the ONNX file in the header.
    let source = source_of(&bytes).unwrap().to_vec();
    let at = 32 + bytes.windows(32).position(|window| window == source).unwrap();
    let sum = Sha256::new().chain_update(&bytes[..at]).chain_update(&bytes[at + 32..]).finalize();
    bytes[at..at + 32].copy_from_slice(&sum);
    bytes
}

#[test]
fn a_plan_that_computes_something_else_is_found_by_the_self_test() {
    let fixture = fixture();
    let (sandbox, plan) = deployed();
    fs::remove_file(&plan).unwrap();
    fs::write(&plan, computes_something_else()).unwrap();
    // It is whole, as far as its file tells.
    assert_eq!(check(&sandbox).stderr, "");
    sandbox.write("next.ajb", fixture.with_seq(fixture.manifest.seq + 1));
    sandbox
        .ajar_line("deploy --store store next.ajb")
        .expect_error(1, "E61: self-test: the probabilities of a golden crop are ");
    // Without golden crops, tract knows.
    let mut manifest = Manifest { seq: fixture.manifest.seq + 1, selftest: None, ..fixture.manifest.clone() };
    let is_selftest = |role: &Role| *role == Role::Selftest;
    let parts = manifest.parts.iter().zip(&fixture.parts).filter(|(part, _)| !is_selftest(&part.role));
    let body: Vec<u8> = parts.flat_map(|(_, bytes)| bytes.clone()).collect();
    manifest.parts.retain(|part| !is_selftest(&part.role));
    let text = toml::to_string(&manifest).unwrap();
    sandbox.write("next.ajb", fixture.signed(text.as_bytes(), &body, &manifest));
    let refused = sandbox.ajar_line("deploy --store store next.ajb").expect_error(1, "E61: self-test: ");
    assert!(refused.stderr.contains("those of tract"), "{}", refused.stderr);
    fs::remove_file(&plan).unwrap();
    sandbox.ajar_line("deploy --store store next.ajb").expect(0);
}
