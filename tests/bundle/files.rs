//! `ajar bundle pack` and `diff`, and what `ajar train` says in a bundle.

use crate::cli::Sandbox;
use crate::fixture::fixture;
use crate::pictures;
use ajar::bundle::manifest::{Manifest, Role};
use ajar::bundle::verify::verify;
use std::fs;

fn manifest(sandbox: &Sandbox, file: &str) -> Manifest {
    let bytes = fs::read(sandbox.path(file)).expect("a bundle");
    verify(&bytes, &fixture().keys).expect("a good bundle").manifest
}

#[test]
fn a_changed_directory_becomes_a_newer_bundle() {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("bundle unpack gate.ajb").expect(0);
    let path = sandbox.path("gate/manifest.toml");
    let text = fs::read_to_string(&path).expect("a manifest").replace("threshold = 0.8", "threshold = 0.7");
    sandbox.write("gate/manifest.toml", text);
    sandbox.write("gate/dataset.txt", "other pictures\n");
    sandbox.ajar_line("bundle pack gate --key k --out next.ajb").expect(0);
    let (before, after) = (manifest(&sandbox, "gate.ajb"), manifest(&sandbox, "next.ajb"));
    assert!(after.seq > before.seq && after.uuid != before.uuid);
    assert_eq!(after.decision.threshold, 0.7);
    let dataset = after.part(Role::Dataset).expect("a dataset");
    assert_eq!((dataset.size, &dataset.sha256), (15, &after.calibration.dataset_sha256));
    assert_eq!(after.part(Role::Head), before.part(Role::Head));

    let diff = sandbox.ajar_line("bundle diff gate.ajb next.ajb").expect(0).stdout;
    for line in ["- decision.threshold = 0.8", "+ decision.threshold = 0.7", "+ part[dataset.txt].size = 15"]
    {
        assert!(diff.lines().any(|have| have.starts_with(line)), "want {line:?} in:\n{diff}");
    }
    assert!(!diff.contains("head.f32"), "{diff}");
    assert_eq!(sandbox.ajar_line("bundle diff gate.ajb gate.ajb").expect(0).stdout, "");
}

#[test]
fn a_bundle_without_its_backbone_names_it() {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("bundle unpack gate.ajb").expect(0);
    sandbox.ajar_line("bundle pack gate --key k --head-only --out head.ajb").expect(0);
    let (whole, head) = (manifest(&sandbox, "gate.ajb"), manifest(&sandbox, "head.ajb"));
    assert_eq!(head.part(Role::Backbone), None);
    assert_eq!(head.backbone, whole.backbone);
    assert!(fs::metadata(sandbox.path("head.ajb")).expect("a bundle").len() < 300_000);
}

#[test]
fn what_cannot_be_packed_uses_no_sequence_number() {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line("bundle unpack gate.ajb").expect(0);
    let path = sandbox.path("gate/manifest.toml");
    let good = fs::read_to_string(&path).expect("a manifest");
    let pack = "bundle pack gate --key k --out next.ajb";
    for (from, to, says) in [
        ("threshold = 0.8", "threshold = 8", "gate/manifest.toml: manifest: decision.threshold: 8"),
        ("threshold = 0.8", "treshold = 0.8", "gate/manifest.toml: "),
        ("name = \"head.f32\"", "name = \"hand.f32\"", "gate/hand.f32: No such file"),
    ] {
        assert_eq!(good.matches(from).count(), 1, "{from}");
        sandbox.write("gate/manifest.toml", good.replace(from, to));
        sandbox.ajar_line(pack).expect_error(2, says);
    }
    sandbox
        .ajar_line("bundle pack nowhere --key k --out next.ajb")
        .expect_error(2, "nowhere/manifest.toml: ");
    let numbers = fs::read_dir(sandbox.path("k")).expect("k").count();
    assert_eq!(numbers, 2, "only the key pair");
    assert!(!sandbox.path("next.ajb").exists());
}

#[test]
fn train_writes_what_the_user_says_of_the_bundle() {
    let sandbox = fixture().sandbox();
    pictures::dataset(&sandbox.path("pictures"), 2);
    let train = "train --name gate --dataset pictures --key k --out said.ajb";
    let options = "--crop drive=0.1,0.2,0.9,0.8 --dwell open=2.5 --target raspberry-pi-5 --head-only";
    sandbox.ajar_line(&format!("{train} {options}")).expect(0);
    let said = manifest(&sandbox, "said.ajb");
    assert_eq!(said.crops["drive"].crop, [0.1, 0.2, 0.9, 0.8]);
    assert_eq!((said.decision.dwell["open"], &said.targets[..]), (2.5, &["raspberry-pi-5".to_string()][..]));
    assert_eq!(said.part(Role::Backbone), None);
    for (option, says) in [
        ("--crop drive=10,20,300,200", "want fractions of the frame, 0 to 1"),
        ("--crop 0.1,0.2,0.9,0.8", "want CAMERA=x1,y1,x2,y2"),
        ("--dwell ajar=2", "--dwell: no state \"ajar\", only closed, open"),
        ("--dwell open", "want STATE=SECONDS"),
        ("--dwell open=soon", "want a number of seconds"),
    ] {
        sandbox.ajar_line(&format!("{train} {option}")).expect_error(2, says);
    }
}
