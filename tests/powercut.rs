//! Power cuts on a real ext4: a loop device that stops without flushing its journal, while bundles are installed.
//!
//! Needs root, loop devices, mkfs.ext4 and xfs_io, whose `shutdown` is the ioctl EXT4_IOC_SHUTDOWN; says so where it
//! lacks one. `AJAR_CUTS=200 cargo test --test powercut -- --nocapture`, or `make powercut`.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/pictures.rs"]
mod pictures;

use ajar::bundle::manifest::{Manifest, Role};
use ajar::bundle::store::Store;
use ajar::bundle::store::disk::{Disk, Lock, RealDisk};
use ajar::bundle::store::install::Allow;
use ajar::bundle::verify::{trusted_keys, verify};
use ajar::companion::{keys, pack};
use fixture::{Fixture, fixture};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Cuts unless `AJAR_CUTS` says another number.
const CUTS: u64 = 20;
/// The power goes within this time of the first installation's begin.
const LONGEST: Duration = Duration::from_millis(250);
/// Nobody but the store itself may bring anything to the medium: neither time nor a rename.
const OPTIONS: &str = "loop,commit=300,noauto_da_alloc";

/// Tells the worker where to install, and whether to synchronise.
const STORE: &str = "AJAR_POWERCUT_STORE";
const LAX: &str = "AJAR_POWERCUT_LAX";

#[test]
fn no_cut_loses_the_model() {
    let Some(bench) = Bench::new() else { return };
    let cuts = std::env::var("AJAR_CUTS").map_or(CUTS, |text| text.parse().expect("AJAR_CUTS: a number"));
    let bad = bench.cut_often(cuts, &[]);
    println!("powercut: {cuts} cuts, {bad} bad");
    assert_eq!(bad, 0);
}

/// The cuts are real: a store that does not synchronise does not survive them.
#[test]
fn cuts_are_fatal_to_a_store_that_does_not_synchronise() {
    let Some(bench) = Bench::new() else { return };
    let bad = bench.cut_often(CUTS, &[(LAX, "1")]);
    println!("powercut: {CUTS} cuts without synchronisation, {bad} bad");
    assert!(bad > CUTS / 2, "{bad}");
}

/// An image, and where it is mounted.
struct Bench {
    directory: TempDir,
    fixture: &'static Fixture,
}

/// What the worker said before the power went.
#[derive(Debug, Default)]
struct Said {
    begun: u64,
    installed: u64,
    confirmed: u64,
}

impl Bench {
    fn new() -> Option<Bench> {
        let root =
            fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        let works = |program: &str| Command::new(program).arg("-V").output().is_ok();
        let lacks = [
            (!root, "this user is not root"),
            (!Path::new("/dev/loop-control").exists(), "there are no loop devices"),
            (!works("mkfs.ext4"), "mkfs.ext4 is not installed"),
            (!works("xfs_io"), "xfs_io is not installed"),
        ];
        if let Some((_, why)) = lacks.into_iter().find(|(lacks, _)| *lacks) {
            println!("skipped: {why}");
            return None;
        }
        let bench = Bench { directory: tempfile::tempdir().expect("a directory"), fixture: fixture() };
        fs::create_dir(bench.mount_point()).expect("a directory");
        bench.make_file_system();
        if !bench.mount() {
            println!("skipped: a loop device cannot be mounted here");
            return None;
        }
        bench.unmount();
        Some(bench)
    }

    fn mount_point(&self) -> PathBuf {
        self.directory.path().join("card")
    }

    fn make_file_system(&self) {
        let image = self.directory.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(48 << 20)).expect("an image");
        assert!(
            Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).status().expect("mkfs.ext4").success()
        );
    }

    fn mount(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", OPTIONS]).arg(self.directory.path().join("image")).arg(self.mount_point());
        mount.status().expect("mount").success()
    }

    fn unmount(&self) {
        // Whoever was killed may hold a file for a moment yet.
        let deadline = Instant::now() + Duration::from_secs(20);
        let unmount = || Command::new("umount").arg(self.mount_point()).stderr(Stdio::null()).status();
        while !unmount().expect("umount").success() {
            assert!(Instant::now() < deadline, "it cannot be unmounted");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Cuts the power again and again on one card; gives the number of cuts after which something was wrong.
    fn cut_often(&self, cuts: u64, environment: &[(&str, &str)]) -> u64 {
        let mut bad = 0;
        for number in 0..cuts {
            assert!(self.mount());
            let said = self.cut(number, environment);
            self.unmount();
            // The journal is replayed now.
            assert!(self.mount());
            let wrong = self.examine(&said);
            self.unmount();
            if let Some(why) = wrong {
                println!("cut {number}: {why}; {said:?}");
                bad += 1;
                self.make_file_system();
            }
        }
        bad
    }

    fn cut(&self, number: u64, environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["worker", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(STORE, self.mount_point().join("store")).envs(environment.iter().copied());
        self.write_source();
        let mut worker = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a worker");
        let mut lines = BufReader::new(worker.stdout.take().expect("its output")).lines();
        let mut said = Said::default();
        while said.begun == 0 {
            said.hear(&lines.next().expect("a line").expect("text"));
        }
        // Spread over the time, and the same in each run.
        let share = (number * 2_654_435_761 % 1000) as u32;
        thread::sleep(LONGEST * share / 1000);
        let mut shutdown = Command::new("xfs_io");
        assert!(
            shutdown
                .args(["-x", "-c", "shutdown"])
                .arg(self.mount_point())
                .status()
                .expect("xfs_io")
                .success()
        );
        end(&mut worker);
        lines.map_while(Result::ok).for_each(|line| said.hear(&line));
        said
    }

    /// What the worker makes bundles of, in the store's neighbourhood on the card.
    fn write_source(&self) {
        let source = self.directory.path().join("source");
        if source.exists() {
            return;
        }
        fs::create_dir(&source).expect("a directory");
        let Fixture { manifest, parts, .. } = self.fixture;
        let mut manifest = manifest.clone();
        for (part, bytes) in manifest.parts.iter_mut().zip(parts) {
            // The store never looks into a backbone, and a small one leaves time for more installations.
            let bytes = if part.role == Role::Backbone { &bytes[..40_000] } else { bytes };
            (part.size, part.sha256) = (bytes.len() as u64, ajar::bundle::sha256_hex(bytes));
            if part.role == Role::Backbone {
                manifest.backbone.sha256.clone_from(&part.sha256);
            }
            fs::write(source.join(&part.name), bytes).expect("a part");
        }
        fs::write(source.join("manifest.toml"), toml::to_string(&manifest).expect("TOML"))
            .expect("a manifest");
        let sandbox = self.fixture.sandbox();
        for name in ["ajar.key", "ajar.pub"] {
            fs::copy(sandbox.path("k").join(name), source.join(name)).expect("a key");
        }
    }

    /// What is wrong with what the card has kept.
    fn examine(&self, said: &Said) -> Option<String> {
        let root = self.mount_point().join("store");
        let store = Store::new(&root);
        let stored = match store.load("gate", &self.fixture.keys) {
            Ok(Some(stored)) => stored,
            Ok(None) if said.installed == 0 => return None,
            Ok(None) => return Some("there is no model".into()),
            Err(refusal) => return Some(refusal.to_string()),
        };
        let seq = stored.manifest.seq;
        if seq < said.installed || seq > said.begun.max(said.installed) && said.begun > 0 {
            return Some(format!("the model has the sequence number {seq}"));
        }
        let floor = store.generations().ok()?.models["gate"].floors.values().copied().max().unwrap_or(0);
        if floor < said.confirmed {
            return Some(format!("the floor is {floor}"));
        }
        None
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.mount_point()).stderr(Stdio::null()).status();
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some((what, seq)) = line.split_once(' ') else { return };
        let Ok(seq) = seq.parse() else { return };
        match what {
            "begun" => self.begun = seq,
            "installed" => self.installed = seq,
            "confirmed" => self.confirmed = seq,
            _ => {}
        }
    }
}

fn end(worker: &mut Child) {
    let _ = worker.kill();
    let _ = worker.wait();
}

/// Not a test of its own: installs and confirms one bundle after the other until the power goes.
#[test]
fn worker() {
    let Some(root) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    let source = root.ancestors().nth(2).expect("the bench").join("source");
    let disk: Arc<dyn Disk> =
        if std::env::var_os(LAX).is_some() { Arc::new(Lax) } else { Arc::new(RealDisk) };
    let store = Store::on(&root, disk);
    let secret = keys::load_secret(&source).expect("a key");
    let trusted = trusted_keys(&source).expect("a key");
    let text = fs::read_to_string(source.join("manifest.toml")).expect("a manifest");
    let mut manifest: Manifest = toml::from_str(&text).expect("a manifest");
    let read = |name: &String| fs::read(source.join(name)).expect("a part");
    let parts: Vec<Vec<u8>> = manifest.parts.iter().map(|part| read(&part.name)).collect();
    let have = store.load("gate", &trusted).ok().flatten().map_or(0, |stored| stored.manifest.seq);
    manifest.seq = manifest.seq.max(have);
    let say = |what: &str, seq: u64| {
        println!("{what} {seq}");
        io::stdout().flush().expect("an output");
    };
    loop {
        manifest.seq += 1;
        let bundle = pack::sign(&manifest, &parts, &secret).expect("a bundle");
        let verified = verify(&bundle, &trusted).expect("a good bundle");
        say("begun", manifest.seq);
        store.install(&verified, &trusted, Allow::default(), |_| Ok(())).expect("power");
        say("installed", manifest.seq);
        assert!(store.confirm("gate", &verified.manifest_sha256[..32]).expect("power"));
        say("confirmed", manifest.seq);
    }
}

/// A disk that takes synchronisation for granted.
struct Lax;

impl Disk for Lax {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn reread(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        RealDisk.create(path, bytes)
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        RealDisk.lock(path)
    }
}
