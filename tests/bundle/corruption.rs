//! No byte of a bundle may change, be missing or be added.

use crate::fixture::{Fixture, fixture};
use ajar::bundle::Code;
use ajar::bundle::format::HEADER_LEN;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Changes to a byte: every single bit, and all of them.
const MASKS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];
/// Places in the body beside the parts' ends.
const PLACES: usize = 2400;
/// Bytes at the ends of each part.
const EDGE: usize = 48;

/// Verifies the bundle once for each (place, mask) with that byte changed. Returns how often each
/// code was given; fails if one was taken.
fn flip(fixture: &Fixture, flips: &[(usize, u8)]) -> BTreeMap<String, usize> {
    let refused = flips.par_iter().map_init(
        || fixture.bundle.clone(),
        |bytes, &(at, mask)| {
            bytes[at] ^= mask;
            let refusal = fixture.verify(bytes).err();
            bytes[at] ^= mask;
            refusal.map(|refusal| refusal.code).ok_or((at, mask))
        },
    );
    let refused: Result<Vec<Code>, (usize, u8)> = refused.collect();
    let codes = refused.unwrap_or_else(|(at, mask)| panic!("taken with byte {at} changed by {mask:#04x}"));
    let mut counts = BTreeMap::new();
    codes.iter().for_each(|code| *counts.entry(format!("{code:?}")).or_default() += 1);
    counts
}

fn every_mask(range: std::ops::Range<usize>) -> Vec<(usize, u8)> {
    range.flat_map(|at| MASKS.map(|mask| (at, mask))).collect()
}

/// Places in the body: both ends of each part, and an even stride over all of it.
fn body_places(fixture: &Fixture) -> BTreeSet<usize> {
    let start = fixture.body_start();
    let mut places: BTreeSet<usize> =
        (start..fixture.bundle.len()).step_by((fixture.bundle.len() - start) / PLACES).collect();
    let mut at = start;
    for part in &fixture.parts {
        places.extend(at..at + EDGE);
        at += part.len();
        places.extend(at - EDGE..at);
    }
    assert_eq!(at, fixture.bundle.len());
    places
}

#[test]
fn every_changed_byte_of_header_signature_and_manifest_is_refused() {
    let fixture = fixture();
    let signature = HEADER_LEN + fixture.signature.len();
    let regions = [
        ("header", 0..HEADER_LEN),
        ("signature", HEADER_LEN..signature),
        ("manifest", signature..fixture.body_start()),
    ];
    for (name, range) in regions {
        let flips = every_mask(range.clone());
        let counts = flip(fixture, &flips);
        println!("{name}: {} bytes, {} changes, refused: {counts:?}", range.len(), flips.len());
        if name == "manifest" {
            assert_eq!(counts.keys().collect::<Vec<_>>(), ["E20"], "nothing unsigned may be parsed");
        }
    }
}

#[test]
#[should_panic(expected = "taken with byte 100")]
fn a_change_that_is_taken_would_be_noticed() {
    flip(fixture(), &[(100, 0)]);
}

#[test]
fn changed_bytes_of_the_body_are_refused() {
    let fixture = fixture();
    let places = body_places(fixture);
    let flips: Vec<_> = places.iter().enumerate().map(|(i, &at)| (at, MASKS[i % MASKS.len()])).collect();
    assert!(flips.len() >= 2000, "{}", flips.len());
    let counts = flip(fixture, &flips);
    println!("body: {} of {} bytes changed, refused: {counts:?}", flips.len(), fixture.body().len());
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["E20"]);
}

#[test]
fn every_truncation_is_refused() {
    let fixture = fixture();
    let taken = (0..fixture.bundle.len()).into_par_iter().find_any(|&length| {
        fixture.verify(&fixture.bundle[..length]).err().map(|refusal| refusal.code) != Some(Code::E11)
    });
    assert_eq!(taken, None, "bytes of {}", fixture.bundle.len());
    println!("truncated to each of {} lengths, refused: E11", fixture.bundle.len());
}

/// Every byte of a small bundle, the body's too, with two changes each.
#[test]
fn every_changed_byte_of_a_small_bundle_is_refused() {
    let bundle = crate::crash::small_bundle();
    fixture().verify(&bundle).expect("a good bundle");
    let taken = (0..bundle.len()).into_par_iter().map_init(
        || bundle.clone(),
        |bytes, at| {
            let masks = [255, 1 << (at % 8)];
            masks.into_iter().find(|mask| {
                bytes[at] ^= mask;
                let taken = fixture().verify(bytes).is_ok();
                bytes[at] ^= mask;
                taken
            })
        },
    );
    let taken: Vec<usize> = taken.enumerate().filter_map(|(at, mask)| mask.map(|_| at)).collect();
    println!("a small bundle: each of {} bytes changed twice, {} taken", bundle.len(), taken.len());
    assert_eq!(taken, Vec::<usize>::new());
}

#[test]
fn bytes_in_between_are_refused() {
    let fixture = fixture();
    let signature = HEADER_LEN + fixture.signature.len();
    for at in [0, 8, HEADER_LEN, signature, fixture.body_start(), fixture.bundle.len()] {
        for byte in [b"\n", b"\0", b" "] {
            let bytes = [&fixture.bundle[..at], byte, &fixture.bundle[at..]].concat();
            assert!(fixture.verify(&bytes).is_err(), "{byte:?} at {at}");
        }
    }
}

/// Parts whose bytes change places, so that the body as a whole has the same bytes.
#[test]
fn exchanged_bytes_are_refused() {
    let fixture = fixture();
    let (start, middle) = (fixture.body_start(), fixture.body_start() + fixture.parts[0].len());
    let mut bytes = fixture.bundle.clone();
    bytes[start..].rotate_left(middle - start);
    assert_eq!(fixture.verify(&bytes).map_err(|refusal| refusal.code), Err(Code::E20));
}
