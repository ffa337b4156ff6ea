//! The finder on code that compilers make of one model of the GIL under many options. The model (`fixtures/gil_model.c`)
//! carries the truth in a section of its own.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use gilscope_probes::sites::{CondArg, FoundBy, Site, SiteKind, Sites, Stepping};
use object::{Object, ObjectSection};

/// The compilers of this machine, of the two that CPython is built with.
fn compilers() -> Vec<String> {
    let wanted = std::env::var("GILSCOPE_TEST_COMPILERS").unwrap_or_else(|_| "gcc clang".to_owned());
    let works = |compiler: &&str| {
        Command::new(compiler).arg("--version").output().is_ok_and(|out| out.status.success())
    };
    wanted.split_whitespace().filter(works).map(str::to_owned).collect()
}

fn compile(compiler: &str, folder: &Path, options: &[&str]) -> Option<Vec<u8>> {
    let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gil_model.c");
    let output = folder.join("model");
    let run = Command::new(compiler)
        .arg("-w")
        .args(options)
        .arg("-o")
        .arg(&output)
        .arg(model)
        .arg("-pthread")
        .output();
    let run = run.expect("a compiler that has answered before");
    if !run.status.success() {
        eprintln!("{compiler} {options:?} does not work here: {}", String::from_utf8_lossy(&run.stderr));
        return None;
    }
    Some(std::fs::read(output).expect("what the compiler has written"))
}

/// The model's own records: a kind, and the address of the code right before the call.
fn truth(elf: &[u8]) -> Vec<(SiteKind, u64)> {
    let file = object::File::parse(elf).expect("an ELF file");
    let section = file.section_by_name("truth").expect("the records of the model");
    let (bytes, base) = (section.data().expect("its bytes"), section.address());
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let records = (0..bytes.len()).step_by(16);
    let mut truth: Vec<_> = records
        .map(|at| {
            let kind = [SiteKind::Wait, SiteKind::Acquire, SiteKind::Release][number(at) as usize];
            (kind, (base + at as u64 + 8).wrapping_add(number(at + 8)))
        })
        .collect();
    truth.sort_by_key(|(_, vaddr)| *vaddr);
    truth
}

/// Every record has one site right behind it, of its kind, and there are no other sites.
fn assert_finds_the_truth(elf: &[u8], how: &str) -> Sites {
    let found = Sites::find(elf).unwrap_or_else(|error| panic!("{how}: {error}"));
    let mut sites: Vec<&Site> = found.sites.iter().collect();
    sites.sort_by_key(|site| site.vaddr);
    let truth = truth(elf);
    let found_kinds: Vec<_> = sites.iter().map(|site| site.kind).collect();
    let true_kinds: Vec<_> = truth.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(found_kinds, true_kinds, "{how}: {found:#x?} against {truth:#x?}");
    for (site, (_, before)) in sites.iter().zip(&truth) {
        let distance = site.vaddr.wrapping_sub(*before);
        assert!(distance < 64, "{how}: a site at {:#x} is not the call after {before:#x}", site.vaddr);
    }
    found
}

const OPTIMISATION: [&str; 6] = ["-O0", "-Og", "-O1", "-Os", "-O2", "-O3"];
const LINKING: [&[&str]; 3] =
    [&["-fPIE", "-pie", "-DPROGRAM"], &["-fno-pie", "-no-pie", "-DPROGRAM"], &["-fPIC", "-shared"]];
const GIL: [&[&str]; 5] =
    [&["-DSTATIC_GIL"], &[], &["-DINLINED"], &["-DATOMIC_CALL"], &["-DSTATIC_GIL", "-DINLINED"]];

/// Every optimisation with every shape of the GIL, and the ways of linking in turn.
fn for_all(extra: &[&str], check: impl Fn(&[u8], &str)) {
    let folder = tempfile::tempdir().expect("a folder");
    let compilers = compilers();
    if compilers.is_empty() {
        eprintln!("skipped: neither gcc nor clang is installed");
    }
    let shapes = OPTIMISATION.iter().flat_map(|optimisation| GIL.iter().map(move |gil| (optimisation, gil)));
    for compiler in &compilers {
        let mut compiled = 0;
        for ((optimisation, gil), linking) in shapes.clone().zip(LINKING.iter().cycle()) {
            let options: Vec<&str> = [&[*optimisation], *linking, gil, extra].concat();
            if let Some(elf) = compile(compiler, folder.path(), &options) {
                check(&elf, &format!("{compiler} {}", options.join(" ")));
                compiled += 1;
            }
        }
        assert!(compiled > 0, "{compiler} has compiled nothing with {extra:?}");
    }
}

#[test]
fn every_signal_is_found_however_the_compiler_arranged_the_code() {
    for_all(&[], |elf, how| {
        let found = assert_finds_the_truth(elf, how);
        assert_eq!(found.found_by, FoundBy::Anchors, "{how}");
        assert_eq!(found.single_stepped(), 0, "{how}");
        assert!(found.sites.iter().all(|site| site.cond == CondArg::Di), "{how}");
        assert!(found.notes.iter().any(|note| note.contains("not for a GIL")), "{how}: {:?}", found.notes);
    });
}

#[test]
fn stubs_behind_endbr64_are_followed() {
    for_all(&["-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,now", "-s"], |elf, how| {
        assert_finds_the_truth(elf, how);
    });
}

#[test]
fn of_an_indirect_call_the_test_of_its_result_is_probed_except_for_waits() {
    let (emulated, stepped) = (Cell::new(0), Cell::new(0));
    for_all(&["-fno-plt", "-s"], |elf, how| {
        let found = assert_finds_the_truth(elf, how);
        for site in &found.sites {
            let at_call = site.instruction.starts_with("call");
            assert_eq!(site.stepping == Stepping::SingleStepped, at_call, "{how}: {site:#x?}");
            assert_eq!(site.cond == CondArg::Di, at_call, "{how}: {site:#x?}");
            assert!(at_call || site.kind != SiteKind::Wait, "{how}: {site:#x?}");
            // Unoptimised code keeps the address of the condition variable in no register that survives the call.
            if site.kind != SiteKind::Wait && !how.contains("-O0") {
                let count = if at_call { &stepped } else { &emulated };
                count.set(count.get() + 1);
            }
        }
    });
    // A compiler may also overwrite the last register that held it just before the call; it seldom does.
    assert!(emulated.get() >= 10 * stepped.get(), "{emulated:?} emulated, {stepped:?} single-stepped");
}

#[test]
fn a_statically_linked_library_is_found_by_its_symbols() {
    let folder = tempfile::tempdir().expect("a folder");
    for compiler in compilers() {
        let Some(elf) = compile(&compiler, folder.path(), &["-O2", "-static", "-DPROGRAM"]) else {
            continue;
        };
        let found = Sites::find(&elf).expect("sites");
        assert_eq!(found.found_by, FoundBy::Symbols);
        let of = |kind| found.of(kind).count();
        let true_of = |kind| truth(&elf).iter().filter(|(known, _)| *known == kind).count();
        for kind in [SiteKind::Wait, SiteKind::Acquire, SiteKind::Release] {
            assert_eq!(of(kind), true_of(kind), "{kind:?}");
        }
    }
}

#[test]
fn without_the_signals_the_exported_functions_are_probed_and_the_loss_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for compiler in compilers() {
        let options = ["-O2", "-fPIC", "-shared", "-DNO_GIL", "-fno-omit-frame-pointer"];
        let Some(elf) = compile(&compiler, folder.path(), &options) else {
            continue;
        };
        match Sites::find(&elf) {
            Ok(found) => {
                assert_eq!(found.found_by, FoundBy::Fallback);
                assert_eq!(found.of(SiteKind::Release).count(), 1);
                assert_eq!(found.of(SiteKind::Wait).count(), 1);
                assert!(found.of(SiteKind::Acquire).count() >= 1);
                assert!(found.sites.iter().all(|site| site.cond == CondArg::None));
                assert!(
                    found.notes.iter().any(|note| note.contains("nothing is recorded")),
                    "{:?}",
                    found.notes
                );
            }
            Err(error) => panic!("{compiler}: {error}"),
        }
    }
}
