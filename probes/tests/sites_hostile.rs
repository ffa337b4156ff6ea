//! The finder and damaged files: truncated, overwritten at random, and with lies in the places that are believed. It may
//! find nothing or something, but must come back, soon, without a panic.

use std::time::{Duration, Instant};

use gilscope_probes::sites::{SiteError, SiteKind, Sites, find_exported};
use proptest::prelude::*;

const MODEL: &[u8] = include_bytes!("fixtures/gil_model.so");

/// On the slowest machine and without optimisation a sound file of this size takes some milliseconds.
const SOON: Duration = Duration::from_secs(5);

fn comes_back(elf: &[u8]) {
    let start = Instant::now();
    if let Ok(found) = Sites::find(elf) {
        for site in &found.sites {
            assert!(site.file_offset < elf.len() as u64 || site.vaddr != 0, "{site:?}");
        }
    }
    let _ = find_exported(elf, &["PyEval_SaveThread", "PyThreadState_New"]);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
}

#[test]
fn the_sound_file_has_its_sites() {
    let found = Sites::find(MODEL).expect("the sites of the model");
    for kind in [SiteKind::Wait, SiteKind::Acquire, SiteKind::Release] {
        assert!(found.of(kind).count() >= 3, "{kind:?} in {found:?}");
    }
    assert_eq!(find_exported(MODEL, &["nothing", "PyEval_SaveThread"]).len(), 1);
}

#[test]
fn what_is_no_elf_file_is_called_so() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0; 4096], &MODEL[..63]] {
        assert!(matches!(Sites::find(bytes), Err(SiteError::NotElf { .. })), "{bytes:?}");
    }
}

#[test]
fn another_processor_is_named() {
    let mut arm = MODEL.to_vec();
    arm[18] = 183;
    assert_eq!(Sites::find(&arm), Err(SiteError::Machine { machine: 183 }));
}

#[test]
fn a_file_cut_short_anywhere_does_no_harm() {
    for length in (0..MODEL.len()).step_by(97) {
        comes_back(&MODEL[..length]);
    }
}

/// Where a lie leads furthest: the file header, the program headers, the section headers.
fn headers() -> Vec<usize> {
    let word = |at: usize| u64::from_le_bytes(MODEL[at..at + 8].try_into().expect("eight bytes")) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(MODEL[at..at + 2].try_into().expect("two bytes")));
    let (programs, sections) = (word(32), word(40));
    let mut places: Vec<usize> = (24..64).step_by(4).collect();
    places.extend((programs..programs + 56 * half(56)).step_by(4));
    places.extend((sections..sections + 64 * half(60)).step_by(4));
    places
}

#[test]
fn every_number_of_the_headers_may_lie() {
    let lies =
        [0, 1, u64::MAX, u64::MAX - 7, 1 << 63, u64::from(u32::MAX), 1 << 32, MODEL.len() as u64 - 1, 0x1000];
    for place in headers() {
        for lie in lies {
            let mut elf = MODEL.to_vec();
            let end = (place + 8).min(elf.len());
            elf[place..end].copy_from_slice(&lie.to_le_bytes()[..end - place]);
            comes_back(&elf);
        }
    }
}

#[test]
fn executable_segments_that_overlap_are_refused_before_they_cost_time() {
    // Program headers: every segment becomes a PT_LOAD of the whole file.
    let programs = 64;
    let count = usize::from(MODEL[56]);
    let mut elf = MODEL.to_vec();
    for header in (0..count).map(|at| programs + 56 * at) {
        elf[header..header + 8].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
        elf[header + 8..header + 32].fill(0);
        elf[header + 32..header + 40].copy_from_slice(&(MODEL.len() as u64).to_le_bytes());
    }
    assert!(matches!(Sites::find(&elf), Err(SiteError::NotElf { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_overwritten_at_random_do_no_harm(
        changes in prop::collection::vec((0..MODEL.len(), any::<u8>()), 1..64),
    ) {
        let mut elf = MODEL.to_vec();
        for (place, byte) in changes {
            elf[place] = byte;
        }
        comes_back(&elf);
    }

    #[test]
    fn words_overwritten_with_extremes_do_no_harm(
        changes in prop::collection::vec(
            (0..MODEL.len() / 8, prop_oneof![
                Just(0), Just(u64::MAX), Just(u64::MAX >> 1), Just(1 << 32), 0..0x8000_u64, any::<u64>(),
            ]),
            1..24,
        ),
    ) {
        let mut elf = MODEL.to_vec();
        for (place, word) in changes {
            elf[place * 8..place * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        comes_back(&elf);
    }

    #[test]
    fn any_code_can_be_read(code in prop::collection::vec(any::<u8>(), 256..2048), at in 0x1000..0x1400_usize) {
        let mut elf = MODEL.to_vec();
        let end = (at + code.len()).min(elf.len());
        elf[at..end].copy_from_slice(&code[..end - at]);
        comes_back(&elf);
    }
}
