//! What tuning found, as one page with everything in it.

use super::report::STYLE;
use super::tune::{Course, Moment, Other, Picture, Stretch};
use crate::watch::gate::Reason;
use crate::watch::motion::{Mark, MotionSettings, Movement, Shown};
use ct_codecs::{Base64, Encoder};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{Rgb, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Stretches of movement that are shown in pictures.
const SHOWN: usize = 40;
/// Size of the plot's drawing area.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 200.0;
/// Bars of the plot at most; frames that share one show their highest.
const BARS: usize = 480;
/// The plot's scale goes from a thousandth of the crop to all of it, a decade at a time.
const LOWEST: f64 = 0.001;
const DECADES: f64 = 3.0;
const CHANGED: Rgb<u8> = Rgb([235, 64, 52]);
const SPECK: Rgb<u8> = Rgb([240, 190, 70]);

/// `name`: of the source, without its password; `toml`: what to write into the configuration.
pub fn page(name: &str, course: &Course, settings: &MotionSettings, toml: &str) -> String {
    let Course { stretches, nearest, size, grid, limit, .. } = course;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Motion in " (name) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                h1 { "Motion in " (name) }
                p {
                    (format!("{:.1}", course.seconds())) " s, " (course.moments.len()) " frames; a crop of "
                    (size.0) " x " (size.1) " pixels in " (grid.0) " x " (grid.1) " cells, of which "
                    strong { (limit) } " must change by more than " strong { (settings.threshold) }
                    " code values to be motion."
                }
                (plot(course, settings))
                section {
                    h2 { "Other thresholds" }
                    (others(&course.others, settings.threshold))
                }
                section {
                    h2 { "What moved" }
                    @if stretches.is_empty() { p { "Nothing." } }
                    @else { p.hint {
                        "The most moving frame of each stretch: the crop, its background in the same light, the difference "
                        "(half bright at the threshold), and the decision: changed cells red, specks that do not count yellow."
                    } }
                    @for stretch in stretches.iter().take(SHOWN) { (moved(stretch, course, settings)) }
                    @if stretches.len() > SHOWN { p.hint { "and " (stretches.len() - SHOWN) " more" } }
                }
                @if let Some(picture) = nearest {
                    section {
                        h2 { "Still, but nearest to motion" }
                        (row(picture, settings, &moment(&picture.moment, course)))
                    }
                }
                section { h2 { "In the configuration" } pre { (toml) } }
            }
        }
    };
    page.into_string()
}

fn moved(stretch: &Stretch, course: &Course, settings: &MotionSettings) -> Markup {
    let Stretch { from, to, picture, strongest } = stretch;
    let when = if from == to { format!("{from:.1} s") } else { format!("{from:.1} to {to:.1} s") };
    let caption = format!("{when}; {}", moment(strongest, course));
    html! {
        @match picture {
            Some(picture) => (row(picture, settings, &caption)),
            None => p { (caption) },
        }
    }
}

fn moment(moment: &Moment, course: &Course) -> String {
    let Moment { seconds, movement, changed, look } = moment;
    let what = match movement {
        Movement::Still => "still",
        Movement::Motion => "motion",
        Movement::Jump => "jump of light or scene",
    };
    let share = 100.0 * *changed as f64 / course.cells() as f64;
    let look = look.map(|why| format!(", looked ({})", why.name())).unwrap_or_default();
    format!("at {seconds:.1} s {what}, {changed} of {} cells ({share:.1} %){look}", course.cells())
}

/// The four pictures of a frame.
fn row(picture: &Picture, settings: &MotionSettings, caption: &str) -> Markup {
    let Picture { crop, columns, cells, .. } = picture;
    let threshold = u32::from(settings.threshold);
    let grey = |value: u8| Rgb([value; 3]);
    let difference = |cell: &Shown| {
        let difference = u32::from(cell.luma.abs_diff(cell.background));
        grey((difference * 128 / threshold).min(255) as u8)
    };
    let decision = |cell: &Shown| match cell.mark {
        Mark::Changed => CHANGED,
        Mark::Speck => SPECK,
        Mark::None => grey(cell.luma / 2),
    };
    let grids = [
        ("background", grid(*columns, cells, |cell| grey(cell.background))),
        ("difference", grid(*columns, cells, difference)),
        ("decision", grid(*columns, cells, decision)),
    ];
    html! {
        figure.row {
            figcaption { (caption) }
            div.pictures {
                (small("crop", jpeg(crop)))
                @for (name, picture) in &grids { (small(name, png(picture))) }
            }
        }
    }
}

fn small(name: &str, source: Option<String>) -> Markup {
    html! {
        figure {
            @if let Some(source) = source { img.cells src=(source) alt=(name) loading="lazy"; }
            figcaption.hint { (name) }
        }
    }
}

/// One pixel a cell; the page enlarges them.
fn grid(columns: usize, cells: &[Shown], colour: impl Fn(&Shown) -> Rgb<u8>) -> RgbImage {
    let rows = cells.len() / columns;
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| colour(&cells[y as usize * columns + x as usize]))
}

fn png(picture: &RgbImage) -> Option<String> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut bytes)).ok()?;
    Some(format!("data:image/png;base64,{}", Base64::encode_to_string(bytes).ok()?))
}

fn jpeg(picture: &RgbImage) -> Option<String> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85)).ok()?;
    Some(format!("data:image/jpeg;base64,{}", Base64::encode_to_string(bytes).ok()?))
}

fn others(others: &[Other], threshold: u8) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "threshold" } th scope="col" { "movements" } th scope="col" { "looks" } } }
            tbody {
                @for other in others {
                    tr class=(if other.threshold == threshold { "set" } else { "" }) {
                        td { (other.threshold) } td { (other.stretches) } td { (other.looks) }
                    }
                }
            }
        }
    }
}

/// Height of a share of the crop on the plot.
fn height(share: f64) -> f64 {
    HEIGHT * ((share / LOWEST).max(1.0).log10() / DECADES)
}

fn plot(course: &Course, settings: &MotionSettings) -> Markup {
    let first = course.moments.first().map_or(0.0, |moment| moment.seconds);
    let scale = WIDTH / course.seconds().max(0.001);
    let per_bar = course.moments.len().div_ceil(BARS);
    let width = (WIDTH * per_bar as f64 / course.moments.len() as f64).max(1.0);
    let x = |moment: &Moment| (moment.seconds - first) * scale;
    let limit = course.limit as f64 / course.cells() as f64;
    let strongest =
        |bar: &&[Moment]| bar.iter().copied().max_by_key(|m| (m.movement != Movement::Still, m.changed));
    let bars = course.moments.chunks(per_bar).filter_map(|bar| strongest(&bar));
    let looks = course.moments.iter().filter_map(|moment| Some((x(moment), moment.look?)));
    html! {
        figure {
            figcaption {
                "Changed cells over time. " span.key.motion { "motion" } span.key.jump { "jump" } span.key.still { "still" }
                span.hint { " Marks below: when a watch would look, because of motion or because of the interval." }
            }
            svg.course viewBox=(format!("-52 -12 {} {}", WIDTH + 64.0, HEIGHT + 56.0)) role="img" aria-label="Changed cells over time" {
                @for (share, label) in [(0.001, "0.1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %")] {
                    line.grid x1="0" x2=(WIDTH) y1=(HEIGHT - height(share)) y2=(HEIGHT - height(share)) {}
                    text x="-6" y=(HEIGHT - height(share) + 4.0) text-anchor="end" { (label) }
                }
                @for moment in bars {
                    @let bar = height(moment.changed as f64 / course.cells() as f64);
                    @if bar > 0.0 || moment.movement != Movement::Still {
                        rect class=(class(moment.movement)) x=(round(x(&moment))) y=(round(HEIGHT - bar.max(2.0)))
                            width=(round(width)) height=(round(bar.max(2.0))) {}
                    }
                }
                @for (share, name) in [(limit, "motion"), (f64::from(settings.lightning_threshold), "jump")] {
                    line.limit x1="0" x2=(WIDTH) y1=(HEIGHT - height(share)) y2=(HEIGHT - height(share)) {}
                    text x=(WIDTH) y=(HEIGHT - height(share) + 12.0) text-anchor="end" { (name) }
                }
                @for (x, why) in looks {
                    line class=(if why == Reason::Motion { "look motion" } else { "look" })
                        x1=(round(x)) x2=(round(x)) y1=(HEIGHT + 6.0) y2=(HEIGHT + 16.0) {}
                }
                @for part in 0..=4 {
                    @let at = f64::from(part) / 4.0;
                    @let anchor = match part { 0 => "start", 4 => "end", _ => "middle" };
                    text x=(WIDTH * at) y=(HEIGHT + 34.0) text-anchor=(anchor) {
                        (format!("{:.0} s", first + at * course.seconds()))
                    }
                }
            }
        }
    }
}

fn class(movement: Movement) -> &'static str {
    match movement {
        Movement::Still => "still",
        Movement::Motion => "motion",
        Movement::Jump => "jump",
    }
}

/// A tenth of a pixel is enough, and keeps the page small.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

const OWN_STYLE: &str = "
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
svg.course { width: 100%; } svg.course rect { shape-rendering: crispEdges; }
svg.course rect.still { fill: var(--hint); } svg.course rect.motion { fill: var(--mark); }
svg.course rect.jump { fill: var(--bad); }
svg.course line.grid { stroke: var(--line); } svg.course line.limit { stroke: var(--fg); stroke-dasharray: 5 4; }
svg.course line.look { stroke: var(--hint); stroke-width: 1.5; } svg.course line.look.motion { stroke: var(--mark); }
.key::before { content: ''; display: inline-block; width: .75em; height: .75em; margin: 0 .35em 0 .75em; border-radius: 2px;
  background: var(--hint); } .key.motion::before { background: var(--mark); } .key.jump::before { background: var(--bad); }
.row { margin: 1.25rem 0; } .row .pictures figure { width: 13.5rem; margin: .25rem 0; }
.row img.cells { width: 100%; image-rendering: pixelated; display: block; }
tr.set td { font-weight: bold; }
pre { background: color-mix(in srgb, var(--line) 30%, transparent); padding: .75rem 1rem; border-radius: 6px; overflow-x: auto; }
";
