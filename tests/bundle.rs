//! Bundles from end to end: trained and signed by `ajar`, audited by stock tools, and refused whenever
//! anything about them is wrong.
//!
//! `cargo test --test bundle -- --nocapture refused` prints every refusal with its code and message.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/cli.rs"]
mod cli;
#[path = "bundle/corruption.rs"]
mod corruption;
#[path = "bundle/crash.rs"]
mod crash;
#[path = "bundle/disk.rs"]
mod disk;
#[path = "bundle/files.rs"]
mod files;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "bundle/plan.rs"]
mod plan;
#[path = "bundle/refusals.rs"]
mod refusals;
#[path = "bundle/store.rs"]
mod store;

use ajar::bundle::manifest::Manifest;
use ajar::bundle::sha256_hex;
use cli::need;
use fixture::fixture;
use std::fs;

#[test]
fn a_trained_bundle_verifies() {
    let sandbox = fixture().sandbox();
    let output = sandbox.ajar_line("bundle verify gate.ajb").expect(0);
    let key = &fixture().keys[0].id;
    assert!(output.stdout.starts_with("gate.ajb: good; model gate, sequence number "), "{}", output.stdout);
    assert!(output.stdout.trim_end().ends_with(&format!("signed by {key}")), "{}", output.stdout);
}

#[test]
fn inspect_prints_the_manifest_as_it_was_signed() {
    let sandbox = fixture().sandbox();
    let output = sandbox.ajar_line("bundle inspect gate.ajb").expect(0);
    let (comment, text) = output.stdout.split_once('\n').expect("two lines");
    assert!(comment.ends_with(&sha256_hex(text.as_bytes())), "{comment}");
    assert_eq!(Manifest::parse(text.as_bytes()), Ok(fixture().manifest.clone()));
}

#[test]
fn an_unpacked_bundle_satisfies_stock_minisign_and_sha256sum() {
    need("minisign");
    need("sha256sum");
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("bundle unpack gate.ajb --out unpacked").expect(0);
    let minisign = || {
        let mut command = sandbox.command("minisign");
        command.current_dir(sandbox.path("unpacked")).args(["-Vm", "manifest.toml", "-p", "../k/ajar.pub"]);
        sandbox.run(&mut command)
    };
    let sha256sum = || {
        let mut command = sandbox.command("sha256sum");
        command.current_dir(sandbox.path("unpacked")).args(["--strict", "-c", "SHA256SUMS"]);
        sandbox.run(&mut command)
    };
    let good = minisign().expect(0);
    assert!(good.stdout.contains(&format!("seq={} model=gate", fixture().manifest.seq)), "{}", good.stdout);
    let sums = sha256sum().expect(0);
    assert_eq!(sums.stdout.lines().count(), fixture().manifest.parts.len(), "{}", sums.stdout);
    // The auditors do see a change.
    let manifest = fs::read_to_string(sandbox.path("unpacked/manifest.toml")).expect("a manifest");
    sandbox.write("unpacked/manifest.toml", manifest.replace("threshold = 0.8", "threshold = 0.1"));
    sandbox.write("unpacked/head.f32", b"other weights");
    assert_ne!(minisign().code, 0);
    assert_ne!(sha256sum().code, 0);
}

/// The sums in SHA256SUMS are those of the signed manifest, which minisign vouches for.
#[test]
fn unpacked_sums_are_those_of_the_manifest() {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("bundle unpack gate.ajb").expect(0);
    let sums = fs::read_to_string(sandbox.path("gate/SHA256SUMS")).expect("sums");
    let manifest = &fixture().manifest;
    let signed: String = manifest.parts.iter().map(|p| format!("{}  {}\n", p.sha256, p.name)).collect();
    assert_eq!(sums, signed);
    for part in &manifest.parts {
        let bytes = fs::read(sandbox.path("gate").join(&part.name)).expect("a part");
        assert_eq!((bytes.len() as u64, sha256_hex(&bytes)), (part.size, part.sha256.clone()));
    }
    sandbox.ajar_line("bundle unpack gate.ajb").expect_error(2, "gate exists; choose another --out");
}

#[test]
fn a_bundle_that_is_not_there_is_the_users_mistake() {
    let sandbox = fixture().sandbox();
    for line in
        ["bundle verify x.ajb", "bundle inspect x.ajb", "bundle unpack x.ajb", "deploy --store s x.ajb"]
    {
        sandbox.ajar_line(line).expect_error(2, "x.ajb: no such file");
    }
}

#[test]
fn keys_are_taken_from_the_option_or_the_variable() {
    let sandbox = fixture().sandbox();
    sandbox.write("none/readme.txt", "no key here");
    sandbox
        .ajar_line("bundle verify gate.ajb --trusted-keys none")
        .expect_error(1, "which is not trusted; trusted: none");
    let mut command = sandbox.command(cli::AJAR);
    sandbox
        .run(command.args(["bundle", "verify", "gate.ajb"]).env("AJAR_TRUSTED_KEYS", "none"))
        .expect_error(1, "E21");
    sandbox.write("garbage/a.pub", "untrusted comment: a key\nRWQnonsense\n");
    sandbox
        .ajar_line("bundle verify gate.ajb --trusted-keys garbage")
        .expect_error(1, "garbage/a.pub: not a minisign public key");
    // Another key beside the right one does no harm.
    sandbox.ajar_line("key new --out other --no-password").expect(0);
    sandbox.ajar_line("bundle verify gate.ajb").expect(0);
}
