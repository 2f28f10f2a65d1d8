//! The sampler: which attempts' pictures are worth keeping. Plain data, time passed in.
//!
//! A picture can teach a model something where it was not sure, or where something changed. A scene that stays so gives a few
//! and then one now and then.

use crate::watch::decision::{MAX_STATES, Verdict, Vote};
use crate::watch::gate::Reason;
use embassy_time::{Duration, Instant};

/// Pictures that attempts with the same vote may give in a row.
const BURST: u32 = 6;
/// And one more each time that this has passed.
const REFILL: Duration = Duration::from_secs(600);

/// Whether what an attempt says is what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    Same,
    Differs,
}

/// What one watch may still give, for each vote; the last is `unknown`.
pub struct Sampler {
    votes: [Bucket; MAX_STATES + 1],
}

#[derive(Clone, Copy)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Default for Sampler {
    fn default() -> Self {
        Sampler { votes: [Bucket { left: BURST, since: Instant::MIN }; MAX_STATES + 1] }
    }
}

impl Sampler {
    /// Whether the attempt's picture is to be kept.
    pub fn takes(&mut self, now: Instant, reason: Reason, vote: &Vote, agreement: Agreement) -> bool {
        let unsure = matches!(vote.verdict, Verdict::Unknown(_));
        let telling = matches!(reason, Reason::Start | Reason::Verification)
            || agreement == Agreement::Differs
            || unsure;
        let index = match vote.verdict {
            Verdict::State(state) => usize::from(state).min(MAX_STATES),
            Verdict::Unknown(_) => MAX_STATES,
        };
        telling && self.votes[index].take(now)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let refills = now.saturating_duration_since(self.since).as_ticks() / REFILL.as_ticks();
        if refills > 0 {
            self.left = (u64::from(self.left) + refills).min(u64::from(BURST)) as u32;
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::decision::Unknown;

    const AMBIGUOUS: Verdict = Verdict::Unknown(Unknown::Ambiguous);
    const OPEN: Verdict = Verdict::State(0);

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(100_000 + seconds)
    }

    fn takes(
        sampler: &mut Sampler,
        now: Instant,
        reason: Reason,
        verdict: Verdict,
        agreement: Agreement,
    ) -> bool {
        sampler.takes(now, reason, &Vote { verdict, probability: 0.5, agreeing: 1 }, agreement)
    }

    #[test]
    fn what_is_sure_and_published_already_teaches_nothing() {
        let mut sampler = Sampler::default();
        let mut take = |reason, verdict, agreement| takes(&mut sampler, at(0), reason, verdict, agreement);
        assert!(!take(Reason::Interval, OPEN, Agreement::Same));
        assert!(!take(Reason::Motion, OPEN, Agreement::Same));
        assert!(take(Reason::Start, OPEN, Agreement::Same));
        assert!(take(Reason::Verification, OPEN, Agreement::Same));
        assert!(take(Reason::Interval, OPEN, Agreement::Differs));
        assert!(take(Reason::Interval, AMBIGUOUS, Agreement::Same));
    }

    #[test]
    fn an_ambiguous_scene_gives_few_and_leaves_the_other_votes_theirs() {
        let mut sampler = Sampler::default();
        // Ten minutes of a look each second.
        let taken = (0..600)
            .filter(|n| takes(&mut sampler, at(*n), Reason::Motion, AMBIGUOUS, Agreement::Same))
            .count();
        assert_eq!(taken, BURST as usize);
        assert!(takes(&mut sampler, at(600), Reason::Motion, OPEN, Agreement::Differs));
        let day = (600..86_400)
            .filter(|n| takes(&mut sampler, at(*n), Reason::Motion, AMBIGUOUS, Agreement::Same))
            .count();
        assert!((140..=150).contains(&day), "{day}");
    }

    #[test]
    fn after_a_calm_time_there_are_as_many_as_at_first() {
        let mut sampler = Sampler::default();
        for start in [0, 50_000] {
            let taken = (start..start + 60)
                .filter(|n| takes(&mut sampler, at(*n), Reason::Motion, AMBIGUOUS, Agreement::Same))
                .count();
            assert_eq!(taken, BURST as usize);
        }
    }
}
