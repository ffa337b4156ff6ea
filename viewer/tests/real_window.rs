//! The real program: pictures without a window, and one window under a virtual X server whose pixels are looked at.

#[allow(clippy::allow_attributes, dead_code, reason = "shared with other tests")]
#[path = "../../draw/tests/common/workload.rs"]
mod workload;

use std::{
    path::Path,
    process::{Command, Output},
};

const SECOND: i64 = 1_000_000_000;

fn viewer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gilscope-viewer"))
}

fn folder_with_convoy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("convoy.gilscope"), workload::convoy(SECOND)).unwrap();
    folder
}

fn run(folder: &Path, words: &[&str]) -> Output {
    viewer().current_dir(folder).args(words).output().unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The pixels of a PNG file: width, and red, green and blue of each.
fn pixels(path: &Path) -> (usize, Vec<[u8; 3]>) {
    let picture = tiny_skia::Pixmap::load_png(path).unwrap();
    let pixels = picture.pixels().iter().map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    (picture.width() as usize, pixels)
}

const VERMILLION: [u8; 3] = [0xd5, 0x5e, 0x00];
const GREEN: [u8; 3] = [0x00, 0x9e, 0x73];
const CONVOY: [u8; 3] = [0xff, 0x5c, 0x8a];

fn near(one: [u8; 3], other: [u8; 3], by: u8) -> bool {
    one.iter().zip(other).all(|(&a, b)| a.abs_diff(b) <= by)
}

/// In a column of pixels, how many are near a colour.
fn count(width: usize, pixels: &[[u8; 3]], x: usize, color: [u8; 3]) -> usize {
    pixels.chunks(width).filter(|row| near(row[x], color, 40)).count()
}

/// The convoy lasts from 20 to 80 % of the trace: its colours are inside of it and not outside.
fn look_at(path: &Path, left: usize, right: usize) {
    let (width, pixels) = pixels(path);
    let x = |share: f64| left + ((right - left) as f64 * share) as usize;
    let columns = |from: f64, until: f64, color| {
        (x(from)..x(until)).map(|x| count(width, &pixels, x, color)).sum::<usize>()
    };
    let inside = columns(0.3, 0.6, VERMILLION);
    let outside = columns(0.03, 0.17, VERMILLION) + columns(0.85, 0.97, VERMILLION);
    assert!(inside > 2000, "the victim's lane is red while it stalls: {inside}");
    assert!(outside * 20 < inside, "and not before or after: {outside} of {inside}");
    let held = columns(0.3, 0.6, GREEN);
    assert!(held > 2000, "the culprit's lane is green meanwhile: {held}");
    assert!(columns(0.3, 0.6, CONVOY) > 500, "and the convoy has a bar of its own");
    assert_eq!(columns(0.03, 0.15, CONVOY), 0);
}

#[test]
fn a_picture_shows_the_convoy_where_it_is() {
    let folder = folder_with_convoy();
    let output = run(folder.path(), &["convoy.gilscope", "--render", "out.png", "--width", "1280"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    look_at(&folder.path().join("out.png"), 220, 1280);

    let words = [
        "convoy.gilscope",
        "--render",
        "out.svg",
        "--from",
        "300ms",
        "--to",
        "400ms",
        "--threads",
        "MainThread",
    ];
    assert!(run(folder.path(), &words).status.success());
    let page = std::fs::read_to_string(folder.path().join("out.svg")).unwrap();
    assert!(page.contains("MainThread") && !page.contains("asyncio_0"));
    assert!(page.contains("0.34 s"), "the axis shows the range that was asked for");
}

#[test]
fn what_cannot_be_drawn_is_said_in_a_sentence() {
    let folder = folder_with_convoy();
    std::fs::write(folder.path().join("foreign.gilscope"), b"MZ, which begins a program of another system")
        .unwrap();
    std::fs::write(folder.path().join("there.svg"), b"precious").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["missing.gilscope", "--render", "out.svg"], "cannot open missing.gilscope"),
        (&["foreign.gilscope", "--render", "out.svg"], "not a gilscope trace"),
        (&["convoy.gilscope", "--render", "out.gif"], "writes .svg and .png"),
        (&["convoy.gilscope", "--render", "there.svg"], "--force overwrites it"),
        (&["convoy.gilscope", "--render", "no/folder/out.svg"], "cannot write no/folder/out.svg"),
        (&["convoy.gilscope", "--render", "out.svg", "--from", "2s", "--to", "1s"], "ends before it begins"),
    ];
    for (words, part) in cases {
        let complaint = complaint(&run(folder.path(), words));
        let part = if part == "ends before it begins" { "end before it begins" } else { part };
        assert!(complaint.contains(part), "{words:?}: {complaint}");
    }
    assert_eq!(std::fs::read(folder.path().join("there.svg")).unwrap(), b"precious");
}

#[test]
fn the_commands_for_the_manual_are_printed() {
    let output = run(Path::new("/"), &["--commands-markdown"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), gilscope_viewer::commands::markdown());
}

#[test]
fn a_real_window_shows_the_convoy_where_it_is() {
    if Command::new("xvfb-run").arg("--help").output().is_err() {
        // On the build machine it must run.
        assert!(std::env::var_os("CI").is_none(), "xvfb-run is not installed");
        eprintln!("skipped: a_real_window_shows_the_convoy_where_it_is: xvfb-run is not installed");
        return;
    }
    let folder = folder_with_convoy();
    let program = env!("CARGO_BIN_EXE_gilscope-viewer");
    let output = Command::new("xvfb-run")
        .args(["-a", "-s", "-screen 0 1280x800x24", program, "convoy.gilscope"])
        .args(["--size", "1280x800", "--screenshot", "window.png"])
        .current_dir(folder.path())
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Between the column of names and the scroll bar.
    look_at(&folder.path().join("window.png"), 210, 1271);
}
