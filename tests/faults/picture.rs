//! Faults of what is in the picture: it stands still, goes black, is covered, changes its shape, jumps in light, or
//! shows another place.

use crate::camera::{Camera, ENCODER, Lamp};
use crate::pictures::Gate;
use crate::rig::{Around, Rig};
use crate::scene::Scene;
use crate::stream::{begin, pause};
use crate::yard::yard;
use crate::{Outcome, Row};
use image::imageops;
use std::time::Instant;

pub const ROWS: [Row; 6] = [
    Row { name: "frozen picture", limits: &[("unknown", 9.0)], run: frozen },
    Row {
        name: "black",
        limits: &[("unknown", 6.0)],
        run: |scene, rounds| covered(scene, rounds, "black", "dark"),
    },
    Row {
        name: "white",
        limits: &[("unknown", 6.0)],
        run: |scene, rounds| covered(scene, rounds, "white", "covered"),
    },
    Row { name: "another size, another shape", limits: &[("unknown", 3.0)], run: shape },
    Row { name: "lightning", limits: &[], run: lightning },
    Row { name: "moved", limits: &[("unknown", 6.0)], run: moved },
];

fn frozen(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around { frozen_after: 5, ..Around::default() })?;
    let (mut mark, mut still) = (0, Instant::now());
    for _ in 0..rounds {
        outcome.took("unknown", rig.wait(mark, "frozen", |event| event.is_unknown("frozen"))? - still);
        outcome.wrong += rig.wrong(mark, &[lamp]);
        mark = rig.now();
        lamp = lamp.other();
        camera.show(lamp);
        let shown = Instant::now();
        still = rig.wait_state(mark, lamp)?;
        outcome.took("back", still - shown);
        outcome.wrong += rig.wrong(mark, &[lamp]);
    }
    Ok(outcome)
}

fn covered(scene: &Scene, rounds: u32, pattern: &str, reason: &str) -> Result<Outcome, String> {
    let (mut outcome, mut lamp) = (Outcome::default(), Lamp::On);
    let mut camera = Camera::start(lamp);
    let mut rig = begin(scene, &camera, &Around::default())?;
    for _ in 0..rounds {
        let mark = rig.now();
        camera.set("lamp", "pattern", pattern);
        let shown = Instant::now();
        outcome.took("unknown", rig.wait(mark, reason, |event| event.is_unknown(reason))? - shown);
        outcome.wrong += rig.wrong(mark, &[]);
        lamp = lamp.other();
        let mark = rig.now();
        camera.show(lamp);
        let shown = Instant::now();
        outcome.took("back", rig.wait_state(mark, lamp)? - shown);
        outcome.wrong += rig.wrong(mark, &[lamp]);
    }
    Ok(outcome)
}

fn shape(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut camera = Camera::start(Lamp::On);
    let mut rig = begin(scene, &camera, &Around::default())?;
    for _ in 0..rounds {
        // The same shape only has more pixels.
        let mark = rig.now();
        camera.resize(640, 480);
        pause(4.0);
        rig.now();
        let told = rig.events[mark..].iter().filter(|event| event.value["event"] == "change").count();
        if told > 0 {
            return Err(format!("{told} changes because of another size"));
        }
        camera.resize(640, 360);
        let shown = Instant::now();
        outcome.took("unknown", rig.wait(mark, "geometry", |event| event.is_unknown("geometry"))? - shown);
        pause(2.0);
        rig.now();
        outcome.wrong += rig.wrong(mark, &[]);
        let mark = rig.now();
        camera.resize(320, 240);
        let shown = Instant::now();
        outcome.took("back", rig.wait_state(mark, Lamp::On)? - shown);
        outcome.wrong += rig.wrong(mark, &[Lamp::On]);
    }
    Ok(outcome)
}

/// Flashes of a third of a second.
fn lightning(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut camera = Camera::start(Lamp::On);
    let mut rig = begin(scene, &camera, &Around { camera: "decode = \"all\"", ..Around::default() })?;
    let mark = rig.now();
    for _ in 0..rounds {
        for wait in [2.0, 0.4, 0.4, 3.0] {
            camera.set("lamp", "pattern", "white");
            pause(0.3);
            camera.show(Lamp::On);
            pause(wait);
        }
    }
    rig.now();
    // Not even `unknown`: a flash is over before it could be verified.
    let told = rig.events[mark..].iter().filter(|event| event.value["event"] == "change").count();
    if told > 0 {
        return Err(format!("{told} changes"));
    }
    outcome.wrong += rig.wrong(mark, &[Lamp::On]);
    Ok(outcome)
}

/// A camera that is turned aside by 15 % of its picture and back.
fn moved(scene: &Scene, rounds: u32) -> Result<Outcome, String> {
    const WIDTH: u32 = 320;
    const ASIDE: u32 = 48;
    let sandbox = &scene.sandbox;
    std::fs::create_dir_all(sandbox.path("gates/on")).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(sandbox.path("gates/off")).map_err(|error| error.to_string())?;
    let save =
        |picture: &image::RgbImage, path: &str| picture.save(sandbox.path(path)).map_err(|e| e.to_string());
    for (name, state) in [("on", Gate::Open), ("off", Gate::Closed)] {
        for day in 0..12 {
            let frame = yard(WIDTH, state, 2 * day + u32::from(state == Gate::Open), 0.0);
            let crop = imageops::crop_imm(&frame, 110, 54, 96, 72).to_image();
            save(&crop, &format!("gates/{name}/{day}.png"))?;
        }
    }
    save(&yard(WIDTH, Gate::Closed, 2, 0.0), "reference.png")?;
    save(&yard(WIDTH + ASIDE, Gate::Open, 5, 0.0), "wide.png")?;
    for line in [
        "train --name lamp --dataset gates --key k --out gate.ajb --reference hall=reference.png",
        "deploy --store gates/store gate.ajb",
    ] {
        sandbox.ajar_line(line).expect(0);
    }
    let picture = sandbox.path("wide.png");
    let mut camera = Camera::start_with(&format!(
        "( filesrc location=\"{}\" ! pngdec ! videoconvert ! imagefreeze is-live=true ! video/x-raw,framerate=10/1 \
         ! videocrop name=aim left=0 right={ASIDE} ! videoscale ! \
         video/x-raw,format=I420,width={WIDTH},height=180 ! {ENCODER} )",
        picture.display()
    ));
    let mut outcome = Outcome::default();
    let mut rig = Rig::start_gate(scene, &camera.url());
    rig.wait_state(0, Lamp::On)?;
    let mut aim = |left: u32| {
        camera.set("aim", "right", &(ASIDE - left).to_string());
        camera.set("aim", "left", &left.to_string());
    };
    for _ in 0..rounds {
        let mark = rig.now();
        aim(ASIDE);
        let turned = Instant::now();
        outcome.took("unknown", rig.wait(mark, "moved", |event| event.is_unknown("moved"))? - turned);
        outcome.wrong += rig.wrong(mark, &[Lamp::On]);
        let mark = rig.now();
        aim(0);
        let turned = Instant::now();
        outcome.took("back", rig.wait_state(mark, Lamp::On)? - turned);
        outcome.wrong += rig.wrong(mark, &[Lamp::On]);
    }
    Ok(outcome)
}
