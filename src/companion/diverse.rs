//! The most different of many pictures: what a person is asked about first.
//!
//! One after the other, the picture is taken that is farthest from all taken before (Gonzalez 1985) in what the engine
//! sees and in the day, and whose hour has fewest. Each counts for itself, as together they would be spread over the
//! corners: many hours of the first and the last day, and none in between.

use super::moment::Moment;

/// What a day that is away by the whole span, and an hour that has none yet, weigh beside what the engine sees, whose
/// squared distances are at most 2.
const DAY_WEIGHT: f64 = 0.5;
const HOUR_WEIGHT: f64 = 0.25;
const DAY: Moment = 24 * 3600;
/// Pictures so near in the time of day are of the same hour.
const SAME_HOUR: Moment = 2 * 3600;

/// One that may be taken.
pub struct Candidate {
    /// Of length 1.
    pub features: Vec<f32>,
    pub moment: Option<Moment>,
}

/// A candidate as a point: what it looks like, and when it was.
struct Point<'a> {
    features: &'a [f32],
    time: Option<Time>,
}

#[derive(Clone, Copy)]
struct Time {
    /// As a share of all days.
    day: f64,
    /// Seconds since midnight.
    hour: Moment,
}

/// How far a point is from those that are taken.
#[derive(Clone, Copy)]
struct Away {
    /// Squared, from the nearest.
    looks: f64,
    /// As a share of all days, from the nearest.
    days: f64,
    /// How many are of the same hour.
    same_hour: u32,
}

impl Away {
    const NOBODY: Away = Away { looks: f64::INFINITY, days: f64::INFINITY, same_hour: 0 };

    /// When one more is taken.
    fn taking(self, point: &Point, taken: &Point) -> Away {
        let looks: f32 = point.features.iter().zip(taken.features).map(|(a, b)| (a - b).powi(2)).sum();
        let (days, same_hour) = point.time.zip(taken.time).map_or((0.0, true), |(a, b)| {
            let hours = (a.hour - b.hour).abs();
            ((a.day - b.day).abs(), hours.min(DAY - hours) <= SAME_HOUR)
        });
        Away {
            looks: self.looks.min(looks.into()),
            days: self.days.min(days),
            same_hour: self.same_hour + u32::from(same_hour),
        }
    }

    fn total(self) -> f64 {
        self.looks + DAY_WEIGHT * self.days + HOUR_WEIGHT / f64::from(1 + self.same_hour)
    }
}

/// Indices of at most `count` candidates, in the order in which they were taken. `known`: those taken before.
pub fn most_different(known: &[Candidate], candidates: &[Candidate], count: usize) -> Vec<usize> {
    let points = points(known, candidates);
    let (known, points) = points.split_at(known.len());
    let mut taken = Vec::new();
    let from_known = |point| known.iter().fold(Away::NOBODY, |away, known| away.taking(point, known));
    let mut away: Vec<Away> = points.iter().map(from_known).collect();
    while taken.len() < count.min(points.len()) {
        let open = (0..points.len()).filter(|i| !taken.contains(i));
        let farthest = open.max_by(|&a, &b| away[a].total().total_cmp(&away[b].total()).then(b.cmp(&a)));
        // First the most ordinary one: an outlier tells least of what the others look like.
        let first = taken.is_empty() && known.is_empty();
        let Some(next) = (if first { most_ordinary(candidates) } else { farthest }) else { break };
        taken.push(next);
        for (away, point) in away.iter_mut().zip(points) {
            *away = away.taking(point, &points[next]);
        }
    }
    taken
}

fn points<'a>(known: &'a [Candidate], candidates: &'a [Candidate]) -> Vec<Point<'a>> {
    let all = || known.iter().chain(candidates);
    let moments = || all().filter_map(|one| one.moment);
    let (first, last) = (moments().min().unwrap_or(0), moments().max().unwrap_or(0));
    let span = (last - first).max(DAY) as f64;
    let time = |moment: Moment| Time { day: (moment - first) as f64 / span, hour: moment.rem_euclid(DAY) };
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
        let each = |parts: i64| (0..parts).collect::<BTreeSet<i64>>();
        // A picture of every week, and of every third hour.
        assert_eq!(moments().map(|at| (at / DAY / 7).min(7)).collect::<BTreeSet<i64>>(), each(8));
        assert_eq!(moments().map(|at| at % DAY / 3600 / 3).collect::<BTreeSet<i64>>(), each(8));
    }
}
