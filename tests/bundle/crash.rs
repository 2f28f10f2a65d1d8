//! Power cuts: every moment of every change to the store, with every part of what was not synchronised lost.
//!
//! `cargo test --test bundle -- --nocapture crash` prints the counts.

use crate::disk::{Memory, Plan};
use crate::fixture::{Fixture, fixture};
use ajar::bundle::manifest::Role;
use ajar::bundle::sha256_hex;
use ajar::bundle::store::install::{Allow, Installed};
use ajar::bundle::store::{Standing, Store};
use ajar::bundle::verify::verify;
use ajar::bundle::{Code, Refusal};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "var/store";
const BOOT: &str = "this boot";
/// Stands for a backbone: the store never looks into it.
const BACKBONE: &[u8] = b"a backbone of few bytes";

/// A small bundle, whole and good.
pub fn small_bundle() -> Vec<u8> {
    Bundles::new().files[A].clone()
}

/// Bundles of one model, the oldest first, with as few parts as there can be.
struct Bundles {
    fixture: &'static Fixture,
    files: [Vec<u8>; 3],
}

/// Why a start on trial did not come about in these tests.
const NOT_COUNTED: &str = "the attempt was not counted";

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

impl Bundles {
    fn new() -> Bundles {
        let fixture = fixture();
        let bundle = |step: u64| {
            let mut manifest = fixture.manifest.clone();
            manifest.seq += step;
            (manifest.unseen, manifest.selftest) = (None, None);
            manifest.requires.clear();
            manifest.parts.retain(|part| [Role::Head, Role::Backbone].contains(&part.role));
            // Each its own, so that a blob is written each time.
            let backbone = [BACKBONE, &[step as u8]].concat();
            manifest.backbone.sha256 = sha256_hex(&backbone);
            for part in manifest.parts.iter_mut().filter(|part| part.role == Role::Backbone) {
                (part.size, part.sha256) = (backbone.len() as u64, sha256_hex(&backbone));
            }
            let text = toml::to_string(&manifest).unwrap();
            fixture.signed(text.as_bytes(), &[fixture.part(Role::Head), &backbone].concat(), &manifest)
        };
        Bundles { fixture, files: [bundle(0), bundle(1), bundle(2)] }
    }

    fn id(&self, which: usize) -> String {
        verify(&self.files[which], &self.fixture.keys).unwrap().manifest_sha256[..32].to_string()
    }

    fn seq(&self, which: usize) -> u64 {
        self.fixture.manifest.seq + which as u64
    }

    fn install(&self, disk: &Arc<Memory>, which: usize) -> Result<Installed, Refusal> {
        let bundle = verify(&self.files[which], &self.fixture.keys).unwrap();
        store(disk).install(&bundle, &self.fixture.keys, Allow::default(), |_| Ok(()))
    }

    /// What a device would run.
    fn runs(&self, disk: &Arc<Memory>) -> Result<Option<usize>, Refusal> {
        let id = store(disk).load("gate", &self.fixture.keys)?.map(|stored| stored.id);
        Ok(id.map(|id| (A..=C).find(|&which| self.id(which) == id).expect("one of them")))
    }
}

fn store(disk: &Arc<Memory>) -> Store {
    Store::on(ROOT, disk.clone())
}

/// A change to the store, and what must be so whenever the power goes.
struct Scenario {
    name: &'static str,
    /// What is on the disk before.
    before: fn(&Bundles) -> Arc<Memory>,
    change: fn(&Bundles, &Arc<Memory>) -> Result<(), Refusal>,
    /// What may run while the change is under way.
    meanwhile: &'static [Option<usize>],
    /// Once the change has said that it is done.
    after: fn(&Bundles, &Arc<Memory>) -> bool,
    again: Again,
}

/// What a change does where it was done before.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    /// It comes to the same, and is durable when it says so.
    Same,
    /// Another one like it.
    More,
}

fn empty(_: &Bundles) -> Arc<Memory> {
    Arc::new(Memory::new())
}

fn proven_a(bundles: &Bundles) -> Arc<Memory> {
    let disk = empty(bundles);
    bundles.install(&disk, A).unwrap();
    assert_eq!(store(&disk).confirm("gate", &bundles.id(A)), Ok(true));
    Arc::new(disk.settled())
}

fn b_on_trial(bundles: &Bundles) -> Arc<Memory> {
    let disk = proven_a(bundles);
    bundles.install(&disk, B).unwrap();
    Arc::new(disk.settled())
}

fn proven_b(bundles: &Bundles) -> Arc<Memory> {
    let disk = b_on_trial(bundles);
    assert_eq!(store(&disk).confirm("gate", &bundles.id(B)), Ok(true));
    Arc::new(disk.settled())
}

fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "the first installation",
            before: empty,
            change: |bundles, disk| bundles.install(disk, A).map(drop),
            meanwhile: &[None, Some(A)],
            after: |bundles, disk| bundles.runs(disk) == Ok(Some(A)),
            again: Again::Same,
        },
        Scenario {
            name: "a newer bundle",
            before: proven_a,
            change: |bundles, disk| bundles.install(disk, B).map(drop),
            meanwhile: &[Some(A), Some(B)],
            after: |bundles, disk| bundles.runs(disk) == Ok(Some(B)),
            again: Again::Same,
        },
        Scenario {
            name: "a third bundle, while one is on trial",
            before: b_on_trial,
            change: |bundles, disk| bundles.install(disk, C).map(drop),
            meanwhile: &[Some(B), Some(C)],
            after: |bundles, disk| bundles.runs(disk) == Ok(Some(C)),
            again: Again::Same,
        },
        Scenario {
            name: "a start on trial",
            before: b_on_trial,
            change: |bundles, disk| {
                let stored = store(disk).begin("gate", &bundles.fixture.keys, BOOT)?;
                // The active one is begun with where the attempt cannot be counted.
                let counted = stored.is_some_and(|stored| stored.standing == Standing::Trial);
                counted.then_some(()).ok_or_else(|| Refusal::new(Code::E41, NOT_COUNTED))
            },
            meanwhile: &[Some(B)],
            after: |_, disk| {
                let generations = store(disk).generations().unwrap().models.remove("gate").unwrap();
                generations.trial.is_some_and(|trial| trial.attempts_left == 2)
            },
            again: Again::More,
        },
        Scenario {
            name: "a confirmation",
            before: b_on_trial,
            change: |bundles, disk| store(disk).confirm("gate", &bundles.id(B)).map(drop),
            meanwhile: &[Some(B)],
            after: |bundles, disk| {
                let generations = store(disk).generations().unwrap().models.remove("gate").unwrap();
                bundles.runs(disk) == Ok(Some(B))
                    && generations.active == Some(bundles.id(B))
                    && generations.floors.values().eq([&bundles.seq(B)])
            },
            again: Again::More,
        },
        Scenario {
            name: "a rollback of what is on trial",
            before: b_on_trial,
            change: |bundles, disk| store(disk).roll_back("gate", &bundles.id(B), "W64").map(drop),
            meanwhile: &[Some(A), Some(B)],
            after: |bundles, disk| {
                let generations = store(disk).generations().unwrap().models.remove("gate").unwrap();
                bundles.runs(disk) == Ok(Some(A)) && generations.bad.iter().any(|bad| bad.id == bundles.id(B))
            },
            again: Again::More,
        },
        Scenario {
            name: "the user going back",
            before: proven_b,
            change: |_, disk| store(disk).go_back("gate").map(drop),
            meanwhile: &[Some(A), Some(B)],
            after: |bundles, disk| bundles.runs(disk) == Ok(Some(A)),
            again: Again::More,
        },
    ]
}

/// What was tried, and what went wrong.
#[derive(Default)]
struct Tally {
    cuts: usize,
    disks: usize,
    bad: Vec<String>,
}

impl Tally {
    fn add(mut self, other: Tally) -> Tally {
        self.cuts += other.cuts;
        self.disks += other.disks;
        self.bad.extend(other.bad);
        self
    }
}

/// Cuts the power before every call of a scenario and after its last, with every loss there can be. `without`: the
/// synchronisation that is left out.
fn cut(bundles: &Bundles, scenario: &Scenario, without: Option<&str>) -> Tally {
    let before = (scenario.before)(bundles);
    let plan = Plan { without: without.map(str::to_string), ..Plan::default() };
    let whole = Arc::new(before.with(plan.clone()));
    (scenario.change)(bundles, &whole).unwrap();
    let calls = whole.calls().len();
    let one = |at: usize| {
        let disk = Arc::new(before.with(Plan { cut_at: Some(at), ..plan.clone() }));
        let done = (scenario.change)(bundles, &disk).is_ok();
        let mut tally = Tally { cuts: 1, ..Tally::default() };
        for left in disk.after_a_cut() {
            let left = Arc::new(left);
            tally.disks += 1;
            tally.bad.extend(
                judge(bundles, scenario, &left, done)
                    .map(|why| format!("{}, cut at {at}: {why}", scenario.name)),
            );
        }
        // A program that was killed lost nothing: it is run again, and then the power goes.
        if !done {
            disk.revive();
            if let Err(refusal) = (scenario.change)(bundles, &disk) {
                tally.bad.push(format!("{}, killed at {at}: {refusal}", scenario.name));
            }
            for left in disk.after_a_cut() {
                tally.disks += 1;
                let why = judge(bundles, scenario, &Arc::new(left), scenario.again == Again::Same);
                tally
                    .bad
                    .extend(why.map(|why| format!("{}, killed at {at} and run again: {why}", scenario.name)));
            }
        }
        tally
    };
    (0..=calls).into_par_iter().map(one).reduce(Tally::default, Tally::add)
}

/// What is wrong with a disk that a power cut left.
fn judge(bundles: &Bundles, scenario: &Scenario, disk: &Arc<Memory>, done: bool) -> Option<String> {
    let runs = match bundles.runs(disk) {
        Ok(runs) => runs,
        Err(refusal) => return Some(format!("nothing can be loaded: {refusal}")),
    };
    let allowed = if done { (scenario.after)(bundles, disk) } else { scenario.meanwhile.contains(&runs) };
    if !allowed {
        return Some(format!("{runs:?} runs, done: {done}"));
    }
    // The service starts, and a bundle that it has not got yet can be installed.
    let begun = store(disk).begin("gate", &bundles.fixture.keys, "the next boot");
    if let Err(refusal) = begun {
        return Some(format!("the service does not start: {refusal}"));
    }
    store(disk).tidy();
    if bundles.runs(disk) != Ok(runs) {
        return Some("starting changed what runs".into());
    }
    if runs != Some(C) && bundles.install(disk, C).is_err() {
        return Some("nothing can be installed any more".into());
    }
    None
}

#[test]
fn no_power_cut_leaves_a_device_without_its_model() {
    let bundles = Bundles::new();
    let mut all = Tally::default();
    for scenario in scenarios() {
        let tally = cut(&bundles, &scenario, None);
        println!("{}: {} cuts, {} disks, {} bad", scenario.name, tally.cuts, tally.disks, tally.bad.len());
        all = all.add(tally);
    }
    println!("crash model: {} cuts, {} disks, {} bad", all.cuts, all.disks, all.bad.len());
    assert_eq!(all.bad, Vec::<String>::new());
    assert!(all.cuts >= 90 && all.disks >= 250, "too little was tried");
}

/// The model would notice: each synchronisation is there for a reason.
#[test]
fn without_any_one_synchronisation_a_power_cut_is_fatal() {
    let bundles = Bundles::new();
    let mut needed: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in scenarios() {
        let disk = Arc::new((scenario.before)(&bundles).with(Plan::default()));
        (scenario.change)(&bundles, &disk).unwrap();
        let syncs: BTreeSet<String> =
            disk.calls().into_iter().filter(|call| call.starts_with("sync")).collect();
        for sync in syncs {
            let bad = cut(&bundles, &scenario, Some(&sync)).bad.len();
            println!("{} without {sync}: {bad} bad", scenario.name);
            *needed.entry(sync).or_default() += bad;
        }
    }
    let useless: Vec<_> = needed.iter().filter(|(_, bad)| **bad == 0).map(|(sync, _)| sync).collect();
    println!("crash model: {} synchronisations, {} of them useless", needed.len(), useless.len());
    assert_eq!(useless, Vec::<&String>::new());
    assert!(needed.len() >= 8, "{needed:?}");
}

/// Each call fails once, as on a disk that is full or a card that is write-protected or broken.
#[test]
fn no_failing_call_leaves_a_device_without_its_model() {
    let bundles = Bundles::new();
    let kinds = [
        (ErrorKind::StorageFull, Code::E40),
        (ErrorKind::ReadOnlyFilesystem, Code::E41),
        (ErrorKind::Other, Code::E41),
    ];
    let mut tried = 0;
    for scenario in scenarios() {
        let before = (scenario.before)(&bundles);
        let whole = Arc::new(before.with(Plan::default()));
        (scenario.change)(&bundles, &whole).unwrap();
        for at in 0..whole.calls().len() {
            for (kind, code) in kinds {
                let disk = Arc::new(before.with(Plan { fail_at: Some((at, kind)), ..Plan::default() }));
                let done = (scenario.change)(&bundles, &disk);
                if let Some(refusal) = done.as_ref().err().filter(|refusal| refusal.why != NOT_COUNTED) {
                    assert_eq!(refusal.code, code, "{}, call {at}: {refusal}", scenario.name);
                }
                disk.revive();
                let runs = bundles.runs(&disk).unwrap();
                let allowed = scenario.meanwhile.contains(&runs) || (scenario.after)(&bundles, &disk);
                assert!(allowed, "{}, call {at}: {runs:?}", scenario.name);
                // There is room again.
                (scenario.change)(&bundles, &disk).unwrap();
                store(&disk).tidy();
                let left = whole_tree(&disk, Path::new(ROOT));
                assert!(
                    !left.iter().any(|path| path.contains("staging")),
                    "{}, call {at}: {left:?}",
                    scenario.name
                );
                tried += 1;
            }
        }
    }
    println!("failing calls: {tried}, 0 bad");
}

fn whole_tree(disk: &Arc<Memory>, path: &Path) -> Vec<String> {
    use ajar::bundle::store::disk::Disk;
    let mut found = Vec::new();
    for name in disk.list(path).unwrap_or_default() {
        let below = path.join(&name);
        found.push(below.display().to_string());
        found.extend(whole_tree(disk, &below));
    }
    found
}

/// A card that loses the state as well: its backup, or the generations, tell.
#[test]
fn a_cut_that_also_rots_the_state_leaves_a_model() {
    let bundles = Bundles::new();
    for scenario in scenarios().into_iter().filter(|scenario| !scenario.meanwhile.contains(&None)) {
        let before = (scenario.before)(&bundles);
        let whole = Arc::new(before.with(Plan::default()));
        (scenario.change)(&bundles, &whole).unwrap();
        for at in 0..=whole.calls().len() {
            let disk = Arc::new(before.with(Plan { cut_at: Some(at), ..Plan::default() }));
            let _ = (scenario.change)(&bundles, &disk);
            for left in disk.after_a_cut() {
                let left = Arc::new(left);
                use ajar::bundle::store::disk::Disk;
                let state = Path::new(ROOT).join("state");
                if left.remove(&state).is_ok() {
                    left.create(&state, b"rot").unwrap();
                }
                let runs = bundles.runs(&left);
                assert!(matches!(runs, Ok(Some(_))), "{}, cut at {at}: {runs:?}", scenario.name);
            }
        }
    }
}
