//! `ajar engine`: what the engine is on this machine, how fast, and how a backbone becomes a plan.

use super::{BACKBONE, pack, picture, shipped_plan};
use crate::allocations;
use crate::engine::executor::Executor;
use crate::engine::features::Block;
use crate::engine::kernels;
use crate::engine::plan::{self, Plan};
use crate::engine::tract::Tract;
use crate::engine::{Engine, EngineError, Tap, lower};
use crate::exit::UsageError;
use crate::watch::crop::PixelRect;
use crate::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use crate::watch::input::{Input, sample};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use embassy_time::Instant;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum EngineCommand {
    /// Print what this CPU can do, which path the engine takes, and the backbone's plan
    Info {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure how long one look takes on this machine
    Bench(BenchArgs),
    /// Write pictures as the engine's inputs, for comparison with other engines
    #[command(hide = true)]
    Inputs {
        /// The file to write: 128 x 128 pixels of 4 codes, picture after picture
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[arg(required = true)]
        pictures: Vec<PathBuf>,
    },
    /// Write what every step of the engine gives for some inputs, for comparison with other engines
    #[command(hide = true)]
    Trace {
        /// The engine's inputs, one after the other: 128 x 128 pixels of 4 codes
        #[arg(long, value_name = "FILE")]
        inputs: PathBuf,
        /// The outputs of all steps, one after the other: rows, columns, channels padded to 16
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write the plan of a backbone
    Lower {
        /// The backbone: a quantized ONNX file
        #[arg(long, value_name = "FILE.onnx")]
        onnx: PathBuf,
        /// The plan to write
        #[arg(long, value_name = "FILE.plan")]
        out: PathBuf,
    },
}

#[derive(Args)]
pub struct BenchArgs {
    /// Take these instructions instead of the best this CPU has; tract runs the ONNX file as it is
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// How far to run: mid for heads that need no more, last for all of it
    #[arg(long, value_name = "TAP", value_enum, default_value_t = Tap::Last)]
    stop_at: Tap,
    /// Looks to measure, after a tenth as many to warm up
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Measure this ONNX file instead of the backbone that Ajar ships
    #[arg(long, value_name = "FILE.onnx")]
    onnx: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ValueEnum for Tap {
    fn value_variants<'a>() -> &'a [Self] {
        &[Tap::Mid, Tap::Last]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl EngineCommand {
    pub fn run(self) -> Result<()> {
        match self {
            EngineCommand::Info { json } => info(json),
            EngineCommand::Bench(args) => bench(&args),
            EngineCommand::Inputs { out, pictures } => write_inputs(&out, &pictures),
            EngineCommand::Trace { inputs, out } => trace(&inputs, &out),
            EngineCommand::Lower { onnx, out } => {
                let bytes = read(&onnx)?;
                let plan = lower(&bytes).with_context(|| onnx.display().to_string())?;
                pack::write_whole(&out, &plan)
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    // A file that is not there is a mistake of the command line.
    if !path.exists() {
        return Err(UsageError(format!("{}: no such file", path.display())).into());
    }
    fs::read(path).with_context(|| path.display().to_string())
}

fn write_inputs(out: &Path, pictures: &[PathBuf]) -> Result<()> {
    let mut inputs = Vec::new();
    for path in pictures {
        let bytes = read(path)?;
        let input = picture::read(&bytes).map_err(|why| UsageError(format!("{}: {why}", path.display())))?;
        inputs.extend_from_slice(&input.codes);
    }
    pack::write_whole(out, &inputs)
}

fn trace(inputs: &Path, out: &Path) -> Result<()> {
    let bytes = read(inputs)?;
    let Engine::Executor(mut executor) = Engine::new(shipped_plan()?) else {
        unreachable!("a plan was given")
    };
    let (mut input, mut outputs) = (Box::<Input>::default(), Vec::new());
    for codes in bytes.chunks_exact(input.codes.len()) {
        input.codes.copy_from_slice(codes);
        executor.trace(&input, |output| outputs.extend_from_slice(output));
    }
    pack::write_whole(out, &outputs)
}

#[derive(Serialize)]
struct Info {
    cpu_features: Vec<&'static str>,
    /// Those this CPU has, the fastest last.
    paths: Vec<&'static str>,
    path: &'static str,
    plan_version: u32,
    plan_bytes: usize,
    plan_steps: usize,
    /// Steps until `mid`, where heads that need no more stop.
    plan_steps_to_mid: usize,
    backbone_sha256: String,
    arena_bytes: usize,
}

fn info(json: bool) -> Result<()> {
    let executor = Executor::best(shipped_plan()?);
    let lowered = executor.plan();
    let info = Info {
        cpu_features: cpu_features(),
        paths: kernels::Path::ALL.iter().filter(|path| path.available()).map(|path| path.name()).collect(),
        path: executor.path().name(),
        plan_version: plan::VERSION,
        plan_bytes: lowered.bytes().len(),
        plan_steps: lowered.step_count(),
        plan_steps_to_mid: lowered.tap(Tap::Mid).steps,
        backbone_sha256: crate::bundle::hex(lowered.source()),
        arena_bytes: executor.arena_bytes(),
    };
    if json {
        writeln!(stdout(), "{}", serde_json::to_string(&info)?)?;
        return Ok(());
    }
    let listed = |names: &[&str]| if names.is_empty() { "none".into() } else { names.join(", ") };
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    writeln!(stdout(), "cpu:   {}, with {}", std::env::consts::ARCH, listed(&info.cpu_features))?;
    writeln!(stdout(), "path:  {} (this CPU has {})", info.path, listed(&info.paths))?;
    writeln!(
        stdout(),
        "plan:  version {}, {} steps ({} to mid), {:.0} KiB, of backbone {}",
        info.plan_version,
        info.plan_steps,
        info.plan_steps_to_mid,
        kib(info.plan_bytes),
        &info.backbone_sha256[..16]
    )?;
    writeln!(stdout(), "arena: {:.0} KiB", kib(info.arena_bytes))?;
    Ok(())
}

/// The instructions this CPU has, of those that matter to the engine.
fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ] {
        if there {
            found.push(name);
        }
    }
    #[cfg(target_arch = "aarch64")]
    for (name, there) in [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
    ] {
        if there {
            found.push(name);
        }
    }
    found
}

#[derive(Serialize)]
struct Bench {
    path: String,
    stop_at: &'static str,
    runs: u32,
    /// CPU time of this thread for one look, from the engine's input to features.
    cpu_us_median: f64,
    cpu_us_min: f64,
    /// For each look, rounded up.
    allocations: u64,
    /// CPU time to cut, resize and convert a crop of 220 pixels from a frame of 1280 x 720.
    front_cpu_us_median: f64,
}

fn bench(args: &BenchArgs) -> Result<()> {
    let mut engine = bench_engine(args)?;
    let path = match &engine {
        Engine::Executor(executor) => executor.path().name(),
        Engine::Tract(_) => "tract",
    };
    let blocks: &[Block] = match args.stop_at {
        Tap::Mid => &[Block::Mid],
        Tap::Last => &Block::ALL,
    };
    let picture = TestPicture::new();
    let mut input = Box::<Input>::default();
    let front = measure(args.runs, || {
        picture.sample(&mut input);
        Ok(())
    })?;
    let run = measure(args.runs, || Ok(engine.run(&input, blocks).map(drop)?))?;
    let bench = Bench {
        path: path.into(),
        stop_at: args.stop_at.name(),
        runs: args.runs,
        cpu_us_median: tenths(run.median),
        cpu_us_min: tenths(run.min),
        allocations: run.allocations.div_ceil(args.runs.into()),
        front_cpu_us_median: tenths(front.median),
    };
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string(&bench)?)?;
    } else {
        writeln!(
            stdout(),
            "{path}, to {}: {:.0} us a look (median of {}, least {:.0}), {} allocations each; the crop takes {:.0} us",
            bench.stop_at,
            bench.cpu_us_median,
            bench.runs,
            bench.cpu_us_min,
            bench.allocations,
            bench.front_cpu_us_median
        )?;
    }
    Ok(())
}

fn bench_engine(args: &BenchArgs) -> Result<Engine> {
    let onnx = args.onnx.as_deref().map(read).transpose()?;
    let named = || args.onnx.as_deref().unwrap_or(Path::new("the shipped backbone")).display().to_string();
    if args.path.as_deref() == Some("tract") {
        let tract = Tract::load(onnx.as_deref().unwrap_or(BACKBONE), args.stop_at);
        return Ok(Engine::Tract(tract.with_context(named)?));
    }
    let plan = match onnx.as_deref().map(lower) {
        Some(Ok(plan)) => Plan::from_bytes(&plan)?,
        Some(Err(error @ EngineError::Lower(_))) => bail!("{}: {error}; --path tract runs it", named()),
        Some(Err(error)) => return Err(error).with_context(named),
        None => shipped_plan()?,
    };
    let Some(name) = &args.path else { return Ok(Engine::new(plan)) };
    let path: kernels::Path = name.parse().map_err(|why| UsageError(format!("--path: {why}, tract")))?;
    let lacking =
        || UsageError(format!("--path: this CPU cannot run {path}; `ajar engine info` lists what it can"));
    Ok(Engine::with_path(plan, path).ok_or_else(lacking)?)
}

struct Measured {
    median: f64,
    min: f64,
    allocations: u64,
}

/// CPU microseconds of this thread for each of `runs` calls.
fn measure(runs: u32, mut work: impl FnMut() -> Result<()>) -> Result<Measured> {
    for _ in 0..runs.div_ceil(10) {
        work()?;
    }
    let mut times = vec![0.0; runs as usize];
    let mut result = Ok(());
    let allocations = allocations::count(|| {
        for time in &mut times {
            let start = thread_cpu_us();
            result = work();
            *time = thread_cpu_us() - start;
            if result.is_err() {
                break;
            }
        }
    });
    result?;
    times.sort_by(f64::total_cmp);
    Ok(Measured { median: times[times.len() / 2], min: times[0], allocations })
}

/// Nothing below a tenth of a microsecond means anything.
fn tenths(us: f64) -> f64 {
    (us * 10.0).round() / 10.0
}

fn thread_cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// A frame of 1280 x 720 with a crop of 220 pixels: smooth slopes and some noise, always the same.
struct TestPicture {
    luma: Vec<u8>,
    chroma: Vec<u8>,
    rect: PixelRect,
}

impl TestPicture {
    const WIDTH: usize = 1280;
    const HEIGHT: usize = 720;

    fn new() -> TestPicture {
        let mut seed = 1u32;
        let mut sample = |x: usize, y: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (40 + (x / 8 + y / 5) % 160 + (seed >> 28) as usize) as u8
        };
        let mut plane = |width: usize, height: usize| {
            let mut plane = Vec::with_capacity(width * height);
            for y in 0..height {
                plane.extend((0..width).map(|x| sample(x, y)));
            }
            plane
        };
        let luma = plane(Self::WIDTH, Self::HEIGHT);
        let chroma = plane(Self::WIDTH / 2, Self::HEIGHT / 2);
        let rect = PixelRect { x: 530, y: 250, width: 220, height: 220 };
        TestPicture { luma, chroma, rect }
    }

    fn sample(&self, input: &mut Input) {
        let plane = |bytes, stride| Plane { bytes, stride };
        let chroma = plane(&self.chroma, Self::WIDTH / 2);
        let frame = Frame {
            width: Self::WIDTH,
            height: Self::HEIGHT,
            luma: plane(&self.luma, Self::WIDTH),
            chroma: Chroma::Planar { u: chroma, v: chroma },
            colour: Colour { matrix: Matrix::Bt709, range: Range::Limited },
            arrival: Instant::MIN,
        };
        sample(&frame, self.rect, input);
    }
}
