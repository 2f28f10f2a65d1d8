//! What the view says of real pictures and of real pictures replayed as a fault would show them. Prints its figures:
//!
//!     cargo test --test view -- --nocapture figures

use ajar::board::Board;
use ajar::camera::{Capture, Pacing, Reader, Source};
use ajar::companion::picture;
use ajar::config::Codec;
use ajar::watch::Watch;
use ajar::watch::crop::{CropBuffer, Region};
use ajar::watch::decision::{Classification, DecisionSettings, NO_DWELL, Probabilities, Unknown, Verdict};
use ajar::watch::frame::{Chroma, Colour, Frame, Plane};
use ajar::watch::gate::GateSettings;
use ajar::watch::motion::MotionSettings;
use ajar::watch::thumbnail::Thumbnail;
use ajar::watch::view::edges::Edges;
use ajar::watch::view::light::{Light, Lighting};
use ajar::watch::view::place::{Ground, Place, place};
use ajar::watch::view::{Sight, View, ViewSettings};
use embassy_time::{Duration, Instant};
use image::{GrayImage, imageops};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A path in the shared data; prints why not if there is none.
fn shared(relative: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(relative);
    if !path.exists() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}

/// The pictures of a directory and of those below it, in the order of their names, with their file's name.
fn pictures(directory: &Path) -> Vec<(String, GrayImage)> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { directories.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let read = |path: PathBuf| {
        let rgb = picture::decode(&fs::read(&path).expect("a file")).ok()?;
        Some((name(&path), image::DynamicImage::from(rgb).into_luma8()))
    };
    paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "jpg")).filter_map(read).collect()
}

/// The picture as a frame without colour.
fn with_frame<T>(picture: &GrayImage, arrival: Instant, then: impl FnOnce(&Frame) -> T) -> T {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let grey = vec![128; width.div_ceil(2) * height.div_ceil(2)];
    let plane = Plane { bytes: &grey, stride: width.div_ceil(2) };
    then(&Frame {
        width,
        height,
        luma: Plane { bytes: picture.as_raw(), stride: width },
        chroma: Chroma::Planar { u: plane, v: plane },
        colour: Colour::JPEG,
        arrival,
    })
}

fn thumbnail(picture: &GrayImage) -> Thumbnail {
    let mut thumbnail = Thumbnail::default();
    with_frame(picture, Instant::MIN, |frame| thumbnail.take(frame));
    thumbnail
}

fn edges(picture: &GrayImage) -> Edges {
    let mut edges = Edges::default();
    edges.take(&thumbnail(picture));
    edges
}

fn middle() -> Region {
    Region::new([0.35, 0.4, 0.55, 0.7]).expect("a region")
}

fn ground(picture: &GrayImage, crop: Region) -> Ground {
    Ground::new(crop, picture.width() as f32 / picture.height() as f32)
}

/// As small as one of many places in a car park.
fn spot() -> Region {
    Region::new([0.4, 0.45, 0.45, 0.52]).expect("a region")
}

/// A look at the middle of a picture by a view that knows this reference.
fn look(view: &mut View, picture: &GrayImage, crop: Region) -> Option<Unknown> {
    let mut buffer = Box::<CropBuffer>::default();
    with_frame(picture, Instant::MIN, |frame| {
        buffer.copy_from(frame, crop.pixels(frame.width, frame.height).expect("a crop"));
    });
    view.look(&buffer, &thumbnail(picture))
}

fn view(crop: Region) -> View {
    View::new(ViewSettings { crop, aspect: None, frozen_after: Duration::MIN, ignore: Default::default() })
}

type Counts = BTreeMap<&'static str, usize>;

fn count(counts: &mut Counts, found: Option<Unknown>) {
    *counts.entry(found.map_or("nothing", Unknown::name)).or_default() += 1;
}

/// Every picture of a camera that stays where it is, beside references of its first day.
#[test]
fn figures_of_a_camera_that_is_not_moved() {
    for (name, day, every) in
        [("roofcam_timeline_full_frames", "snapshot-2017-08-14", 9), ("pklot_full_frames", "2013-02-22", 1)]
    {
        let Some(directory) = shared(name) else { return };
        let pictures = pictures(&directory);
        let all: Vec<Edges> = pictures.iter().map(|(_, picture)| edges(picture)).collect();
        let grounds = [middle(), spot()].map(|crop| ground(&pictures[0].1, crop));
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let references =
            pictures.iter().zip(&all).filter(|((name, _), _)| name.starts_with(day)).step_by(every);
        let mut count = 0;
        for (_, reference) in references {
            count += 1;
            for (picture, ground) in all.iter().flat_map(|picture| grounds.iter().map(move |g| (picture, g)))
            {
                *places.entry(format!("{:?}", place(reference, picture, ground))).or_default() += 1;
            }
        }
        println!(
            "{name}: {} pictures beside {count} references of the first day, for two crops: {places:?}",
            all.len()
        );
        assert_eq!(places.get("Elsewhere"), None, "false alarms");
        assert!(places["Home"] > places.get("Untold").copied().unwrap_or_default());
        // The same by whole looks, with the first reference that was taken by day.
        let mut counts = Counts::new();
        let mut view = view(middle());
        view.refer_to(&thumbnail(&pictures[4].1));
        for (_, picture) in &pictures {
            self::count(&mut counts, look(&mut view, picture, middle()));
        }
        println!("{name}: looks: {counts:?}");
        assert_eq!(counts.get("nothing"), Some(&pictures.len()));
    }
}

/// Labelled crops, each taken for a whole frame with nothing around it: harder than any real one.
#[test]
fn figures_of_labelled_crops() {
    let Some(sets) = shared("sets") else { return };
    let mut directories: Vec<PathBuf> =
        fs::read_dir(sets).expect("sets").map(|entry| entry.expect("a set").path()).collect();
    directories.sort();
    for directory in directories {
        let mut counts = Counts::new();
        let mut view = view(Region::FULL);
        for (_, picture) in pictures(&directory) {
            count(&mut counts, look(&mut view, &picture, Region::FULL));
        }
        println!("{}: {counts:?}", directory.file_name().unwrap_or_default().to_string_lossy());
        assert_eq!(counts.keys().collect::<Vec<_>>(), [&"nothing"]);
    }
}

/// Streams of cameras that work, each frame of them.
#[test]
fn figures_of_videos() {
    let Some(videos) = shared("videos") else { return };
    let decoder = Board::named("generic-x86-64").expect("a board").decoder;
    for name in ["car-detection.mp4", "one-by-one-person-detection.mp4", "opencv_vtest_480x360_h264.avi"] {
        let source = Source::File(videos.join(name));
        let capture = Capture::build(&source, Codec::H264, &decoder, Pacing::EveryFrame).expect("a pipeline");
        capture.play().expect("a playing pipeline");
        let settings = ViewSettings {
            crop: middle(),
            aspect: None,
            frozen_after: Duration::from_secs(1),
            ignore: Default::default(),
        };
        let (mut view, mut reader, mut counts) =
            (Box::new(View::new(settings)), Reader::default(), Counts::new());
        let (mut buffer, mut small) = (Box::<CropBuffer>::default(), Box::<Thumbnail>::default());
        let mut frames = 0u64;
        while let Ok(sample) = capture.frames.pull_sample() {
            let arrival = Instant::from_millis(1_000_000 + 80 * frames);
            let read = reader.read(&sample, arrival, |frame| {
                buffer.copy_from(frame, middle().pixels(frame.width, frame.height).expect("a crop"));
                small.take(frame);
            });
            read.expect("a frame");
            if frames == 0 {
                view.refer_to(&small);
            }
            let seen = match view.see(&buffer, &small) {
                Sight::Clear if frames.is_multiple_of(10) => {
                    view.look(&buffer, &small).map_or("nothing", Unknown::name)
                }
                Sight::Clear => "clear",
                Sight::Unsettled => "unsettled",
                Sight::Unusable => "unusable",
                Sight::Blind(why) => why.name(),
            };
            *counts.entry(seen).or_default() += 1;
            frames += 1;
        }
        println!("{name}: {frames} frames: {counts:?}");
        assert!(frames > 50 && counts.keys().all(|seen| ["clear", "nothing"].contains(seen)), "{counts:?}");
    }
}

/// The picture as a camera sees it that was moved: shifted by parts of the frame, turned by degrees, nearer. It shows
/// two thirds of the picture, so that there is something to come in.
fn moved(picture: &GrayImage, (dx, dy): (f32, f32), degrees: f32, zoom: f32) -> GrayImage {
    const PART: f32 = 0.65;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let (sin, cos) = degrees.to_radians().sin_cos();
    GrayImage::from_fn((width * PART) as u32, (height * PART) as u32, |x, y| {
        let (x, y) = (x as f32 - width * PART / 2.0, y as f32 - height * PART / 2.0);
        let at_x = width * (0.5 + dx * PART) + (x * cos - y * sin) / zoom;
        let at_y = height * (0.5 + dy * PART) + (x * sin + y * cos) / zoom;
        *picture.get_pixel(at_x.clamp(0.0, width - 1.0) as u32, at_y.clamp(0.0, height - 1.0) as u32)
    })
}

/// Real pictures of one place at two times, the second replayed as from a camera that was moved.
#[test]
fn figures_of_a_camera_that_is_moved() {
    let Some(roof) = shared("roofcam_timeline_full_frames") else { return };
    let Some(lot) = shared("pklot_full_frames") else { return };
    let (roof, lot) = (pictures(&roof), pictures(&lot));
    let pairs: Vec<_> = [(10, 12), (10, 60), (30, 70), (10, 130), (60, 150), (40, 200)]
        .map(|(a, b)| (&roof[a].1, &roof[b].1))
        .into_iter()
        .chain([(0, 3), (0, 12), (10, 11), (2, 23), (5, 19), (12, 24)].map(|(a, b)| (&lot[a].1, &lot[b].1)))
        .collect();
    let caught = |what: String, crop: Region, (dx, dy): (f32, f32), degrees: f32, zoom: f32, least: usize| {
        let one = |(reference, picture): &&(&GrayImage, &GrayImage)| {
            let reference = edges(&moved(reference, (0.0, 0.0), 0.0, 1.0));
            let picture_edges = edges(&moved(picture, (dx, dy), degrees, zoom));
            place(&reference, &picture_edges, &ground(picture, crop)) == Place::Elsewhere
        };
        let count = pairs.iter().filter(one).count();
        println!("moved by {what}: {count} of {} seen", pairs.len());
        assert!(count >= least, "{what}: {count}");
    };
    for (name, crop, sure) in [("a crop of a fifth", middle(), 0.05), ("a small crop", spot(), 0.02)] {
        for by in [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.25] {
            let all = if by >= sure { pairs.len() } else { 0 };
            caught(format!("{by} to the side, {name}"), crop, (by, 0.0), 0.0, 1.0, all);
            caught(format!("{by} down, {name}"), crop, (0.0, by), 0.0, 1.0, all);
        }
    }
    for (degrees, least) in [(3.0, 11), (-5.0, 12), (8.0, 12), (-12.0, 12), (15.0, 12)] {
        caught(format!("{degrees} degrees"), middle(), (0.0, 0.0), degrees, 1.0, least);
    }
    for zoom in [1.05, 1.1, 1.2, 1.4] {
        let all = if zoom >= 1.1 { pairs.len() } else { 0 };
        caught(format!("zoom {zoom}"), middle(), (0.0, 0.0), 0.0, zoom, all);
    }
    // Another scene altogether, both ways, by day.
    let day = |name: &str| ("08".."20").contains(&&name[20..22]);
    let roof: Vec<&GrayImage> =
        roof.iter().filter(|(name, _)| day(name)).map(|(_, picture)| picture).collect();
    let (mut seen, mut all) = (0, 0);
    for (a, b) in roof.iter().step_by(6).flat_map(|a| lot.iter().step_by(3).map(move |(_, b)| (*a, b))) {
        for (reference, picture) in [(a, b), (b, a)] {
            all += 1;
            let found = place(&edges(reference), &edges(picture), &ground(picture, middle()));
            seen += usize::from(found == Place::Elsewhere);
        }
    }
    println!("another scene: {seen} of {all} seen");
    assert_eq!(seen, all);
}

/// Covered, dark and blurred pictures of real scenes.
#[test]
fn figures_of_a_lens_that_is_covered() {
    let Some(roof) = shared("roofcam_timeline_full_frames") else { return };
    let Some(lot) = shared("pklot_full_frames") else { return };
    for (name, pictures) in [("roofcam", pictures(&roof)), ("pklot", pictures(&lot))] {
        let reference = &pictures[4].1;
        let mut view = view(middle());
        view.refer_to(&thumbnail(reference));
        let by_day: Vec<&GrayImage> = pictures.iter().step_by(5).map(|(_, picture)| picture).collect();
        let by_day: Vec<&GrayImage> = by_day
            .into_iter()
            .filter(|picture| {
                place(&edges(reference), &edges(picture), &ground(picture, middle())) == Place::Home
            })
            .collect();
        let mut run = |what: &str, fault: &dyn Fn(&GrayImage) -> GrayImage| {
            let mut counts = Counts::new();
            for picture in &by_day {
                count(&mut counts, look(&mut view, &fault(picture), middle()));
            }
            println!("{name}, {what}: {counts:?}");
            counts
        };
        let map = |picture: &GrayImage, to: &dyn Fn(u8) -> u8| {
            let mut picture = picture.clone();
            picture.pixels_mut().for_each(|pixel| pixel.0[0] = to(pixel.0[0]));
            picture
        };
        let all = Some(&by_day.len());
        assert_eq!(run("black", &|picture| map(picture, &|luma| luma / 16)).get("dark"), all);
        assert_eq!(run("white", &|picture| map(picture, &|luma| 250 + luma / 64)).get("covered"), all);
        assert_eq!(run("grey", &|picture| map(picture, &|luma| 90 + luma / 64)).get("covered"), all);
        for percent in [1.0, 2.0, 3.0, 4.0] {
            let blur = |picture: &GrayImage| {
                // As blurred at a quarter of the size, in a quarter of the time.
                let (width, height) = (picture.width() / 4, picture.height() / 4);
                let small = imageops::thumbnail(picture, width, height);
                imageops::blur(&small, width as f32 * percent / 100.0)
            };
            let counts = run(&format!("blurred by {percent} % of its width"), &blur);
            assert!(percent < 3.0 || counts.get("covered") == all);
        }
    }
}

/// Where the light jumps from one picture to the next one: ten minutes apart, so that day and night are among them.
#[test]
fn figures_of_the_light() {
    let Some(roof) = shared("roofcam_timeline_full_frames") else { return };
    let pictures = pictures(&roof);
    let jump = |a: &GrayImage, b: &GrayImage| {
        let mut lighting = Lighting::default();
        lighting.see(Instant::from_secs(1), &thumbnail(a));
        lighting.see(Instant::from_secs(2), &thumbnail(b)) == Light::Jumped
    };
    let times =
        |from: usize, to: usize| pictures.iter().enumerate().filter(move |(i, _)| (from..to).contains(i));
    let jumps = pictures.windows(2).filter(|pair| jump(&pair[0].1, &pair[1].1)).count();
    println!(
        "roofcam, one picture after the other: {jumps} of {} are jumps of the light",
        pictures.len() - 1
    );
    // From day to night in one step, as infra-red does it.
    let (days, nights): (Vec<_>, Vec<_>) =
        (times(0, 60).step_by(10).collect(), times(95, 125).step_by(6).collect());
    let pairs: Vec<_> =
        days.iter().flat_map(|day| nights.iter().map(move |night| (&day.1.1, &night.1.1))).collect();
    let seen = pairs.iter().filter(|(day, night)| jump(day, night)).count();
    println!("roofcam, from day to night: {seen} of {} are jumps of the light", pairs.len());
    assert!(seen * 2 > pairs.len());
    // A model that is sure of what it sees, by day and by night. The switch comes after each number of its looks.
    let mut earliest = u64::MAX;
    for (day, night) in pairs.iter().filter(|(day, night)| jump(day, night)).step_by(4) {
        for day_frames in [10, 13, 17, 20, 40] {
            earliest = earliest.min(replay(day, night, day_frames));
        }
    }
    println!("roofcam, from day to night: published {earliest} ms after the switch at the earliest");
    // Two seconds to settle, and three looks from then on.
    assert!((3_000..10_000).contains(&earliest));
}

/// Milliseconds from the switch to the change. Ten frames a second.
fn replay(day: &GrayImage, night: &GrayImage, day_frames: u64) -> u64 {
    let start = Instant::from_secs(1000);
    let view = ViewSettings {
        crop: middle(),
        aspect: None,
        frozen_after: Duration::MIN,
        ignore: Default::default(),
    };
    let gate = GateSettings { motion: Some(MotionSettings::DEFAULT), interval: Duration::from_secs(1) };
    let stale_after = Duration::from_secs(15);
    let decision =
        DecisionSettings { threshold: 0.8, max_distance: 1.0, verification: 3, dwell: NO_DWELL, stale_after };
    let mut watch = Box::new(Watch::new(gate, view, decision, start));
    let mut crops = [day, night].map(|picture| (picture, Box::<CropBuffer>::default(), thumbnail(picture)));
    for frame in 0..day_frames + 200 {
        let now = start + Duration::from_millis(100 * frame);
        let by_night = frame >= day_frames;
        let (picture, crop, small) = &mut crops[usize::from(by_night)];
        with_frame(picture, now, |frame| {
            crop.copy_from(frame, middle().pixels(frame.width, frame.height).expect("a crop"));
        });
        let looked = watch.see(now, crop, small).is_some();
        let probabilities = if by_night { [0.05, 0.95] } else { [0.95, 0.05] };
        let probabilities = Probabilities::from_slice(&probabilities).expect("two states");
        let said = Classification { probabilities, distance: None };
        let change = looked.then(|| watch.conclude(now, &said).1).flatten();
        if change.is_some_and(|change| change.to == Verdict::State(1)) {
            return 100 * (frame - day_frames);
        }
    }
    panic!("the night was never published");
}
