//! What must hold of the centre whatever happens to it.

use ajar::watch::crop::{CropBuffer, Input, PixelRect, Region};
use ajar::watch::decision::{
    Classification, Decision, DecisionSettings, NO_DWELL, Probabilities, Unknown, Verdict,
};
use ajar::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use ajar::watch::gate::{Gate, GateSettings, RECHECK_LIMIT, Reason};
use ajar::watch::motion::{Motion, MotionSettings, Movement};
use embassy_time::{Duration, Instant};
use proptest::prelude::*;

const THRESHOLD: f32 = 0.8;

#[derive(Clone, Debug)]
enum Step {
    /// An attempt on a fresh frame, so far from the training.
    Attempt([f32; 3], f32),
    /// Nothing but time.
    Pass,
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let certain = (0usize..3, 0.5f32..1.0).prop_map(|(state, p)| {
        let mut probabilities = [(1.0 - p) / 2.0; 3];
        probabilities[state] = p;
        Step::Attempt(probabilities, 0.5)
    });
    let odd = Just(Step::Attempt([f32::NAN, 0.5, 0.5], 0.5));
    let far = Just(Step::Attempt([0.9, 0.05, 0.05], 1.5));
    let step = prop_oneof![8 => certain, 1 => odd, 1 => far, 1 => Just(Step::Pass)];
    (prop_oneof![9 => 0u64..2_000, 1 => 0u64..40_000], step)
}

/// What one attempt alone says, from the definition.
fn alone(probabilities: &[f32; 3], distance: f32) -> Verdict {
    if probabilities.iter().any(|p| !p.is_finite()) {
        return Verdict::Unknown(Unknown::Failed);
    }
    if distance > 1.0 {
        return Verdict::Unknown(Unknown::Unseen);
    }
    match probabilities.iter().position(|&p| p >= THRESHOLD) {
        Some(state) => Verdict::State(state as u8),
        None => Verdict::Unknown(Unknown::Ambiguous),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    /// A change to a verdict comes exactly when the last N attempts all say it, and `stale` exactly
    /// when no frame came for its time.
    #[test]
    fn published_is_what_the_last_attempts_agree_on(
        steps in proptest::collection::vec(step(), 1..80),
        verification in 1u8..5,
    ) {
        let stale_after = Duration::from_secs(15);
        let settings = DecisionSettings { threshold: THRESHOLD, max_distance: 1.0, verification, dwell: NO_DWELL, stale_after };
        let mut now = Instant::from_secs(100);
        let mut decision = Decision::new(settings, now);
        let (mut last_frame, mut sequence) = (now, 0);
        let mut votes: Vec<Verdict> = Vec::new();
        for (wait, step) in steps {
            now += Duration::from_millis(wait);
            let before = decision.published();
            let change = match step {
                Step::Attempt(probabilities, distance) => {
                    last_frame = now;
                    decision.frame(now);
                    votes.push(alone(&probabilities, distance));
                    let agreed = votes.iter().rev().take_while(|vote| *vote == &votes[votes.len() - 1]).count();
                    let probabilities = Probabilities::from_slice(&probabilities).unwrap();
                    let classification = Classification { probabilities, distance: Some(distance) };
                    let change = decision.attempt(now, &classification, None).1;
                    let expected = agreed >= usize::from(verification) && votes[votes.len() - 1] != before;
                    prop_assert_eq!(change.map(|c| c.to), expected.then(|| votes[votes.len() - 1]));
                    change
                }
                Step::Pass => {
                    let change = decision.pass(now, None);
                    let stale = Verdict::Unknown(Unknown::Stale);
                    let expected = now - last_frame >= stale_after && before != stale;
                    prop_assert_eq!(change.map(|c| c.to), expected.then_some(stale));
                    if expected {
                        votes.clear();
                    }
                    change
                }
            };
            if let Some(change) = change {
                sequence += 1;
                prop_assert_eq!((change.sequence, change.from, change.at), (sequence, before, now));
            }
            prop_assert_eq!(decision.published(), change.map_or(before, |c| c.to));
        }
    }

    /// However things move and whatever is pending: looks keep their distance, the interval is kept,
    /// and re-checks do not go on for ever.
    #[test]
    fn the_gate_keeps_its_times(
        frames in proptest::collection::vec((20u64..400, any::<bool>(), any::<bool>()), 1..300),
        motion in any::<bool>(),
        interval in 1u64..20,
    ) {
        let motion_settings = motion.then_some(MotionSettings::DEFAULT);
        let settings = GateSettings { motion: motion_settings, interval: Duration::from_secs(interval) };
        let mut gate = Gate::new(settings);
        let mut now = Instant::from_secs(100);
        let (mut last, mut rechecks) = (None::<Instant>, 0);
        for (wait, moving, pending) in frames {
            now += Duration::from_millis(wait);
            let reason = gate.ask(now, moving, pending);
            let since = last.map(|last| now - last);
            match reason {
                Some(Reason::Start) => prop_assert_eq!(since, None),
                Some(Reason::Verification) => {
                    prop_assert!(pending && since >= Some(Duration::from_millis(450)));
                    rechecks += 1;
                    prop_assert!(rechecks <= RECHECK_LIMIT);
                }
                Some(Reason::Motion) => prop_assert!(motion && since >= Some(Duration::from_secs(1))),
                Some(Reason::Interval) => prop_assert!(since >= Some(settings.interval)),
                None => prop_assert!(since.is_some_and(|since| since < settings.interval.max(Duration::from_millis(450)))),
            }
            if reason.is_some() {
                last = Some(now);
            }
            if !pending || reason.is_some_and(|reason| reason != Reason::Verification) {
                rechecks = 0;
            }
        }
    }

    /// A crop is even, inside the frame and covers what was asked for.
    #[test]
    fn crops_cover_their_region(
        corners in proptest::array::uniform4(0.0f32..=1.0),
        width in 2usize..5000,
        height in 2usize..5000,
    ) {
        let [a, b, c, d] = corners;
        let edges = [a.min(c), b.min(d), a.max(c), b.max(d)];
        prop_assume!(edges[0] < edges[2] && edges[1] < edges[3]);
        let PixelRect { x, y, width: w, height: h } = Region::new(edges).unwrap().pixels(width, height).unwrap();
        prop_assert!(x % 2 == 0 && y % 2 == 0 && w % 2 == 0 && h % 2 == 0 && w >= 2 && h >= 2);
        prop_assert!(x + w <= width && y + h <= height);
        let even_width = (width & !1) as f32;
        prop_assert!(x as f32 <= edges[0] * even_width + 0.01);
        prop_assert!((x + w) as f32 >= (edges[2] * even_width - 0.01).min(even_width - 2.0));
    }

    /// Any crop of any plain picture is that plain colour, and its motion is none.
    #[test]
    fn a_plain_picture_stays_plain(
        (width, height) in (2usize..700, 2usize..700),
        [luma, u, v] in proptest::array::uniform3(any::<u8>()),
        hd in any::<bool>(),
        full in any::<bool>(),
    ) {
        let half = width.div_ceil(2);
        let y_plane = vec![luma; width * height];
        let planes = [u, v].map(|value| vec![value; half * height.div_ceil(2)]);
        let chroma = Chroma::Planar {
            u: Plane { bytes: &planes[0], stride: half },
            v: Plane { bytes: &planes[1], stride: half },
        };
        let colour = Colour {
            matrix: if hd { Matrix::Bt709 } else { Matrix::Bt601 },
            range: if full { Range::Full } else { Range::Limited },
        };
        let luma = Plane { bytes: &y_plane, stride: width };
        let frame = Frame { width, height, luma, chroma, colour, arrival: Instant::MIN };
        let mut crop = Box::<CropBuffer>::default();
        crop.copy_from(&frame, Region::FULL.pixels(width, height).unwrap());
        let mut input = Box::<Input>::default();
        crop.sample(&mut input);
        let first = [input.codes[0], input.codes[1], input.codes[2], 0];
        prop_assert!(input.codes.chunks_exact(4).all(|pixel| pixel == first));
        let mut motion = Box::<Motion>::default();
        prop_assert_eq!(motion.update(Instant::from_secs(1), &crop), Movement::Still);
        prop_assert_eq!(motion.update(Instant::from_secs(2), &crop), Movement::Still);
    }
}
