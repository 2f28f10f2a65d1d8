//! A long time with a fault every half minute: what grows, and what is wrong.

use crate::camera::{Camera, Lamp};
use crate::rig::{Around, Rig};
use crate::scene::Scene;
use std::time::{Duration, Instant};

/// From one fault to the next.
const PERIOD: Duration = Duration::from_secs(30);
/// From one weighing to the next.
const SAMPLE: Duration = Duration::from_secs(5);
/// At the start memory still grows into what it needs: this part of the time does not count.
const WARM_UP: f64 = 0.25;
/// MiB an hour.
const MAX_SLOPE: f64 = 1.0;

#[derive(Clone, Copy)]
enum Fault {
    PowerCut,
    Freeze,
    Pause,
    TimeStamps,
    Change,
}

const FAULTS: [Fault; 5] = [Fault::PowerCut, Fault::Freeze, Fault::Pause, Fault::TimeStamps, Fault::Change];

/// `Err` says what was not as it must be.
pub fn soak(scene: &Scene, minutes: f64) -> Result<(), String> {
    let mut lamp = Lamp::On;
    let mut camera = Camera::start(lamp);
    let mut rig = Rig::start(scene, &camera.url(), &Around::default());
    rig.wait_state(0, lamp)?;
    let (start, end) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let (mut wrong, mut samples, mut faults) = (0, Vec::new(), 0);
    while start.elapsed() < end {
        let round = Instant::now();
        let (before, mut mark) = (lamp, rig.now());
        strike(FAULTS[faults % FAULTS.len()], &mut camera, &mut lamp);
        faults += 1;
        if lamp != before {
            // Until it was changed the lamp was as before, from now on it is not.
            let change = rig.now();
            wrong += rig.wrong(mark, &[before, lamp]);
            mark = change;
        }
        while round.elapsed() < PERIOD {
            std::thread::sleep(SAMPLE);
            samples.push((start.elapsed().as_secs_f64() / 3600.0, rig.weight()));
        }
        rig.now();
        let told = rig.events[mark..].iter().filter(|event| event.value["event"] == "change").count();
        wrong += rig.wrong(mark, &[lamp]);
        let last = rig.state();
        if last != lamp.state() {
            return Err(format!(
                "half a minute after fault {faults} it says {last}, not {}; {told} changes",
                lamp.state()
            ));
        }
    }
    let warm = samples.split_off((samples.len() as f64 * WARM_UP) as usize);
    let slope = slope(warm.iter().map(|(hours, [mib, ..])| (*hours, *mib)));
    let range = |of: usize| {
        let values = || warm.iter().map(|(_, weight)| weight[of]);
        (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
    };
    let ((threads, more_threads), (files, more_files)) = (range(1), range(2));
    println!(
        "soak: {minutes} minutes, {faults} faults, RSS slope {slope:.2} MiB/h, threads {threads}..{more_threads}, \
         descriptors {files}..{more_files}, {wrong} wrong states"
    );
    let drift = half_way(&warm, 1).max(half_way(&warm, 2));
    // In minutes a slope an hour is mostly noise.
    let steep = minutes >= 30.0 && slope > MAX_SLOPE;
    if steep || drift > 1.0 || wrong > 0 {
        return Err(format!("something grows or is wrong: slope {slope:.2}, drift {drift}, {wrong} wrong"));
    }
    Ok(())
}

fn strike(fault: Fault, camera: &mut Camera, lamp: &mut Lamp) {
    let pause = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    match fault {
        Fault::PowerCut => {
            camera.switch_off();
            pause(3);
            *lamp = lamp.other();
            camera.switch_on(*lamp);
        }
        Fault::Freeze => {
            camera.signal("STOP");
            pause(7);
            camera.signal("CONT");
        }
        Fault::Pause => {
            camera.signal("STOP");
            pause(3);
            camera.signal("CONT");
        }
        Fault::TimeStamps => {
            camera.jump(3600);
            pause(2);
            camera.jump(0);
        }
        Fault::Change => {
            *lamp = lamp.other();
            camera.show(*lamp);
        }
    }
}

/// Of the least-squares line.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count().max(1) as f64;
    let mean = |of: fn((f64, f64)) -> f64| points.clone().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (over, under) = points.fold((0.0, 0.0), |(over, under), point| {
        (over + (point.0 - x) * (point.1 - y), under + (point.0 - x).powi(2))
    });
    if under > 0.0 { over / under } else { 0.0 }
}

/// How much more the usual value of the second half is than that of the first.
fn half_way(samples: &[(f64, [f64; 3])], of: usize) -> f64 {
    let usual = |samples: &[(f64, [f64; 3])]| {
        let mut values: Vec<f64> = samples.iter().map(|(_, weight)| weight[of]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let (first, second) = samples.split_at(samples.len() / 2);
    usual(second) - usual(first)
}
