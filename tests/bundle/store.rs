//! Deployment: what a store takes, keeps, refuses, and notices later.

use crate::cli::{Output, Sandbox};
use crate::fixture::fixture;
use ajar::bundle::manifest::Role;
use ajar::bundle::store::Store;
use ajar::bundle::{Code, Refusal};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const DEPLOY: &str = "deploy --store store gate.ajb";

/// A sandbox in which the bundle is deployed.
fn deployed() -> Sandbox {
    let sandbox = fixture().sandbox();
    sandbox.ajar_line(DEPLOY).expect(0);
    sandbox
}

fn deploy(sandbox: &Sandbox, bytes: &[u8]) -> Output {
    sandbox.write("next.ajb", bytes);
    sandbox.ajar_line("deploy --store store next.ajb")
}

/// What `ajard` reads at its start: the active generation's id.
fn load(sandbox: &Sandbox) -> Result<Option<String>, Refusal> {
    let stored = Store::new(sandbox.path("store")).load("gate", &fixture().keys)?;
    Ok(stored.map(|stored| stored.id))
}

/// Every file below a directory with its content and time of change.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let changed = path.metadata().and_then(|meta| meta.modified()).expect("a time");
            files.insert(path.clone(), (fs::read(&path).expect("a file"), changed));
        }
    }
    files
}

/// Names of the generations' directories.
fn generations(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path("store")).expect("a store");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.len() == 32).collect();
    names.sort();
    names
}

/// Changes one byte in the middle of a file, as a failing card does.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("permissions");
    fs::write(path, bytes).expect("a written file");
}

/// What `ajard` does once the generation on trial has proved itself.
fn confirm(sandbox: &Sandbox) {
    let id = load(sandbox).expect("a sound store").expect("a model");
    assert_eq!(Store::new(sandbox.path("store")).confirm("gate", &id), Ok(true));
}

/// The directory of what `ajard` would run.
fn active(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("store").join(load(sandbox).expect("a sound store").expect("a model"))
}

#[test]
fn deploying_twice_changes_nothing() {
    let sandbox = fixture().sandbox();
    let first = sandbox.ajar_line(DEPLOY).expect(0);
    assert!(first.stdout.contains("is installed as"), "{}", first.stdout);
    let before = snapshot(&sandbox.path("store"));
    let again = sandbox.ajar_line(DEPLOY).expect(0);
    assert!(again.stdout.contains("was installed before"), "{}", again.stdout);
    assert_eq!(snapshot(&sandbox.path("store")), before);
}

#[test]
fn what_is_stored_is_complete_and_nobody_writes_it_again() {
    let sandbox = deployed();
    let stored = Store::new(sandbox.path("store")).load("gate", &fixture().keys).expect("a sound store");
    let stored = stored.expect("a model");
    assert_eq!((&stored.manifest, &stored.key_id), (&fixture().manifest, &fixture().keys[0].id));
    let part = |role| fixture().part(role).to_vec();
    assert_eq!((stored.head, stored.backbone), (part(Role::Head), part(Role::Backbone)));
    assert_eq!(stored.unseen, Some(part(Role::Unseen)));
    assert!(!sandbox.path("store/staging").exists());
    for path in snapshot(&active(&sandbox)).into_keys().chain([sandbox.path("store/state")]) {
        let mode = path.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o444, "{}", path.display());
    }
}

#[test]
fn ajard_finds_a_deployed_bundle_in_order() {
    let sandbox = deployed();
    let config = "[device]\nboard = \"generic-x86-64\"\nstore = \"store\"\ntrusted_keys = \"k\"\n\
                  [cameras.drive]\nsource = \"videotestsrc ! identity\"\n\
                  [classification.custom.gate.state_config.cameras.drive]\ncrop = [0, 0, 1, 1]\n";
    sandbox.write("ajard.toml", config);
    let output = sandbox.ajard(&["check", "--config", "ajard.toml"]).expect(0);
    let id = load(&sandbox).expect("a sound store").expect("a model");
    let model = format!("model gate: closed, open (bundle {id})\n");
    assert!(output.stdout.contains(&model), "{}", output.stdout);
    assert!(output.stdout.contains("\nwatch: gate on drive\n"), "{}", output.stdout);
    assert!(output.stdout.ends_with("\nin order\n"), "{}", output.stdout);
    let gpio = "[gpio]\nchip = \"/dev/gpiochip9\"\n[[gpio.lines]]\nline = 1\nmodel = \"gate\"\ncamera = \"drive\"\nstate = \"ajar\"\n";
    sandbox.write("gpio.toml", format!("{config}{gpio}"));
    sandbox
        .ajard(&["check", "--config", "gpio.toml"])
        .expect_error(2, "gpio.lines[0].state: the model gate has no state \"ajar\", only closed, open");
    rot(&active(&sandbox).join("head.f32"));
    sandbox.ajard(&["check", "--config", "ajard.toml"]).expect_error(1, "model gate: E51: ");
}

#[test]
fn newer_bundles_follow_and_those_that_nothing_names_go() {
    let sandbox = deployed();
    confirm(&sandbox);
    let seq = fixture().manifest.seq;
    let first = load(&sandbox).expect("a sound store").expect("a model");
    for step in 1..=3 {
        deploy(&sandbox, &fixture().with_seq(seq + step)).expect(0);
        confirm(&sandbox);
        // Active and previous; the backup of the state still names the one before them.
        assert!(generations(&sandbox).len() <= 3, "{:?}", generations(&sandbox));
    }
    assert!(!generations(&sandbox).contains(&first));
    // They share one backbone.
    assert_eq!(snapshot(&sandbox.path("store/blobs")).len(), 1);
}

#[test]
fn a_bundle_without_backbone_needs_a_store_that_has_it() {
    let fixture = fixture();
    let next = fixture.head_only(fixture.manifest.seq + 1);
    assert!(next.len() < 300_000, "{} bytes", next.len());
    let empty = fixture.sandbox();
    let backbone = &fixture.manifest.backbone.sha256;
    let want = format!("E33: the bundle carries no backbone and the store has no {backbone}");
    deploy(&empty, &next).expect_error(1, &want);
    assert_eq!(load(&empty), Ok(None));
    let sandbox = deployed();
    let before = load(&sandbox);
    deploy(&sandbox, &next).expect(0);
    assert_ne!(load(&sandbox), before);
}

#[test]
fn sequence_numbers_only_rise() {
    let sandbox = deployed();
    confirm(&sandbox);
    let seq = fixture().manifest.seq;
    let key = &fixture().keys[0].id;
    let older = format!("E34: sequence number {} is older than {seq}, which was active (key {key})", seq - 1);
    let reused = format!("E35: sequence number {seq} was used for another bundle of this model (key {key})");
    let mut other = fixture().changed(|manifest| manifest.decision.threshold = 0.7);
    let before = snapshot(&sandbox.path("store"));
    deploy(&sandbox, &fixture().with_seq(seq - 1)).expect_error(1, &older);
    deploy(&sandbox, &other).expect_error(1, &reused);
    assert_eq!(snapshot(&sandbox.path("store")), before);
    // Going back to what was active before is no way around it.
    other = fixture().with_seq(seq + 1);
    deploy(&sandbox, &other).expect(0);
    confirm(&sandbox);
    sandbox.ajar_line(DEPLOY).expect_error(1, "E34: ");
    // The administrator may.
    sandbox.ajar_line("deploy --store store --older gate.ajb").expect(0);
    assert_eq!(load(&sandbox), Ok(Some(fixture().id())));
    // Another model of the same key has numbers of its own.
    let bins = fixture().changed(|manifest| {
        manifest.model = "bins".into();
        manifest.seq = 1;
    });
    deploy(&sandbox, &bins).expect(0);
}

#[test]
fn what_is_on_trial_raises_no_floor_and_its_number_is_taken() {
    let sandbox = deployed();
    let seq = fixture().manifest.seq;
    let other = fixture().changed(|manifest| manifest.decision.threshold = 0.7);
    deploy(&sandbox, &other)
        .expect_error(1, &format!("E35: sequence number {seq} was used for another bundle, "));
    deploy(&sandbox, &fixture().with_seq(seq - 1)).expect(0);
}

#[test]
fn what_was_rolled_back_is_tried_again_only_if_asked() {
    let sandbox = deployed();
    let store = Store::new(sandbox.path("store"));
    assert_eq!(store.roll_back("gate", &fixture().id(), "W64: took too long"), Ok(true));
    assert_eq!(load(&sandbox), Ok(None));
    sandbox
        .ajar_line(DEPLOY)
        .expect_error(1, "W64: this bundle was rolled back (W64: took too long); --again tries it once more");
    sandbox.ajar_line("deploy --store store --again gate.ajb").expect(0);
    assert_eq!(load(&sandbox), Ok(Some(fixture().id())));
}

#[test]
fn rotted_files_are_noticed_when_they_are_loaded() {
    let backbone = PathBuf::from("../blobs").join(&fixture().manifest.backbone.sha256);
    let names = ["head.f32", "manifest.toml", "manifest.toml.minisig", backbone.to_str().expect("text")];
    for name in names {
        for damage in [rot as fn(&Path), |path| fs::remove_file(path).expect("a file removed")] {
            let sandbox = deployed();
            let path = active(&sandbox).join(name);
            damage(&path);
            let refusal = load(&sandbox).expect_err(name);
            println!(
                "{name}: {refusal}",
                refusal = refusal.to_string().replace(&*sandbox.path("").to_string_lossy(), "")
            );
            assert_eq!(refusal.code, Code::E51, "{name}: {refusal}");
            assert!(refusal.why.contains("store/"), "the path is not named: {refusal}");
        }
    }
}

#[test]
fn a_rotted_backbone_is_mended_by_the_next_bundle_that_carries_it() {
    let sandbox = deployed();
    rot(&sandbox.path("store/blobs").join(&fixture().manifest.backbone.sha256));
    assert!(load(&sandbox).is_err());
    deploy(&sandbox, &fixture().with_seq(fixture().manifest.seq + 1)).expect(0);
    assert!(load(&sandbox).is_ok());
}

#[test]
fn a_rotted_head_is_mended_by_deploying_again() {
    let sandbox = deployed();
    rot(&active(&sandbox).join("head.f32"));
    sandbox.ajar_line(DEPLOY).expect(0);
    assert!(load(&sandbox).is_ok());
}

#[test]
fn a_bundle_without_backbone_is_refused_where_the_stored_one_rotted() {
    let sandbox = deployed();
    rot(&sandbox.path("store/blobs").join(&fixture().manifest.backbone.sha256));
    deploy(&sandbox, &fixture().head_only(fixture().manifest.seq + 1)).expect_error(1, "E33: ");
}

type Damage = fn(&Path);

/// What may happen to the state's file.
const DAMAGES: [(&str, Damage); 5] = [
    ("a changed byte", rot),
    ("half of it", |path| {
        let bytes = fs::read(path).expect("a state");
        overwrite(path, &bytes[..bytes.len() / 2]);
    }),
    ("nothing in it", |path| overwrite(path, b"")),
    ("not text", |path| overwrite(path, b"\xFF\xFE")),
    ("gone", |path| fs::remove_file(path).expect("a file removed")),
];

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("a file removed");
    fs::write(path, bytes).expect("a written file");
}

#[test]
fn a_lost_state_comes_back_from_its_backup() {
    for (name, damage) in DAMAGES {
        let sandbox = deployed();
        confirm(&sandbox);
        deploy(&sandbox, &fixture().with_seq(fixture().manifest.seq + 1)).expect(0);
        let floors =
            Store::new(sandbox.path("store")).generations().expect(name).models["gate"].floors.clone();
        damage(&sandbox.path("store/state"));
        assert_eq!(load(&sandbox), Ok(Some(fixture().id())), "{name}");
        let state = Store::new(sandbox.path("store")).generations().expect(name);
        assert_eq!(state.models["gate"].floors, floors, "{name}");
        // And goes on from there.
        deploy(&sandbox, &fixture().with_seq(fixture().manifest.seq + 2)).expect(0);
        assert_ne!(load(&sandbox), Ok(Some(fixture().id())), "{name}");
    }
}

#[test]
fn without_state_and_backup_the_generations_tell() {
    for (name, damage) in DAMAGES {
        let sandbox = deployed();
        confirm(&sandbox);
        deploy(&sandbox, &fixture().with_seq(fixture().manifest.seq + 1)).expect(0);
        let newest = load(&sandbox);
        ["store/state", "store/state.bak"].iter().for_each(|path| damage(&sandbox.path(path)));
        let gate = Store::new(sandbox.path("store")).generations().expect(name).models["gate"].clone();
        assert_eq!(gate.active, Some(fixture().id()), "{name}");
        assert_eq!(gate.floors.values().copied().collect::<Vec<_>>(), [fixture().manifest.seq], "{name}");
        assert_eq!(load(&sandbox), newest, "{name}");
        // Nobody says which are needed, so nothing goes.
        assert_eq!(generations(&sandbox).len(), 2, "{name}");
        let warned = sandbox.ajar_line("deploy --store store next.ajb").expect(0);
        if name != "gone" {
            assert!(warned.stderr.contains("W50: store/state: "), "{name}: {}", warned.stderr);
        }
    }
}

#[test]
fn a_key_that_is_no_longer_trusted_stops_its_model() {
    let sandbox = deployed();
    let loaded = Store::new(sandbox.path("store")).load("gate", &[]);
    assert_eq!(loaded.map(drop).map_err(|refusal| refusal.code), Err(Code::E21));
}

#[test]
fn a_store_that_is_no_directory_is_refused() {
    let sandbox = fixture().sandbox();
    sandbox.write("store", "a file in the way");
    sandbox.ajar_line(DEPLOY).expect_error(1, "E41: store: ");
    assert_eq!(fs::read(sandbox.path("store")).expect("the file"), b"a file in the way");
}

#[test]
fn a_store_that_is_read_only_is_refused() {
    let sandbox = deployed();
    let seq = fixture().manifest.seq;
    let set =
        |mode| fs::set_permissions(sandbox.path("store"), fs::Permissions::from_mode(mode)).expect("a mode");
    set(0o555);
    let root_writes_anyway = File::create(sandbox.path("store/probe")).is_ok();
    if root_writes_anyway {
        println!("skipped: permissions do not bind this user");
    } else {
        deploy(&sandbox, &fixture().with_seq(seq + 1)).expect_error(1, "E41: ");
    }
    set(0o755);
}

/// A limit on the size of files stands for a full disk: the backbone's write fails halfway.
#[test]
fn a_write_that_fails_halfway_leaves_the_store_as_it_was() {
    let sandbox = deployed();
    let before = load(&sandbox);
    fs::remove_file(sandbox.path("store/blobs").join(&fixture().manifest.backbone.sha256))
        .expect("a blob removed");
    sandbox.write("next.ajb", fixture().with_seq(fixture().manifest.seq + 1));
    let line = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" deploy --store store next.ajb";
    let output = sandbox.run(sandbox.command("sh").args(["-c", line, crate::cli::AJAR]));
    output.expect_error(1, "E41: store/staging/");
    assert!(!sandbox.path("store/staging").exists(), "staging is left behind");
    assert_eq!(generations(&sandbox).len(), 1);
    // The disk has room again.
    sandbox.ajar_line("deploy --store store next.ajb").expect(0);
    assert_ne!(load(&sandbox), before);
}

#[test]
fn what_a_power_cut_left_behind_is_no_obstacle() {
    let sandbox = fixture().sandbox();
    let reference = deployed();
    let id = load(&reference).expect("a sound store").expect("a model");
    sandbox.write("store/staging/half/head.f32", "half");
    sandbox.write(&format!("store/{id}/head.f32"), "half");
    sandbox.write("store/state.new", "half");
    sandbox.write("store/lock", "");
    assert_eq!(load(&sandbox), Ok(None));
    sandbox.ajar_line(DEPLOY).expect(0);
    assert_eq!(load(&sandbox), Ok(Some(id)));
    assert!(!sandbox.path("store/staging").exists());
}

/// `sudo ajar deploy --store` beside a service that has a user of its own.
#[test]
fn what_root_installs_belongs_to_the_owner_of_the_store() {
    use std::os::unix::fs::{MetadataExt, chown};
    const NOBODY: u32 = 65_534;
    let sandbox = fixture().sandbox();
    fs::create_dir(sandbox.path("store")).expect("a store");
    if chown(sandbox.path("store"), Some(NOBODY), Some(NOBODY)).is_err() {
        println!("skipped: this user is not root");
        return;
    }
    sandbox.ajar_line(DEPLOY).expect(0);
    let mut open = vec![sandbox.path("store")];
    while let Some(path) = open.pop() {
        let meta = path.metadata().expect("a file");
        assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY), "{}", path.display());
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        }
    }
}

#[test]
fn a_second_installation_at_once_is_refused() {
    let sandbox = fixture().sandbox();
    sandbox.write("store/lock", "");
    let lock = File::open(sandbox.path("store/lock")).expect("a lock");
    lock.lock().expect("the lock held");
    sandbox.ajar_line(DEPLOY).expect_error(1, "E70: another installation into this store is under way");
    assert_eq!(load(&sandbox), Ok(None));
    lock.unlock().expect("the lock given back");
    sandbox.ajar_line(DEPLOY).expect(0);
}

/// Whatever order they come in, one of them is installed and the store is sound.
#[test]
fn installers_at_once_leave_a_sound_store() {
    let sandbox = fixture().sandbox();
    let seq = fixture().manifest.seq;
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let start = |step: u64| {
            let name = format!("{step}.ajb");
            sandbox.write(&name, fixture().with_seq(seq + step));
            let sandbox = &sandbox;
            scope.spawn(move || sandbox.ajar_line(&format!("deploy --store store {name}")))
        };
        let running: Vec<_> = (0..4).map(start).collect();
        running.into_iter().map(|thread| thread.join().expect("an installer")).collect()
    });
    for output in &outputs {
        let expected = output.code == 0 || ["E70: ", "E34: "].iter().any(|code| output.stderr.contains(code));
        assert!(expected, "{output:?}");
    }
    assert!(outputs.iter().any(|output| output.code == 0));
    assert!(matches!(load(&sandbox), Ok(Some(_))));
}
