//! Groups: which pictures are too alike to count as several, and which are tested together.
//!
//! Neighbours in time look alike. If one is trained on and the other tested with, the test says nothing about other
//! days. So pictures of one burst stay together, and each fold is a stretch of time of each state.

use super::moment::Moment;
use super::ridge::Kernel;

/// Pictures within so many seconds of the first one are of one burst.
const BURST: Moment = 600;
/// Squared distance of two pictures' features, relative to that of a picture and its own looks, below which they
/// are taken for one: what noise of the sensor and of int8 makes of one picture.
const NEAR: f64 = 0.1;
const MAX_FOLDS: usize = 10;

/// What the pictures of one dataset are put together by.
pub struct Groups {
    /// Of each picture: 1 over the pictures of its state that are nearly the same, itself included.
    pub weights: Vec<f64>,
    /// Pictures that are nearly the same as an earlier one of their state.
    pub near_duplicates: usize,
    /// Of each picture: its burst; by near-duplicates where times are not known.
    pub bursts: Vec<usize>,
    /// Of each picture; none where a state has fewer than two pictures.
    pub folds: Option<Vec<usize>>,
}

impl Groups {
    /// `labels`: the state of each picture, in the order of their names. `scale`: squared distance below which two
    /// pictures of the kernel may be looks of one.
    pub fn new(kernel: &Kernel, labels: &[usize], moments: &[Option<Moment>], scale: f64) -> Groups {
        let clusters = clusters(labels, |i, j| kernel.squared_distance(i, j) <= NEAR * scale);
        let mut sizes = vec![0usize; labels.len()];
        clusters.iter().for_each(|&cluster| sizes[cluster] += 1);
        let bursts = bursts(labels, moments, &clusters);
        Groups {
            weights: clusters.iter().map(|&cluster| 1.0 / sizes[cluster] as f64).collect(),
            near_duplicates: labels.len() - sizes.iter().filter(|&&size| size > 0).count(),
            folds: folds(labels, moments, &bursts),
            bursts,
        }
    }
}

/// Each picture's cluster, named by its first picture: it joins the first earlier leader of its state that it is
/// near to.
fn clusters(labels: &[usize], near: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut leaders: Vec<usize> = Vec::new();
    let mut cluster = |i: usize| {
        if let Some(&leader) = leaders.iter().find(|&&leader| labels[leader] == labels[i] && near(leader, i))
        {
            return leader;
        }
        leaders.push(i);
        i
    };
    (0..labels.len()).map(&mut cluster).collect()
}

/// Pictures of one state within [`BURST`] of the first of them; a picture without a time goes with its cluster, and
/// with the burst of one of that which has a time.
pub fn bursts(labels: &[usize], moments: &[Option<Moment>], clusters: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).filter(|&i| moments[i].is_some()).collect();
    order.sort_by_key(|&i| (labels[i], moments[i], i));
    let mut bursts = clusters.to_vec();
    let mut first: Option<usize> = None;
    for i in order {
        let of_burst = |first: usize| {
            labels[first] == labels[i]
                && moments[i].zip(moments[first]).is_some_and(|(this, first)| this - first < BURST)
        };
        let leader = *first.get_or_insert(i);
        let leader = if of_burst(leader) { leader } else { i };
        first = Some(leader);
        bursts[i] = leader;
    }
    for i in (0..labels.len()).filter(|&i| moments[i].is_none()) {
        let twin = (0..labels.len()).find(|&j| moments[j].is_some() && clusters[j] == clusters[i]);
        bursts[i] = twin.map_or(clusters[i], |twin| bursts[twin]);
    }
    bursts
}

/// Each state's bursts in order of time (or name) are cut into equally long stretches. Where a state has one burst
/// only, its pictures are cut one by one: better a test that flatters than none.
fn folds(labels: &[usize], moments: &[Option<Moment>], bursts: &[usize]) -> Option<Vec<usize>> {
    let states = labels.iter().max()? + 1;
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&i| (labels[i], moments[i].unwrap_or(Moment::MAX), i));
    let of_state = |state: usize| order.iter().copied().filter(move |&i| labels[i] == state);
    // The pictures of each state, burst by burst.
    let mut runs: Vec<Vec<Vec<usize>>> = Vec::new();
    for state in 0..states {
        let mut by_burst: Vec<Vec<usize>> = Vec::new();
        for i in of_state(state) {
            match by_burst.iter_mut().find(|burst| bursts[burst[0]] == bursts[i]) {
                Some(burst) => burst.push(i),
                None => by_burst.push(vec![i]),
            }
        }
        if by_burst.len() < 2 {
            by_burst = of_state(state).map(|i| vec![i]).collect();
        }
        runs.push(by_burst);
    }
    let count = runs.iter().map(Vec::len).min()?.min(MAX_FOLDS);
    if count < 2 {
        return None;
    }
    let mut folds = vec![0; labels.len()];
    for by_burst in &runs {
        let total: usize = by_burst.iter().map(Vec::len).sum();
        let mut seen = 0;
        for burst in by_burst {
            // By the burst's middle: the first and the last burst never share a fold.
            let fold = (2 * seen + burst.len()) * count / (2 * total);
            burst.iter().for_each(|&i| folds[i] = fold.min(count - 1));
            seen += burst.len();
        }
    }
    Some(folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_pictures_of_one_state_are_one_cluster() {
        let places = [0.0f64, 0.1, 5.0, 0.05, 5.1];
        let near = |i: usize, j: usize| (places[i] - places[j]).abs() < 0.5;
        assert_eq!(clusters(&[0, 0, 0, 1, 0], near), [0, 0, 2, 3, 2]);
    }

    #[test]
    fn a_burst_is_ten_minutes_of_one_state() {
        let labels = [0, 0, 0, 1, 0];
        let moments = [Some(0), Some(599), Some(600), Some(10), None];
        assert_eq!(bursts(&labels, &moments, &[0, 1, 2, 3, 4]), [0, 0, 2, 3, 4]);
        // A copy of the picture of second 600 that has lost its time, named before it or after.
        assert_eq!(bursts(&labels, &moments, &[0, 1, 2, 3, 2]), [0, 0, 2, 3, 2]);
        assert_eq!(bursts(&[0; 3], &[None, Some(5), Some(900)], &[0, 1, 0]), [2, 1, 2]);
    }

    #[test]
    fn folds_are_stretches_of_time_of_each_state() {
        let labels = [0, 0, 0, 0, 1, 1, 1, 1];
        // Names not in order of time.
        let times = [30, 10, 20, 0, 0, 10, 20, 30].map(|hours| Some(hours * 3600));
        let bursts: Vec<usize> = (0..8).collect();
        assert_eq!(folds(&labels, &times, &bursts), Some(vec![3, 1, 2, 0, 0, 1, 2, 3]));
    }

    #[test]
    fn a_burst_is_never_torn_and_no_fold_has_all_of_a_state() {
        // One state has a burst of 98 and two single pictures.
        let labels = [vec![0; 100], vec![1; 10]].concat();
        let mut bursts: Vec<usize> = (0..110).collect();
        bursts[1..99].fill(1);
        let folds = folds(&labels, &[None; 110], &bursts).unwrap();
        assert!(folds[1..99].iter().all(|&fold| fold == folds[1]));
        assert_ne!(folds[0], folds[99]);
        let of_second: std::collections::BTreeSet<_> = folds[100..].iter().collect();
        assert!(of_second.len() > 1);
    }

    #[test]
    fn one_burst_of_a_state_is_cut_picture_by_picture() {
        assert_eq!(folds(&[0, 0, 1, 1], &[None; 4], &[0, 0, 2, 2]), Some(vec![0, 1, 0, 1]));
        assert_eq!(folds(&[0, 0, 1], &[None; 3], &[0, 1, 2]), None);
    }
}
