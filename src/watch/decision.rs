//! The decision: from attempts to a published state.
//!
//! A state is published after `verification` attempts in a row that agree on it, each at or above
//! the threshold. An attempt below the threshold counts as `ambiguous`, one that is farther from the
//! training than the largest distance as `unseen`; both are verified the same way and published as
//! `unknown`: they break every other row. So does what is wrong with the picture ([`super::view`]). A state may also have
//! to last, its dwell. Without frames the state goes stale; what is wrong with the stream is published at once, too.

use embassy_time::{Duration, Instant};

/// Most states a model may have.
pub const MAX_STATES: usize = 16;

/// The probability of each state, in the model's order; they add up to 1.
pub type Probabilities = heapless::Vec<f32, MAX_STATES>;

/// What a model says of one crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    pub probabilities: Probabilities,
    /// How far it is from what the training saw, 1 being the model's own limit; `None` if the model does not tell.
    pub distance: Option<f32>,
}

impl Classification {
    /// Of an attempt that came to nothing.
    pub const FAILED: Classification = Classification { probabilities: Probabilities::new(), distance: None };

    /// Whether it is there and every number of it is one.
    pub fn is_finite(&self) -> bool {
        let Classification { probabilities, distance } = self;
        !probabilities.is_empty()
            && probabilities.iter().all(|p| p.is_finite())
            && !distance.is_some_and(f32::is_nan)
    }
}

/// Why a watch will not say. Where several hold, the first of them is given: each makes those after it meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// No usable frame for too long.
    Stale,
    /// The frames have another shape than the one the crop was drawn on.
    Geometry,
    /// Frames arrive, and all are the same.
    Frozen,
    /// The model gives no numbers.
    Failed,
    /// The picture is black.
    Dark,
    /// The picture shows nothing, or nothing sharp.
    Covered,
    /// The camera looks elsewhere than in its reference picture.
    Moved,
    /// The attempts are of something that the training never saw.
    Unseen,
    /// The attempts stay below the threshold.
    Ambiguous,
    /// Nothing has been verified yet.
    Starting,
}

impl Unknown {
    pub const fn name(self) -> &'static str {
        match self {
            Unknown::Stale => "stale",
            Unknown::Geometry => "geometry",
            Unknown::Frozen => "frozen",
            Unknown::Failed => "failed",
            Unknown::Dark => "dark",
            Unknown::Covered => "covered",
            Unknown::Moved => "moved",
            Unknown::Unseen => "unseen",
            Unknown::Ambiguous => "ambiguous",
            Unknown::Starting => "starting",
        }
    }
}

/// What is said of the thing: a state by its index in the model, or that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    State(u8),
    Unknown(Unknown),
}

impl Verdict {
    /// Why it says no state.
    pub fn unknown(self) -> Option<Unknown> {
        match self {
            Verdict::State(_) => None,
            Verdict::Unknown(why) => Some(why),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct DecisionSettings {
    /// Least probability that counts for a state, 0..=1.
    pub threshold: f32,
    /// Largest distance from the training that counts for a state; 1 is the model's own limit.
    pub max_distance: f32,
    /// Agreeing attempts in a row before a verdict is published, at least 1.
    pub verification: u8,
    /// For each state, how long the attempts must agree on it before it is published.
    pub dwell: [Duration; MAX_STATES],
    /// Time without a usable frame after which the state is `unknown`.
    pub stale_after: Duration,
}

/// States that are published as soon as they are verified.
pub const NO_DWELL: [Duration; MAX_STATES] = [Duration::from_ticks(0); MAX_STATES];

impl DecisionSettings {
    /// What one attempt alone would say, and the largest probability; 0 if a number is not finite.
    pub fn judge(&self, classification: &Classification) -> (Verdict, f32) {
        let Classification { probabilities, distance } = classification;
        if !classification.is_finite() {
            return (Verdict::Unknown(Unknown::Failed), 0.0);
        }
        let distance = distance.unwrap_or(0.0);
        let mut best = 0;
        for (state, &probability) in probabilities.iter().enumerate() {
            if probability > probabilities[best] {
                best = state;
            }
        }
        let probability = probabilities[best];
        let verdict = if distance > self.max_distance {
            Verdict::Unknown(Unknown::Unseen)
        } else if probability < self.threshold {
            Verdict::Unknown(Unknown::Ambiguous)
        } else {
            Verdict::State(best as u8)
        };
        (verdict, probability)
    }
}

/// What one attempt meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    pub verdict: Verdict,
    /// The largest probability; 0 if the probabilities were not finite.
    pub probability: f32,
    /// How many attempts in a row now agree on `verdict`, this one included.
    pub agreeing: u8,
}

/// A newly published verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    pub at: Instant,
    /// Counts the changes of this watch since the program started, from 1.
    pub sequence: u64,
    pub from: Verdict,
    pub to: Verdict,
    /// Of the attempt that decided; 0 where none did.
    pub probability: f32,
}

/// The states of a model that takes another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// The same ones in the same order.
    Same,
    Others,
}

#[derive(Debug)]
pub struct Decision {
    settings: DecisionSettings,
    published: Verdict,
    candidate: Option<Verdict>,
    agreeing: u8,
    /// When they began to agree.
    agreed: Instant,
    sequence: u64,
    last_frame: Instant,
}

impl Decision {
    /// Starts as `unknown`, with the time for the first frame running from `now`.
    pub fn new(settings: DecisionSettings, now: Instant) -> Decision {
        Decision {
            settings,
            published: Verdict::Unknown(Unknown::Starting),
            candidate: None,
            agreeing: 0,
            agreed: now,
            sequence: 0,
            last_frame: now,
        }
    }

    pub fn published(&self) -> Verdict {
        self.published
    }

    /// Whether more attempts are needed soon: something else than what is published has been
    /// seen, or nothing has been verified since the start or since the stream was at fault.
    pub fn pending(&self) -> bool {
        use Unknown::{Frozen, Geometry, Stale, Starting};
        let unverified = matches!(self.published, Verdict::Unknown(Starting | Stale | Frozen | Geometry));
        unverified || self.candidate.is_some_and(|candidate| candidate != self.published)
    }

    /// A usable frame arrived.
    pub fn frame(&mut self, arrival: Instant) {
        self.last_frame = self.last_frame.max(arrival);
    }

    /// Counts one attempt. `fault`: what is wrong with the picture.
    pub fn attempt(
        &mut self,
        now: Instant,
        classification: &Classification,
        fault: Option<Unknown>,
    ) -> (Vote, Option<Change>) {
        let (verdict, probability) = self.settings.judge(classification);
        // The first that holds, in the order of the reasons.
        let why = verdict.unknown().into_iter().chain(fault).min();
        let verdict = why.map_or(verdict, Verdict::Unknown);
        if self.candidate == Some(verdict) {
            self.agreeing = self.agreeing.saturating_add(1);
        } else {
            self.candidate = Some(verdict);
            self.agreeing = 1;
            self.agreed = now;
        }
        let vote = Vote { verdict, probability, agreeing: self.agreeing };
        let dwell = match verdict {
            Verdict::State(state) => self.settings.dwell[usize::from(state)],
            Verdict::Unknown(_) => NO_DWELL[0],
        };
        let verified = self.agreeing >= self.settings.verification
            && now.saturating_duration_since(self.agreed) >= dwell
            && verdict != self.published;
        (vote, verified.then(|| self.publish(now, verdict, probability)))
    }

    /// What was seen so far does not count together with what will be.
    pub fn start_over(&mut self) {
        self.candidate = None;
        self.agreeing = 0;
    }

    /// To be called on every pass of the loop, frame or no frame. `fault`: what is wrong with the stream.
    pub fn pass(&mut self, now: Instant, fault: Option<Unknown>) -> Option<Change> {
        let age = now.saturating_duration_since(self.last_frame);
        let stale = (age >= self.settings.stale_after).then_some(Unknown::Stale);
        let verdict = Verdict::Unknown(stale.into_iter().chain(fault).min()?);
        if self.published == verdict {
            return None;
        }
        self.start_over();
        Some(self.publish(now, verdict, 0.0))
    }

    /// Goes on with another model. What is published stays until that has verified something, unless the states are
    /// `others`: then it is not known any more.
    pub fn adopt(&mut self, settings: DecisionSettings, states: States, now: Instant) -> Option<Change> {
        self.settings = settings;
        self.start_over();
        let gone = states == States::Others && matches!(self.published, Verdict::State(_));
        gone.then(|| self.publish(now, Verdict::Unknown(Unknown::Starting), 0.0))
    }

    fn publish(&mut self, now: Instant, to: Verdict, probability: f32) -> Change {
        let from = core::mem::replace(&mut self.published, to);
        self.sequence += 1;
        Change { at: now, sequence: self.sequence, from, to, probability }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DecisionSettings = DecisionSettings {
        threshold: 0.8,
        max_distance: 1.0,
        verification: 3,
        dwell: NO_DWELL,
        stale_after: Duration::from_secs(15),
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1000 + seconds)
    }

    /// Probability of state 0 and the rest to state 1.
    fn p(first: f32) -> Classification {
        far(first, 0.5)
    }

    fn far(first: f32, distance: f32) -> Classification {
        let probabilities = Probabilities::from_slice(&[first, 1.0 - first]).unwrap();
        Classification { probabilities, distance: Some(distance) }
    }

    /// Feeds one attempt a second; lists (second, verdict) of the changes.
    fn run(attempts: &[f32]) -> Vec<(u64, Verdict)> {
        let mut decision = Decision::new(SETTINGS, at(0));
        let mut changes = Vec::new();
        for (second, &first) in attempts.iter().enumerate() {
            let now = at(second as u64);
            decision.frame(now);
            let (_, change) = decision.attempt(now, &p(first), None);
            changes.extend(change.map(|change| (second as u64, change.to)));
            assert_eq!(decision.pass(now, None), None);
        }
        changes
    }

    const OPEN: Verdict = Verdict::State(0);
    const CLOSED: Verdict = Verdict::State(1);
    const AMBIGUOUS: Verdict = Verdict::Unknown(Unknown::Ambiguous);

    #[test]
    fn a_state_with_a_dwell_is_published_once_it_has_lasted() {
        let mut dwell = NO_DWELL;
        dwell[1] = Duration::from_secs(5);
        let mut decision = Decision::new(DecisionSettings { dwell, ..SETTINGS }, at(0));
        let mut changes = Vec::new();
        for (second, first) in [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].into_iter().enumerate() {
            let (_, change) = decision.attempt(at(second as u64), &p(first), None);
            changes.extend(change.map(|change| (second, change.to)));
        }
        assert_eq!(changes, [(2, OPEN), (8, CLOSED)]);
    }

    #[test]
    fn table() {
        // Three agreeing attempts publish, once.
        assert_eq!(run(&[0.9, 0.9, 0.9, 0.9, 0.9]), [(2, OPEN)]);
        // The threshold itself counts.
        assert_eq!(run(&[0.8, 0.8, 0.8]), [(2, OPEN)]);
        // One below the threshold starts the row again.
        assert_eq!(run(&[0.9, 0.9, 0.7, 0.9, 0.9]), []);
        assert_eq!(run(&[0.9, 0.9, 0.7, 0.9, 0.9, 0.9]), [(5, OPEN)]);
        // So does one of another state, and a blip changes nothing.
        assert_eq!(run(&[0.9, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1]), [(2, OPEN)]);
        assert_eq!(run(&[0.9, 0.9, 0.9, 0.1, 0.1, 0.1]), [(2, OPEN), (5, CLOSED)]);
        // Doubt is verified like a state.
        assert_eq!(run(&[0.9, 0.9, 0.9, 0.6, 0.5, 0.4]), [(2, OPEN), (5, AMBIGUOUS)]);
        assert_eq!(run(&[0.9, 0.9, 0.9, 0.6, 0.5, 0.9]), [(2, OPEN)]);
        // What is not a number is no evidence.
        assert_eq!(run(&[f32::NAN, f32::NAN, f32::NAN]), [(2, Verdict::Unknown(Unknown::Failed))]);
        assert_eq!(run(&[0.9, f32::INFINITY, 0.9, 0.9]), []);
    }

    #[test]
    fn what_was_never_seen_counts_for_no_state() {
        let judge = |settings: DecisionSettings, of| settings.judge(&of).0;
        let unseen = Verdict::Unknown(Unknown::Unseen);
        assert_eq!(judge(SETTINGS, far(0.9, 1.0)), OPEN);
        assert_eq!(judge(SETTINGS, far(0.9, 1.01)), unseen);
        // Whatever the probabilities: the distance says that they mean nothing.
        assert_eq!(judge(SETTINGS, far(0.5, 1.01)), unseen);
        assert_eq!(judge(SETTINGS, far(0.9, f32::NAN)), Verdict::Unknown(Unknown::Failed));
        assert_eq!(judge(DecisionSettings { max_distance: 1.5, ..SETTINGS }, far(0.9, 1.4)), OPEN);
        let unmeasured = Classification { distance: None, ..p(0.9) };
        assert_eq!(judge(SETTINGS, unmeasured), OPEN);
        let mut decision = Decision::new(SETTINGS, at(0));
        let changes = (0..3).filter_map(|second| decision.attempt(at(second), &far(0.9, 2.0), None).1);
        assert_eq!(changes.map(|change| change.to).collect::<Vec<_>>(), [unseen]);
    }

    #[test]
    fn stale_once_and_back_only_by_new_evidence() {
        let mut decision = Decision::new(SETTINGS, at(0));
        for second in 0..3 {
            decision.frame(at(second));
            decision.attempt(at(second), &p(0.9), None);
        }
        assert_eq!(decision.published(), OPEN);
        assert!(!decision.pending());
        assert_eq!(decision.pass(at(16), None), None);
        let change = decision.pass(at(17), None).expect("15 s after the frame of second 2");
        let stale = Verdict::Unknown(Unknown::Stale);
        assert_eq!((change.from, change.to, change.sequence), (OPEN, stale, 2));
        assert_eq!(decision.pass(at(40), None), None);
        assert!(decision.pending());
        decision.frame(at(41));
        for second in 41..43 {
            assert_eq!(decision.attempt(at(second), &p(0.9), None).1, None);
        }
        assert_eq!(decision.attempt(at(43), &p(0.9), None).1.map(|c| c.to), Some(OPEN));
    }

    #[test]
    fn what_is_wrong_with_the_picture_is_verified_and_beats_the_model() {
        let fault = |fault| move |second| (second, fault);
        let mut decision = Decision::new(SETTINGS, at(0));
        let mut changes = Vec::new();
        let good = (0..3).map(fault(None));
        let blip = (3..5).map(fault(Some(Unknown::Moved)));
        let again = (5..7).map(fault(None));
        let moved = (7..10).map(fault(Some(Unknown::Moved)));
        for (second, fault) in good.chain(blip).chain(again).chain(moved) {
            let (_, change) = decision.attempt(at(second), &p(0.9), fault);
            changes.extend(change.map(|change| (second, change.to)));
        }
        assert_eq!(changes, [(2, OPEN), (9, Verdict::Unknown(Unknown::Moved))]);
        assert!(!decision.pending());
    }

    #[test]
    fn the_first_reason_of_several_is_given() {
        let mut decision = Decision::new(SETTINGS, at(0));
        let mut vote = |of, fault| decision.attempt(at(0), &of, fault).0.verdict.unknown().map(Unknown::name);
        assert_eq!(vote(p(0.9), Some(Unknown::Dark)), Some("dark"));
        assert_eq!(vote(far(0.5, 2.0), Some(Unknown::Moved)), Some("moved"));
        assert_eq!(vote(p(f32::NAN), Some(Unknown::Dark)), Some("failed"));
        assert_eq!(vote(far(0.5, 2.0), None), Some("unseen"));
        assert_eq!(vote(p(0.9), None), None);
        let change = decision.pass(at(20), Some(Unknown::Frozen));
        assert_eq!(change.map(|change| change.to), Some(Verdict::Unknown(Unknown::Stale)));
    }

    #[test]
    fn a_fault_of_the_stream_is_published_at_once_and_what_came_before_it_does_not_count() {
        let mut decision = Decision::new(SETTINGS, at(0));
        for second in 0..3 {
            decision.attempt(at(second), &p(0.9), None);
        }
        let frozen = Verdict::Unknown(Unknown::Frozen);
        let change = decision.pass(at(3), Some(Unknown::Frozen)).expect("a change");
        assert_eq!((change.from, change.to), (OPEN, frozen));
        assert_eq!(decision.pass(at(4), Some(Unknown::Frozen)), None);
        assert_eq!(decision.pass(at(5), None), None);
        assert!(decision.pending());
        let changes =
            (5..9).filter_map(|second| Some((second, decision.attempt(at(second), &p(0.9), None).1?.to)));
        assert_eq!(changes.collect::<Vec<_>>(), [(7, OPEN)]);
    }

    #[test]
    fn a_row_that_starts_over_needs_all_its_attempts_again() {
        let mut decision = Decision::new(SETTINGS, at(0));
        decision.attempt(at(0), &p(0.9), None);
        decision.attempt(at(1), &p(0.9), None);
        decision.start_over();
        let changes =
            (2..6).filter_map(|second| Some((second, decision.attempt(at(second), &p(0.9), None).1?.to)));
        assert_eq!(changes.collect::<Vec<_>>(), [(4, OPEN)]);
    }

    #[test]
    fn a_camera_that_never_comes_is_stale_too() {
        let mut decision = Decision::new(SETTINGS, at(0));
        assert_eq!(decision.pass(at(14), None), None);
        assert!(decision.pass(at(15), None).is_some());
    }

    #[test]
    fn votes_tell_how_far_verification_is() {
        let mut decision = Decision::new(SETTINGS, at(0));
        let agreeing = [0.9, 0.9, 0.2, 0.5].map(|first| decision.attempt(at(0), &p(first), None).0.agreeing);
        assert_eq!(agreeing, [1, 2, 1, 1]);
        assert!(decision.pending());
    }

    #[test]
    fn time_that_runs_back_is_harmless() {
        let mut decision = Decision::new(SETTINGS, at(10));
        decision.frame(at(0));
        assert_eq!(decision.pass(at(0), None), None);
        assert_eq!(decision.pass(at(24), None), None);
        assert!(decision.pass(Instant::MAX, None).is_some());
    }
}
