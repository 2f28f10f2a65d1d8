//! The self-test: a child process tries a stored model before any service runs it.
//!
//! A bundle's backbone is a program of a kind, and whoever signed it may have made a mistake. The child may crash,
//! grow or never end; whoever waits for it goes on.

use crate::bundle::golden::Golden;
use crate::bundle::manifest::{LimitsSpec, Manifest, Role};
use crate::bundle::store::{Store, StoredModel};
use crate::bundle::{Code, Refusal};
use crate::child;
use crate::engine::plan::Plan;
use crate::engine::tract::Tract;
use crate::engine::{Engine, Tap};
use crate::model::Model;
use crate::watch::decision::Classification;
use crate::watch::input::Input;
use rustix::process::{Resource, Rlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time that the slowest board may take.
const LIMIT: Duration = Duration::from_secs(60);
const CPU_SECONDS: u64 = 30;
/// Address space of the child. Programs and libraries map some hundred MiB that they never touch.
const ADDRESS_SPACE: u64 = 1536 << 20;
/// Looks at each crop; the fastest counts, as others use the machine too.
const LOOKS: usize = 5;
/// Most that probabilities may differ where the bundle brings no golden crops to say so.
const TOLERANCE: f32 = 0.02;

/// The command that makes this program the child.
pub const COMMAND: &str = "selftest";

/// What the child is to read.
#[derive(clap::Args)]
pub struct SelftestArgs {
    /// The generation's directory in the store
    directory: PathBuf,
    /// The backbone's ONNX file
    backbone: PathBuf,
    /// The backbone's plan, which need not be there
    plan: PathBuf,
}

/// Tries a stored model in a child of this program.
pub fn test(store: &Store, model: &StoredModel) -> Result<(), Refusal> {
    test_by(child::this_program(), store, model)
}

/// The same by another program.
pub fn test_by(mut program: Command, store: &Store, model: &StoredModel) -> Result<(), Refusal> {
    let sha256 = &model.manifest.backbone.sha256;
    program.arg(COMMAND).arg(store.root().join(&model.id)).arg(store.blob(sha256)).arg(store.plan(sha256));
    let failed = |why: String| Refusal::new(Code::E63, format!("self-test: {why}"));
    let ended = child::run(program, LIMIT).map_err(|error| failed(error.to_string()))?;
    if ended.status.success() {
        return Ok(());
    }
    if let Some(death) = ended.death() {
        return Err(failed(death));
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    let refusal = said.trim().split_once(' ').and_then(|(code, why)| Some((Code::named(code)?, why)));
    Err(match refusal {
        Some((code, why)) => Refusal::new(code, format!("self-test: {why}")),
        None => failed(ended.last_words().into()),
    })
}

/// What the child does: prints the code and the reason if the model is refused.
pub fn run(args: &SelftestArgs) -> anyhow::Result<()> {
    // The hard limit of the CPU would kill without saying why.
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most + 5) });
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Cpu, CPU_SECONDS)?;
    limit(Resource::As, ADDRESS_SPACE)?;
    if let Err(Refusal { code, why }) = try_model(args) {
        println!("{code:?} {why}");
        anyhow::bail!("{code:?}: {why}");
    }
    Ok(())
}

fn try_model(args: &SelftestArgs) -> Result<(), Refusal> {
    let read = |path: PathBuf| {
        fs::read(&path).map_err(|error| Refusal::new(Code::E41, format!("{}: {error}", path.display())))
    };
    let manifest = Manifest::parse(&read(args.directory.join("manifest.toml"))?)?;
    let part = |role| manifest.part(role).map(|part| read(args.directory.join(&part.name))).transpose();
    let (head, unseen) = (part(Role::Head)?.unwrap_or_default(), part(Role::Unseen)?);
    let golden = golden(part(Role::Selftest)?, manifest.states.len());
    let tolerance = manifest.selftest.as_ref().map_or(TOLERANCE, |spec| spec.tolerance);
    let limits = manifest.limits.clone();
    let model = Model::new(manifest, &head, unseen.as_deref())?;
    let onnx = read(args.backbone.clone())?;
    let wrong = |error: crate::engine::EngineError| Refusal::new(Code::E60, error.to_string());
    let mut engine = match Plan::open(&args.plan, &Sha256::digest(&onnx).into()) {
        Ok(plan) => Engine::new(plan),
        Err(_) => Engine::of_onnx(&onnx).map_err(wrong)?,
    };
    let mut said = Vec::new();
    for golden in &golden {
        let classification = look(&mut engine, &model, &golden.input, &limits)?;
        check_numbers(&classification)?;
        compare("the model's maker", &golden.expected, &classification, tolerance)?;
        said.push(classification);
    }
    check_memory(&engine, &limits)?;
    // The reference is slow and large, so it comes last and sees one crop.
    if let (Engine::Executor(_), Some(golden), Some(said)) = (&engine, golden.first(), said.first()) {
        let mut tract = Tract::load(&onnx, Tap::Last).map_err(wrong)?;
        let reference = model.classify(&tract.run(&golden.input, model.blocks()).map_err(wrong)?);
        compare("tract", &reference.probabilities, said, tolerance)?;
    }
    Ok(())
}

/// The bundle's own crops; a picture of nothing, of which nothing is expected, where it brings none.
fn golden(part: Option<Vec<u8>>, states: usize) -> Vec<Golden> {
    match part {
        Some(bytes) => Golden::read_all(&bytes, states),
        None => vec![Golden { input: Input::default(), expected: Vec::new() }],
    }
}

fn look(
    engine: &mut Engine,
    model: &Model,
    input: &Input,
    limits: &LimitsSpec,
) -> Result<Classification, Refusal> {
    let mut best = Duration::MAX;
    let mut said = None;
    for _ in 0..LOOKS {
        let start = Instant::now();
        let features = engine.run(input, model.blocks());
        let features = features.map_err(|error| Refusal::new(Code::E60, error.to_string()))?;
        said = Some(model.classify(&features));
        best = best.min(start.elapsed());
        // What is far too slow need not be slow five times.
        if best > 4 * Duration::from_millis(limits.infer_ms.into()) {
            break;
        }
    }
    let limit = Duration::from_millis(limits.infer_ms.into());
    if best > limit {
        let why =
            format!("an attempt takes {} ms, at most {} are allowed", best.as_millis(), limit.as_millis());
        return Err(Refusal::new(Code::E62, why));
    }
    said.ok_or_else(|| Refusal::new(Code::E60, "no attempt was made"))
}

fn check_numbers(said: &Classification) -> Result<(), Refusal> {
    let sum: f32 = said.probabilities.iter().sum();
    if !said.is_finite() || (sum - 1.0).abs() > 1e-3 {
        let why = format!("the probabilities are {:?}, which are no probabilities", said.probabilities);
        return Err(Refusal::new(Code::E61, why));
    }
    Ok(())
}

fn compare(whose: &str, expected: &[f32], said: &Classification, tolerance: f32) -> Result<(), Refusal> {
    let differs = |(want, have): (&f32, &f32)| (want - have).abs() > tolerance || !want.is_finite();
    if expected.iter().zip(&said.probabilities).any(differs) {
        let have = said.probabilities.as_slice();
        let why =
            format!("the probabilities of a golden crop are {have:.3?}, those of {whose} {expected:.3?}");
        return Err(Refusal::new(Code::E61, why));
    }
    Ok(())
}

fn check_memory(engine: &Engine, limits: &LimitsSpec) -> Result<(), Refusal> {
    let within = |what: &str, have: u64, most: u32, unit: &str| {
        if have <= u64::from(most) {
            return Ok(());
        }
        Err(Refusal::new(Code::E62, format!("{what} takes {have} {unit}, at most {most} are allowed")))
    };
    if let Engine::Executor(executor) = engine {
        within("the arena", executor.arena_bytes().div_ceil(1024) as u64, limits.arena_kib, "KiB")?;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    within("the model", kib.div_ceil(1024), limits.rss_mib, "MiB")
}
