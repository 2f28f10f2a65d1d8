//! The workspace: by the command line alone from nothing to a bundle, and what several programs, hands and accidents do to it.
#![cfg(all(feature = "companion", feature = "device"))]

use ajar::companion::workspace::model::{CropFile, Definition};
use ajar::companion::workspace::pictures::Added;
use ajar::companion::workspace::{ModelFolder, Workspace};
use cli::Sandbox;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

#[path = "support/cli.rs"]
mod cli;
#[path = "support/garage.rs"]
mod garage;

const HOUR: i64 = 3600;

/// A model with states and a crop, and no picture.
fn model(sandbox: &Sandbox) -> ModelFolder {
    let workspace = Workspace::open(&sandbox.path("home/ajar")).unwrap();
    let states = ["open", "closed", "half"].map(String::from).to_vec();
    let folder = workspace.create("door", Definition { title: String::new(), states }).unwrap();
    folder.set_crop("drive", CropFile::new(garage::CROP, [garage::WIDTH, garage::HEIGHT]).unwrap()).unwrap();
    folder
}

fn picture(seed: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = garage::draw(garage::Sight { open: seed.is_multiple_of(2), hour: 12.0, seed });
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

fn id(added: Added) -> String {
    added.id().to_string()
}

#[test]
fn the_command_line_goes_from_pictures_to_a_bundle() {
    let sandbox = Sandbox::new();
    let album = garage::album(&sandbox.path("album"), 3);
    sandbox.ajar_line("model new door --state open --state closed").expect(0);
    sandbox.ajar_line("model new door --state open --state closed").expect_error(2, "already");
    let frame = album[0].0.to_str().unwrap();
    sandbox.ajar_line(&format!("model crop door drive 317,189,643,421 --frame {frame}")).expect(0);
    for (state, open) in [("open", true), ("closed", false)] {
        let of_state = album.iter().filter(|(_, is_open)| *is_open == open).map(|(path, _)| path);
        let files: Vec<&str> = of_state.map(|path| path.to_str().unwrap()).collect();
        let line = format!("model add door --camera drive --state {state} {}", files.join(" "));
        let said = sandbox.ajar_line(&line).expect(0).stdout;
        assert_eq!(said, format!("{} added, 0 were there\n", files.len()));
        let again = sandbox.ajar_line(&line).expect(0).stdout;
        assert_eq!(again, format!("0 added, {} were there\n", files.len()));
    }
    sandbox
        .ajar_line(&format!("model add door --camera drive --state ajar {frame}"))
        .expect_error(2, "no state \"ajar\"");
    sandbox.ajar_line("model train door").expect(0);
    let listed = sandbox.ajar_line("model list").expect(0).stdout;
    assert!(listed.starts_with("door: open, closed; 36 of 36 pictures have a state; version "), "{listed}");
    sandbox.ajar_line("key new --out key --no-password").expect(0);
    let bundle = sandbox.ajar_line("model sign door --key key").expect(0).stdout;
    let said = sandbox.ajar_line(&format!("bundle inspect {bundle}")).expect(0).stdout;
    assert!(said.contains("model = \"door\"") && said.contains("[crops.drive]"), "{said}");
}

#[test]
fn programs_at_work_at_once_lose_nothing_of_each_other() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    let files: Vec<PathBuf> =
        (0..40).map(|seed| sandbox.write(&format!("{seed}.jpg"), picture(seed))).collect();
    let add = |state: &str, files: &[PathBuf]| -> Child {
        let mut command = sandbox.command(cli::AJAR);
        command.args(["model", "add", "door", "--camera", "drive", "--state", state]).args(files);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let mut programs = [add("open", &files[..20]), add("closed", &files[20..])];
    // As the studio does meanwhile.
    for n in 0..30 {
        folder.add_state(&format!("more {n}")).unwrap_or_else(|why| panic!("{why:#}"));
        let another = folder.file().unwrap().states.last().cloned().unwrap();
        folder.remove_state(&another).unwrap();
        folder.rename_state("half", "ajar").unwrap();
        folder.rename_state("ajar", "half").unwrap();
    }
    for program in &mut programs {
        assert!(program.wait().unwrap().success());
    }
    let pictures = folder.pictures().unwrap();
    let count = |state: &str| pictures.iter().filter(|one| one.state.as_deref() == Some(state)).count();
    assert_eq!((pictures.len(), count("open"), count("closed")), (40, 20, 20));
    assert_eq!(folder.file().unwrap().states, ["open", "closed", "half"]);
}

#[test]
fn a_mistake_in_a_crop_is_named_and_no_picture_is_touched() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    folder.add("drive", &picture(1), Some(HOUR)).unwrap();
    let file = folder.path().join("model.toml");
    let good = fs::read_to_string(&file).unwrap();
    for edges in ["[0.9, 0.1, 0.2, 0.8]", "[317.0, 189.0, 643.0, 421.0]", "[0.5, 0.1, 0.50001, 0.8]"] {
        let start = good.find("crop = [").unwrap();
        let end = start + good[start..].find("]").unwrap() + 1;
        fs::write(&file, format!("{}crop = {edges}{}", &good[..start], &good[end..])).unwrap();
        let why = format!("{:#}", folder.pictures().unwrap_err());
        assert!(why.contains("model.toml: camera drive: crop"), "{why}");
    }
    fs::write(&file, &good).unwrap();
    assert_eq!(folder.pictures().unwrap().len(), 1);
    assert_eq!(folder.quarantined(), 0);
}

#[test]
fn the_same_picture_is_kept_once_whenever_it_was_taken() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    let first = folder.add("drive", &picture(1), Some(HOUR)).unwrap();
    assert!(matches!(first, Added::New(_)));
    assert_eq!(folder.add("drive", &picture(1), Some(2 * HOUR)).unwrap(), Added::Known(id(first)));
    assert_eq!(folder.pictures().unwrap().len(), 1);
}

#[test]
fn what_is_deleted_comes_back_with_the_names_of_now() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    let ids = [1, 2].map(|seed| id(folder.add("drive", &picture(seed), Some(HOUR)).unwrap()));
    folder.label(&ids, Some("half")).unwrap();
    let entry = folder.delete(&ids[..1]).unwrap();
    folder.rename_state("half", "ajar").unwrap();
    folder.undo(&entry).unwrap();
    assert_eq!(folder.picture(&ids[0]).unwrap().state.as_deref(), Some("ajar"));

    // It came back by another way, and was given another state.
    let entry = folder.delete(&ids[..1]).unwrap();
    folder.add("drive", &picture(1), Some(HOUR)).unwrap();
    folder.label(&ids[..1], Some("open")).unwrap();
    folder.undo(&entry).unwrap();
    assert_eq!(folder.picture(&ids[0]).unwrap().state.as_deref(), Some("open"));

    let entry = folder.remove_state("ajar").unwrap();
    assert!(folder.picture(&ids[1]).is_err());
    let why = folder.remove_state("open").unwrap_err().to_string();
    assert!(why.contains("at least two states"), "{why}");
    folder.undo(&entry).unwrap();
    assert_eq!(folder.picture(&ids[1]).unwrap().state.as_deref(), Some("ajar"));
}

#[test]
fn nothing_is_added_to_a_model_that_another_program_deleted() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    let entry = folder.remove().unwrap();
    let why = folder.add("drive", &picture(1), None).unwrap_err().to_string();
    assert!(why.contains("there is no model \"door\""), "{why}");
    assert_eq!(folder.workspace().undo(&entry).unwrap(), "door");
}

#[test]
fn only_files_of_the_workspace_are_pictures() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    folder.add("drive", &picture(1), Some(HOUR)).unwrap();
    let frames = folder.path().join("frames/drive");
    let secret = sandbox.write("secret.jpg", picture(2));
    std::os::unix::fs::symlink(&secret, frames.join("undated_link.jpg")).unwrap();
    std::os::unix::fs::symlink("/nowhere", frames.join("undated_nowhere.jpg")).unwrap();
    fs::create_dir(frames.join("undated_folder.jpg")).unwrap();
    assert_eq!(folder.pictures().unwrap().len(), 1);
    assert!(folder.picture("undated_link").is_err());
}

/// A version is what was trained, whatever is drawn and said while it is.
#[test]
fn a_version_has_the_crop_that_it_was_trained_with() {
    let sandbox = Sandbox::new();
    let folder = model(&sandbox);
    folder.remove_state("half").unwrap();
    for seed in 0..24 {
        let added = id(folder.add("drive", &picture(seed), Some(HOUR * i64::from(seed))).unwrap());
        folder.label(&[added], Some(if seed.is_multiple_of(2) { "open" } else { "closed" })).unwrap();
    }
    let mut training = sandbox.command(cli::AJAR);
    let mut training = training.args(["model", "train", "door"]).stdout(Stdio::null()).spawn().unwrap();
    // Each change is made before it ends; most of them while it works.
    let mut moved = 0;
    while training.try_wait().unwrap().is_none() {
        moved += 1;
        let x = 0.1 + 0.001 * f64::from(moved % 50);
        folder.set_crop("drive", CropFile::new([x, 0.1, x + 0.3, 0.6], [960, 540]).unwrap()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(training.wait().unwrap().success());
    let version = folder.file().unwrap().version.unwrap();
    let kept = folder.path().join("versions").join(version);
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(kept.join("manifest.toml")).unwrap()).unwrap();
    let of_manifest: Vec<f64> = manifest["crops"]["drive"]["crop"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge.as_float().unwrap())
        .collect();
    // The folder of crops that are all there is the one that was trained on.
    let cut = fs::read_dir(folder.cache().join("drive")).unwrap().flatten();
    let trained: Vec<String> = cut
        .filter(|folder| fs::read_dir(folder.path()).unwrap().count() == 24)
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    let name = of_manifest.iter().map(|edge| format!("{edge:.5}")).collect::<Vec<_>>().join(",");
    assert_eq!(trained, [name], "{moved} changes");
    assert!(moved > 5, "the training was over after {moved} changes");
}
