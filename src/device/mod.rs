//! `ajard`: the device service.
//!
//! ```text
//! cameras   keep the pipelines running       the supervisor's thread
//! reception receives RTSP streams            a thread of its own
//! sieve     drops what need not be decoded;  appetite says how much must be
//! inlet     cuts each watch's crop out       GStreamer's threads
//! mailbox   the newest crop of each watch
//! run       the loop over all watches        main thread
//! models    what the watches classify with; lowering makes a backbone's plan where there is none
//! probation what a model on trial shows while it runs
//! report    what is said of a watch; events, mqtt, gpio, journal say it
//! keeper    installs, confirms and rolls back: a thread of its own, as a disk may be slow
//! curator   writes pictures, on shelves, as jpeg: frames for the gallery, attempts for recent; a thread of its own, too
//! control   the socket that `ajar` and curl ask by; inbox, the directory that bundles are put in
//! notify    systemd and its watchdog
//! ```

pub mod appetite;
mod backoff;
mod cameras;
pub mod control;
mod curator;
pub mod events;
pub mod gallery;
pub mod gpio;
mod inbox;
pub mod inlet;
pub mod journal;
mod jpeg;
pub mod keeper;
pub mod lowering;
pub mod mailbox;
pub mod models;
mod mqtt;
mod notify;
pub mod probation;
pub mod recent;
mod reception;
mod report;
pub mod run;
mod shelf;
pub mod sieve;
pub mod snapshots;
mod threads;

use crate::board::Board;
use crate::bundle::store::Store;
use crate::bundle::verify::trusted_keys;
use crate::bundle::{Code, Refusal};
use crate::camera::{Capture, Pacing, Source};
use crate::config::{CameraConfig, Config, GalleryConfig, Privacy, Receiver, StreamName, Transport};
use crate::exit::UsageError;
use anyhow::{Context, Result, bail};
use cameras::{CameraPlan, Supervisor};
use control::{Access, Control};
use curator::{Curator, Sources};
use embassy_time::Instant;
use events::Events;
use gallery::Gallery;
use gpio::Gpio;
use journal::Journal;
use keeper::{Keeper, Swap};
use mailbox::Mailbox;
use models::{Models, Ready};
use mqtt::{Broker, Mqtt, Topic};
use notify::{Heartbeat, Watchdog};
use recent::Recent;
use report::Report;
use run::{Hunger, Loop, Outputs, Runner};
use snapshots::Snapshots;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs the service until SIGTERM or SIGINT.
pub fn run(config: &Config, events: Events) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("signals")?;
    }
    let board = board(config)?;
    let gpio = Gpio::open(config, &board)?;
    let keeper = Keeper::new(config, device_names(config));
    let mut models = Models::default();
    for Swap { model, ready, .. } in keeper.begin() {
        models.put(&model, ready, Instant::now());
    }
    for (name, loaded) in &models.by_name {
        match loaded {
            Ok(loaded) => log::info!("model {name}: bundle {} ({:?})", loaded.id, loaded.standing),
            Err(why) => log::error!("model {name}: {why}"),
        }
    }
    let mut runners = run::runners(config, &models, Instant::now());
    check_gpio_states(config, &runners)?;
    let (camera_beat, mqtt_beat) = (Heartbeat::default(), Heartbeat::default());
    let mut beats = vec![camera_beat.clone()];
    let mqtt = start_mqtt(config, &mut runners, mqtt_beat.clone())?;
    if mqtt.is_some() {
        beats.push(mqtt_beat);
    }
    let events = Arc::new(events);
    let snapshots = Arc::new(Snapshots::default());
    let journal = Arc::new(Journal::new(runners.iter().map(|runner| runner.report.clone())));
    let mailbox = Arc::new(Mailbox::new(runners.len()));
    let plans = camera_plans(config, &board, &runners);
    let meters = plans.iter().map(|plan| (plan.name.clone(), plan.hunger.meter.clone())).collect();
    let hungers = plans.iter().map(|plan| plan.hunger.clone()).collect();
    let pulses = plans.iter().map(|plan| (plan.name.clone(), plan.hunger.pulse.clone())).collect();
    let status = format!("watches: {}, cameras: {}", runners.len(), plans.len());
    let supervisor =
        Supervisor::start(plans, mailbox.clone(), events.clone(), snapshots.clone(), camera_beat)?;
    let desk = keeper.start()?;
    let (gallery, recent) = (Arc::new(Gallery::open(config)), Arc::new(Recent::open(config)));
    let sources = Sources {
        gallery: gallery.clone(),
        recent: recent.clone(),
        journal: journal.clone(),
        snapshots: snapshots.clone(),
        cameras: pulses,
    };
    let marker = recent.marker();
    let curator = Curator::start(config, sources)?;
    let access = Access {
        device: device_id(config),
        orders: desk.orders.clone(),
        journal: journal.clone(),
        snapshots,
        gallery,
        recent,
        meters,
    };
    let control = start_control(config, access);
    let mut service = Loop::new(runners, mailbox, Outputs { events, mqtt, gpio, journal, marker });
    service.follow(config);
    service.hungers = hungers;
    let mut watchdog = Watchdog::new(beats, Instant::now());
    log::info!("ready: {status}");
    notify::ready(&status);
    service.run(config, &mut models, &desk, &mut watchdog, &stop);
    log::info!("stopping; {} crops were replaced by newer ones", service.mailbox.replaced());
    notify::stopping();
    // The outputs first: a camera that hangs must not keep them from their last word.
    drop(service);
    drop(control);
    drop(desk);
    drop(curator);
    drop(supervisor);
    Ok(())
}

/// A device without its control socket still watches.
fn start_control(config: &Config, access: Access) -> Option<Control> {
    let path = &config.device.control_socket;
    if path.as_os_str().is_empty() {
        return None;
    }
    Control::start(path, access)
        .inspect_err(|error| log::warn!("control socket: {}: {error}; going on without", path.display()))
        .ok()
}

/// What `ajard check` found, line by line. `Err`: a model that would not run.
pub fn check(config: &Config) -> Result<Vec<String>> {
    let board = board(config)?;
    let limits = &board.limits;
    let mut lines = vec![format!(
        "board: {} (estimated for {} cameras in {} MiB)",
        board.name, limits.cameras, limits.memory_mib
    )];
    let models = load_models(config);
    let runners = run::runners(config, &models, Instant::now());
    check_gpio_states(config, &runners)?;
    // All of them: whoever sets a board up has more than one thing to put right.
    let mut problems: Vec<String> =
        models.missing().map(|(name, why)| format!("model {name}: {why}")).collect();
    for (name, loaded) in &models.by_name {
        let Ok(loaded) = loaded else { continue };
        let states = loaded.model.manifest.states.join(", ");
        lines.push(format!("model {name}: {states} (bundle {})", loaded.id));
    }
    for CameraPlan { name, source, codec, decoder, .. } in camera_plans(config, &board, &runners) {
        if let Source::File(path) | Source::V4l2(path) = &source
            && !path.exists()
        {
            problems.push(format!("camera {name}: {}: no such file or device", path.display()));
            continue;
        }
        match Capture::build(&source, codec, &decoder, Pacing::RealTime) {
            Ok(_) => lines.push(format!("camera {name}: {}", source.redacted())),
            Err(why) => problems.push(format!("camera {name}: {why}")),
        }
    }
    for (model, camera) in config.watches() {
        lines.push(format!("watch: {model} on {camera}"));
    }
    lines.push(format!("gallery: {}", gallery_in_words(config)));
    let password = config.mqtt.as_ref().and_then(|mqtt| mqtt.password_file.as_ref());
    problems.extend(password.and_then(|path| read_password(path).err()).map(|UsageError(why)| why));
    if !problems.is_empty() {
        bail!(problems.join("\n"));
    }
    Ok(lines)
}

fn gallery_in_words(config: &Config) -> String {
    let GalleryConfig { enabled, frames, max_mb, privacy, .. } = &config.gallery;
    let what = match privacy {
        _ if !enabled => return "off".into(),
        Privacy::Frame => "whole frames",
        Privacy::Crop => "crops only",
    };
    let place = config.gallery_directory();
    format!("{what}, at most {frames} of each camera and {max_mb} MB, in {}", place.display())
}

fn board(config: &Config) -> Result<Board> {
    Board::named(&config.device.board).map_err(|why| UsageError(format!("device.board: {why}")).into())
}

/// What would run, without counting an attempt of what is on trial.
fn load_models(config: &Config) -> Models {
    let store = Store::new(&config.device.store);
    let load = |name: &str| {
        let keys = trusted_keys(&config.device.trusted_keys)?;
        let none = || Refusal::new(Code::E33, "no bundle is installed; to install one: ajar deploy FILE");
        Ready::new(&store, store.load(name, &keys)?.ok_or_else(none)?)
    };
    let mut models = Models::default();
    for name in config.classification.custom.keys() {
        models.put(name, load(name).map_err(|refusal| refusal.to_string()), Instant::now());
    }
    models
}

/// What bundles' `targets` may call this device.
fn device_names(config: &Config) -> Vec<String> {
    vec![config.device.board.clone(), device_id(config), std::env::consts::ARCH.to_string()]
}

/// A line that waits for a state its model does not have is a mistake in the configuration.
fn check_gpio_states(config: &Config, runners: &[Runner]) -> Result<(), UsageError> {
    for (i, line) in config.gpio.lines.iter().enumerate() {
        let states = runners.iter().find(|r| r.report.model == line.model).map_or(&[][..], Runner::states);
        if !states.is_empty() && !states.contains(&line.state) {
            let (model, state, states) = (&line.model, &line.state, states.join(", "));
            let why =
                format!("gpio.lines[{i}].state: the model {model} has no state {state:?}, only {states}");
            return Err(UsageError(why));
        }
    }
    Ok(())
}

/// Every stream that some watch looks at, and of a camera that none does the main one, if there is a gallery. Also one
/// whose model is missing: it may come at any time, and its pictures are asked for before.
fn camera_plans(config: &Config, board: &Board, runners: &[Runner]) -> Vec<CameraPlan> {
    let watched: Vec<&String> = runners.iter().map(|runner| &runner.report.camera).collect();
    let plan = |(name, camera, stream): (&String, &CameraConfig, StreamName)| {
        let mine = runners.iter().enumerate().filter(|(_, runner)| {
            let Report { model, camera, .. } = &runner.report;
            camera == name && config.stream(model, camera) == stream
        });
        let watches: Vec<_> =
            mine.filter_map(|(i, r)| Some((i, config.region(&r.report.model, name)?))).collect();
        let source = source(camera, stream, board)?;
        let camera_name = name;
        let name = match stream {
            StreamName::Main => name.clone(),
            StreamName::Sub => snapshots::sub(name),
        };
        let (codec, decoder) = (camera.codec.unwrap_or_default(), board.decoder.clone());
        let hunger = Hunger::new(camera.decode, watches.iter().map(|(runner, _)| *runner).collect());
        let for_gallery =
            config.gallery.keeps_frames() && stream == StreamName::Main && !watched.contains(&camera_name);
        (!watches.is_empty() || for_gallery).then_some(CameraPlan {
            name,
            source,
            codec,
            decoder,
            watches,
            hunger,
        })
    };
    let streams = [StreamName::Main, StreamName::Sub];
    let all = config.cameras.iter().flat_map(|(name, camera)| streams.map(|stream| (name, camera, stream)));
    all.filter_map(plan).collect()
}

/// Where one of a camera's streams comes from; a board's own cameras go by their kind: `source = "csi"`.
fn source(camera: &CameraConfig, stream: StreamName, board: &Board) -> Option<Source> {
    let text = match stream {
        StreamName::Main => board.camera.get(&camera.source).unwrap_or(&camera.source),
        StreamName::Sub => camera.substream.as_ref()?,
    };
    let CameraConfig { transport, .. } = *camera;
    Some(match Source::parse(text) {
        Source::Rtsp { url, .. } => {
            let can_be_lean = transport == Transport::Tcp && url.starts_with("rtsp://");
            let usual = if can_be_lean { Receiver::Lean } else { Receiver::Rtspsrc };
            Source::Rtsp { url, receiver: camera.receiver.unwrap_or(usual), transport }
        }
        other => other,
    })
}

fn start_mqtt(config: &Config, runners: &mut [Runner], heartbeat: Heartbeat) -> Result<Option<Mqtt>> {
    let Some(mqtt) = &config.mqtt else { return Ok(None) };
    let id = device_id(config);
    let login = match (&mqtt.user, &mqtt.password_file) {
        (Some(user), Some(path)) => Some((user.clone(), read_password(path)?)),
        (user, _) => user.as_ref().map(|user| (user.clone(), String::new())),
    };
    let broker = Broker {
        host: mqtt.host.clone(),
        port: mqtt.port,
        client_id: mqtt.client_id.clone().unwrap_or_else(|| format!("ajar-{id}")),
        login,
    };
    let base = format!("{}/{id}", mqtt.topic_prefix);
    let mut rows = Vec::new();
    for runner in runners {
        runner.set_topics(Topic(rows.len()), Topic(rows.len() + 1));
        let watch = format!("{base}/{}/{}", runner.report.camera, runner.report.model);
        let topics = [format!("{watch}/state"), format!("{watch}/attributes")];
        rows.extend(topics.into_iter().zip(runner.payloads()));
    }
    Mqtt::start(broker, format!("{base}/availability"), rows, heartbeat).map(Some).context("mqtt")
}

fn read_password(path: &Path) -> Result<String, UsageError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("mqtt.password_file: {}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_string())
}

/// The device's name in topics: from the configuration, else the host's.
fn device_id(config: &Config) -> String {
    let host = || {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let host: String = host.trim().chars().map(plain).collect();
        if host.is_empty() { "device".into() } else { host }
    };
    config.device.id.clone().unwrap_or_else(host)
}
