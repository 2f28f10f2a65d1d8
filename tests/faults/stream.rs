//! Faults of the stream: it stops, stalls, loses and changes bytes, or its time goes wrong.

use crate::camera::{Camera, Lamp};
use crate::network::{Namespace, Proxy, Where};
use crate::rig::{Around, Rig};
use crate::scene::Scene;
use crate::{Outcome, Row};
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds after which a camera that came back counts as good again, and is not made to wait for the next try.
const AGAIN_GOOD: f64 = 11.0;

/// Some of the limits allow for the supervisor's round, the loop's tick and the reading of the event.
pub const ROWS: [Row; 12] = [
    Row { name: "killed", limits: &[("seen", 1.0), ("unknown", 16.0), ("back", 5.0)], run: killed },
    Row {
        name: "killed (rtspsrc)",
        limits: &[("seen", 1.0), ("unknown", 16.0), ("back", 5.0)],
        run: killed_rtspsrc,
    },
    Row { name: "frozen", limits: &[("seen", 6.0), ("unknown", 16.0)], run: frozen },
    Row { name: "burst after a pause", limits: &[], run: burst },
    Row { name: "black hole", limits: &[("seen", 6.0), ("unknown", 16.0)], run: black_hole },
    Row {
        name: "1, 5, 20 % of packets lost, TCP",
        limits: &[],
        run: |scene, rounds| loss(scene, rounds, ""),
    },
    Row {
        name: "1, 5, 20 % of packets lost, UDP",
        limits: &[],
        run: |scene, rounds| loss(scene, rounds, "transport = \"udp\""),
    },
    Row {
        name: "bytes changed anywhere",
        limits: &[],
        run: |scene, rounds| corruption(scene, rounds, Where::Anywhere, ""),
    },
    Row {
        name: "bytes changed in pictures",
        limits: &[],
        run: |scene, rounds| corruption(scene, rounds, Where::Pictures, "decode = \"all\""),
    },
    Row { name: "time stamps jump", limits: &[], run: time_stamps },
    Row { name: "flapping", limits: &[], run: flapping },
    Row { name: "clock is set", limits: &[], run: clock },
];

/// A camera and an `ajard` that has said what it shows.
pub fn begin(scene: &Scene, camera: &Camera, around: &Around) -> Result<Rig, String> {
    let mut rig = Rig::start(scene, &camera.url(), around);
    rig.wait_state(0, Lamp::On)?;
    Ok(rig)
}

pub fn pause(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

fn killed(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    kill(scene, rounds, "")
}

fn killed_rtspsrc(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    kill(scene, rounds, "receiver = \"rtspsrc\"")
}

/// Every fifth time it stays away until its state is given up; it always comes back with the other state.
fn kill(scene: &Scene, rounds: u32, keys: &str) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around { camera: keys, ..Around::default() })?;
    for round in 0..rounds {
        let mark = rig.now();
        let lost = Instant::now();
        camera.switch_off();
        outcome.took("seen", rig.wait(mark, "down", |event| event.is_camera("down"))? - lost);
        if round % 5 == 0 {
            outcome.took("unknown", rig.wait(mark, "stale", |event| event.is_unknown("stale"))? - lost);
        }
        outcome.wrong += rig.wrong(mark, &[]);
        lamp = lamp.other();
        let mark = rig.now();
        camera.switch_on(lamp);
        let back = Instant::now();
        let came = rig.wait_state(mark, lamp)? - back;
        // Who has tried for 15 s waits up to 16 s for the next try.
        outcome.took(if round % 5 == 0 { "back after long" } else { "back" }, came);
        pause(AGAIN_GOOD);
        rig.now();
        outcome.wrong += rig.wrong(mark, &[lamp]);
    }
    Ok(outcome)
}

fn frozen(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around::default())?;
    for round in 0..rounds {
        let mark = rig.now();
        camera.signal("STOP");
        let lost = Instant::now();
        outcome.took("seen", rig.wait(mark, "down", |event| event.is_camera("down"))? - lost);
        if round % 5 == 0 {
            outcome.took("unknown", rig.wait(mark, "stale", |event| event.is_unknown("stale"))? - lost);
        }
        outcome.wrong += rig.wrong(mark, &[]);
        let mark = rig.now();
        // What it still has of the old state it may send.
        camera.signal("CONT");
        camera.show(lamp.other());
        let back = Instant::now();
        outcome.took("back", rig.wait_state(mark, lamp.other())? - back);
        outcome.wrong += rig.wrong(mark, &[lamp, lamp.other()]);
        lamp = lamp.other();
        pause(AGAIN_GOOD);
    }
    Ok(outcome)
}

/// A pause that is shorter than a stall, and then everything at once.
fn burst(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around::default())?;
    for _ in 0..rounds {
        let mark = rig.now();
        camera.signal("STOP");
        pause(4.0);
        camera.signal("CONT");
        pause(3.0);
        rig.now();
        outcome.wrong += rig.wrong(mark, &[lamp]);
        let mark = rig.now();
        camera.show(lamp.other());
        let shown = Instant::now();
        lamp = lamp.other();
        outcome.took("next change", rig.wait_state(mark, lamp)? - shown);
        outcome.wrong += rig.wrong(mark, &[lamp]);
    }
    Ok(outcome)
}

fn black_hole(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return Ok(Outcome::skipped(&why)),
    };
    let mut outcome = Outcome::default();
    let camera = Camera::start_in(&namespace.name, Lamp::On);
    let mut rig = begin(scene, &camera, &Around { words: namespace.words(), ..Around::default() })?;
    for round in 0..rounds {
        let mark = rig.now();
        namespace.lose(100)?;
        let lost = Instant::now();
        outcome.took("seen", rig.wait(mark, "down", |event| event.is_camera("down"))? - lost);
        if round % 5 == 0 {
            outcome.took("unknown", rig.wait(mark, "stale", |event| event.is_unknown("stale"))? - lost);
        }
        namespace.lose(0)?;
        let up = Instant::now();
        outcome.took("back", rig.wait(mark, "up", |event| event.is_camera("up"))? - up);
        pause(AGAIN_GOOD);
        rig.now();
        outcome.wrong += rig.wrong(mark, &[Lamp::On]);
    }
    Ok(outcome)
}

fn loss(scene: &Scene, rounds: u32, keys: &str) -> Result<Outcome, String> {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return Ok(Outcome::skipped(&why)),
    };
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start_in(&namespace.name, lamp);
    let around = Around { words: namespace.words(), camera: keys, ..Around::default() };
    let mut rig = begin(scene, &camera, &around)?;
    for _ in 0..rounds {
        for percent in [1, 5, 20] {
            let mark = rig.now();
            namespace.lose(percent)?;
            pause(8.0);
            rig.now();
            outcome.wrong += rig.wrong(mark, &[lamp]);
        }
        // A change is still found while a packet of twenty is lost.
        namespace.lose(5)?;
        let mark = rig.now();
        lamp = lamp.other();
        camera.show(lamp);
        let shown = Instant::now();
        outcome.took("change at 5 %", rig.wait_state(mark, lamp)? - shown);
        outcome.wrong += rig.wrong(mark, &[lamp]);
        namespace.lose(0)?;
    }
    // TCP sends again what was lost; by UDP it is missing, and counted.
    let counted = rig.metric("ajar_pictures_damaged_total{camera=\"hall\"}")?;
    if keys.contains("udp") && counted == 0.0 {
        return Err("no loss was counted".into());
    }
    Ok(outcome)
}

fn corruption(scene: &Scene, rounds: u32, place: Where, keys: &str) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let proxy = Proxy::start(camera.port, place);
    let mut rig = Rig::start(scene, &proxy.url(), &Around { camera: keys, ..Around::default() });
    rig.wait_state(0, lamp)?;
    for _ in 0..rounds {
        for of_a_million in [100, 1000, 10_000] {
            let mark = rig.now();
            proxy.change(of_a_million);
            pause(8.0);
            rig.now();
            outcome.wrong += rig.wrong(mark, &[lamp]);
        }
        proxy.change(0);
        let mark = rig.now();
        lamp = lamp.other();
        camera.show(lamp);
        let shown = Instant::now();
        outcome.took("whole again", rig.wait_state(mark, lamp)? - shown);
        outcome.wrong += rig.wrong(mark, &[lamp]);
    }
    Ok(outcome)
}

fn time_stamps(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around::default())?;
    for _ in 0..rounds {
        for seconds in [3600, 60, 0] {
            let mark = rig.now();
            camera.jump(seconds);
            pause(3.0);
            lamp = lamp.other();
            camera.show(lamp);
            let shown = Instant::now();
            outcome.took("next change", rig.wait_state(mark, lamp)? - shown);
            outcome.wrong += rig.wrong(mark, &[lamp]);
        }
    }
    Ok(outcome)
}

/// Comes and goes every two seconds; what that leaves behind is weighed.
fn flapping(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut camera = Camera::start(Lamp::On);
    let mut rig = begin(scene, &camera, &Around::default())?;
    let mut weights = Vec::new();
    for flap in 0..6 * rounds.max(2) {
        camera.switch_off();
        pause(2.0);
        camera.switch_on(Lamp::On);
        pause(2.0);
        if flap >= 3 {
            weights.push(rig.weight());
        }
    }
    rig.now();
    outcome.wrong += rig.wrong(0, &[Lamp::On]);
    let (before, after) = weights.split_at(weights.len() / 2);
    let usual = |weights: &[[f64; 3]], of: usize| {
        let mut values: Vec<f64> = weights.iter().map(|weight| weight[of]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    // One more may come or go with the moment of the count.
    for (of, what, more) in [(0, "MiB", 4.0), (1, "threads", 1.0), (2, "descriptors", 2.0)] {
        let (before, after) = (usual(before, of), usual(after, of));
        if after > before + more {
            return Err(format!("{what}: from {before} to {after}"));
        }
    }
    Ok(outcome)
}

/// The wall clock jumps an hour forth and back, and from 1970 to now.
fn clock(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !Path::new(LIBRARY).exists() {
        return Ok(Outcome::skipped("libfaketime is not installed"));
    }
    let mut outcome = Outcome::default();
    let mut camera = Camera::start(Lamp::On);
    let file = scene.sandbox.write("clock", "@1970-01-01 00:00:10");
    let variables = vec![
        ("LD_PRELOAD", LIBRARY.to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_string()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_string()),
    ];
    let mut rig = begin(scene, &camera, &Around { variables, ..Around::default() })?;
    let year = |rig: &Rig| {
        rig.events.last().and_then(|event| event.value["time"].as_str()?[..4].parse::<i32>().ok())
    };
    if year(&rig) != Some(1970) {
        return Err(format!("the clock did not begin in 1970 but in {:?}", year(&rig)));
    }
    let mut lamp = Lamp::On;
    for _ in 0..rounds {
        for offset in ["+0", "+1h", "-1h"] {
            let mark = rig.now();
            std::fs::write(&file, offset).expect("a file");
            pause(4.0);
            rig.now();
            if rig.events[mark..].iter().any(|event| event.value["event"] != "attempt") {
                return Err(format!("something happened when the clock went to {offset}"));
            }
            lamp = lamp.other();
            camera.show(lamp);
            let shown = Instant::now();
            outcome.took("next change", rig.wait_state(mark, lamp)? - shown);
            outcome.wrong += rig.wrong(mark, &[lamp]);
        }
    }
    Ok(outcome)
}
