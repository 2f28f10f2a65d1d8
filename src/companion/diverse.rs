//! The most different of many pictures: what a person is asked about first.
//!
//! One after the other, the picture is taken that is farthest from all taken before (Gonzalez 1985). Far in what the
//! engine sees, in the day, and in the hour: pictures of one sunny afternoon teach nothing of the night.

use super::moment::Moment;
use std::f64::consts::TAU;

/// What days and hours weigh beside what the engine sees, whose squared distances are at most 2.
const DAY_WEIGHT: f64 = 0.25;
const HOUR_WEIGHT: f64 = 0.125;
const DAY: Moment = 24 * 3600;

/// One that may be taken.
pub struct Candidate {
    /// Of length 1.
    pub features: Vec<f32>,
    pub moment: Option<Moment>,
}

/// A candidate as a point: what it looks like, and when it was.
struct Point<'a> {
    features: &'a [f32],
    /// The day as a share of all days, and the hour on a circle.
    time: Option<[f64; 3]>,
}

impl Point<'_> {
    fn squared_distance(&self, other: &Point) -> f64 {
        let seen: f32 = self.features.iter().zip(other.features).map(|(a, b)| (a - b).powi(2)).sum();
        let when = self.time.zip(other.time).map_or(0.0, |(a, b)| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            squares.zip([DAY_WEIGHT, HOUR_WEIGHT, HOUR_WEIGHT]).map(|(square, weight)| square * weight).sum()
        });
        f64::from(seen) + when
    }
}

/// Indices of at most `count` candidates, in the order in which they were taken. `known`: those taken before.
pub fn most_different(known: &[Candidate], candidates: &[Candidate], count: usize) -> Vec<usize> {
    let points = points(known, candidates);
    let (known, points) = points.split_at(known.len());
    let mut taken = Vec::new();
    let mut away: Vec<f64> = points
        .iter()
        .map(|point| known.iter().map(|known| point.squared_distance(known)).fold(f64::INFINITY, f64::min))
        .collect();
    while taken.len() < count.min(points.len()) {
        let open = (0..points.len()).filter(|i| !taken.contains(i));
        let farthest = open.max_by(|&a, &b| away[a].total_cmp(&away[b]).then(b.cmp(&a)));
        // First the most ordinary one: an outlier tells least of what the others look like.
        let first = taken.is_empty() && known.is_empty();
        let Some(next) = (if first { most_ordinary(candidates) } else { farthest }) else { break };
        taken.push(next);
        for (away, point) in away.iter_mut().zip(points) {
            *away = away.min(point.squared_distance(&points[next]));
        }
    }
    taken
}

fn points<'a>(known: &'a [Candidate], candidates: &'a [Candidate]) -> Vec<Point<'a>> {
    let all = || known.iter().chain(candidates);
    let moments = || all().filter_map(|one| one.moment);
    let (first, last) = (moments().min().unwrap_or(0), moments().max().unwrap_or(0));
    let span = (last - first).max(DAY) as f64;
    let time = |moment: Moment| {
        let hour = TAU * moment.rem_euclid(DAY) as f64 / DAY as f64;
        [(moment - first) as f64 / span, hour.sin(), hour.cos()]
    };
    all().map(|one| Point { features: &one.features, time: one.moment.map(time) }).collect()
}

fn most_ordinary(candidates: &[Candidate]) -> Option<usize> {
    let width = candidates.first()?.features.len();
    let mut mean = vec![0.0f32; width];
    for candidate in candidates {
        mean.iter_mut().zip(&candidate.features).for_each(|(mean, x)| *mean += x / candidates.len() as f32);
    }
    let away = |one: &Candidate| one.features.iter().zip(&mean).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    (0..candidates.len()).min_by(|&a, &b| away(&candidates[a]).total_cmp(&away(&candidates[b])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn candidate(features: [f32; 2], moment: Option<Moment>) -> Candidate {
        Candidate { features: features.to_vec(), moment }
    }

    #[test]
    fn what_looks_alike_is_asked_about_once() {
        let mut all: Vec<Candidate> = (0..50).map(|_| candidate([1.0, 0.0], None)).collect();
        all.push(candidate([0.0, 1.0], None));
        assert_eq!(most_different(&[], &all, 2), [0, 50]);
        assert_eq!(most_different(&[], &all, 100).len(), 51);
        assert_eq!(most_different(&[], &[], 5), Vec::<usize>::new());
        // What is known already is not asked about again.
        assert_eq!(most_different(&[candidate([0.0, 1.0], None)], &all, 1), [0]);
    }

    /// 60 days of the same view, one picture an hour, the newest first as a recorder lists them.
    #[test]
    fn sixty_days_are_spanned_with_all_their_hours() {
        let hours = 60 * 24;
        let all: Vec<Candidate> =
            (0..hours).rev().map(|hour| candidate([1.0, 0.0], Some(1_700_006_400 + hour * 3600))).collect();
        let taken = most_different(&[], &all, 24);
        let moments = || taken.iter().map(|&i| all[i].moment.unwrap() - 1_700_006_400);
        let thirds: BTreeSet<i64> = moments().map(|at| at / DAY / 20).collect();
        assert_eq!(thirds, BTreeSet::from([0, 1, 2]));
        let quarters: BTreeSet<i64> = moments().map(|at| at % DAY / 3600 / 6).collect();
        assert_eq!(quarters, BTreeSet::from([0, 1, 2, 3]));
    }
}
