//! Looking for examples in all sources.

use crate::cli::Sandbox;
use crate::garage::{self, Sight};
use crate::studio::Studio;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The answer to a call.
#[track_caller]
fn call(sandbox: &Sandbox, studio: &Studio, words: &[&str], path: &str) -> Value {
    let url = format!("{}/api/models{path}", studio.origin());
    let answer =
        studio.curl(sandbox, &[words, &["-H", "Content-Type: application/json", &url]].concat()).stdout;
    serde_json::from_str(answer.strip_prefix("200 ").unwrap_or_else(|| panic!("{path}: {answer}")))
        .expect("JSON")
}

#[track_caller]
fn collect(sandbox: &Sandbox, studio: &Studio) -> Value {
    call(sandbox, studio, &["-d", "{}"], "/gate/collect");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let now = call(sandbox, studio, &[], "/gate/progress");
        match now["phase"].as_str() {
            Some("running") => assert!(Instant::now() < deadline, "{now}"),
            Some("done") => return now["result"].clone(),
            _ => panic!("{now}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn it_keeps_to_24_says_who_did_not_answer_and_leaves_alone_what_was_skipped() {
    let sandbox = Sandbox::new();
    let cameras = ["north", "east", "south", "west", "yard"];
    let mut words = vec!["--device", "nobody.sock"];
    for (i, camera) in cameras.iter().enumerate() {
        std::fs::create_dir(sandbox.path(camera)).expect("a folder");
        for seed in 0..6 {
            let sight = Sight { open: seed % 2 == 0, hour: 8.0 + seed as f32, seed: 10 * i as u32 + seed };
            garage::draw(sight).save(sandbox.path(&format!("{camera}/{seed}.jpg"))).expect("a picture");
        }
        words.extend(["--pictures", camera]);
    }
    let studio = Studio::start(&sandbox, &words);
    studio.let_in(&sandbox);
    let draft = r#"{"name":"gate","title":"","states":["open","closed"]}"#;
    call(&sandbox, &studio, &["-d", draft], "");
    let crop = json!({ "crop": garage::CROP, "frame_size": [garage::WIDTH, garage::HEIGHT] }).to_string();
    for camera in cameras {
        call(&sandbox, &studio, &["-X", "PUT", "-d", &crop], &format!("/gate/crops/{camera}"));
    }
    let found = collect(&sandbox, &studio);
    assert_eq!(found["added"], 24);
    let problem = found["problems"][0].as_str().expect("a problem");
    assert!(problem.contains("nobody.sock") && problem.contains("is ajard running"), "{problem}");

    let ids = || -> Vec<String> {
        let pictures = call(&sandbox, &studio, &[], "/gate/pictures")["pictures"].clone();
        let pictures = pictures.as_array().expect("a list").iter();
        pictures.map(|picture| picture["id"].as_str().expect("an id").to_string()).collect()
    };
    let skipped = ids()[..3].to_vec();
    call(&sandbox, &studio, &["-d", &json!({ "ids": skipped }).to_string()], "/gate/delete");
    assert_eq!(collect(&sandbox, &studio)["added"], 6, "of 30");
    let now = ids();
    assert!(now.len() == 27 && !skipped.iter().any(|id| now.contains(id)), "{now:?}");
}
