//! Where an export goes: never over something else, never through a link, and never half without a word.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Stdio,
};

use gilscope_trace::{Event, Header, Kind};

use crate::support::{Folder, Row, lively};

fn folder() -> Folder {
    let (header, rows) = lively();
    Folder::with(&header, &rows)
}

fn error(output: std::process::Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn by_default_it_lies_beside_the_trace_under_its_name() {
    let folder = folder();
    for (format, name) in [
        ("perfetto", "trace.pftrace"),
        ("chrome", "trace.chrome.json"),
        ("firefox", "trace.firefox.json"),
        ("parquet", "trace.parquet"),
        ("csv", "trace.csv"),
        ("collapsed", "trace.collapsed.txt"),
        ("speedscope", "trace.speedscope.json"),
    ] {
        let output = folder.export(&["trace.gilscope", "--format", format]);
        assert!(output.status.success() && output.stdout.is_empty());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("gilscope: wrote {name}\n"));
        let kept = fs::metadata(folder.path(name)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "a trace is nobody else's business");
    }
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let folder = folder();
    fs::write(folder.path("trace.csv"), "precious").unwrap();
    let said = error(folder.export(&["trace.gilscope", "--format", "csv"]));
    assert!(said.contains("trace.csv exists: use --force"), "{said}");
    assert_eq!(fs::read_to_string(folder.path("trace.csv")).unwrap(), "precious");
    assert!(folder.export(&["trace.gilscope", "--format", "csv", "--force"]).status.success());
    assert!(fs::read_to_string(folder.path("trace.csv")).unwrap().starts_with("pid,"));
}

#[test]
fn a_planted_link_is_not_followed() {
    let folder = folder();
    fs::write(folder.path("precious"), "precious").unwrap();
    symlink(folder.path("precious"), folder.path("trace.csv")).unwrap();
    for words in
        [&["trace.gilscope", "--format", "csv"][..], &["trace.gilscope", "--format", "csv", "--force"]]
    {
        let said = error(folder.export(words));
        assert!(said.contains("symbolic link"), "{said}");
    }
    assert_eq!(fs::read_to_string(folder.path("precious")).unwrap(), "precious");
}

#[test]
fn the_trace_itself_is_never_overwritten() {
    let folder = folder();
    let before = fs::read(folder.path("trace.gilscope")).unwrap();
    let said =
        error(folder.export(&["trace.gilscope", "--format", "csv", "--force", "-o", "trace.gilscope"]));
    assert!(said.contains("is the trace itself"), "{said}");
    assert_eq!(fs::read(folder.path("trace.gilscope")).unwrap(), before);
}

#[test]
fn a_dash_is_standard_output() {
    let folder = folder();
    let output = folder.export(&["trace.gilscope", "--format", "csv", "-o", "-"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(output.stdout, fs::read(folder.exported("csv")).unwrap());
}

#[test]
fn a_full_disk_is_said_and_fails() {
    let folder = folder();
    for format in ["perfetto", "chrome", "firefox", "parquet", "csv", "collapsed", "speedscope"] {
        let said = error(folder.export(&["trace.gilscope", "--format", format, "-o", "/dev/full"]));
        assert!(
            said.contains("cannot write to /dev/full") && said.contains("No space left"),
            "{format}: {said}"
        );
    }
}

#[test]
fn a_closed_pipe_is_said_and_fails() {
    let folder = folder();
    for format in ["perfetto", "chrome", "firefox", "parquet", "csv", "collapsed", "speedscope"] {
        let words = ["export", "trace.gilscope", "--format", format, "-o", "-"];
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = folder.gilscope().args(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let said = error(child.wait_with_output().unwrap());
        assert!(said.contains("standard output") && said.contains("Broken pipe"), "{format}: {said}");
    }
}

#[test]
fn a_trace_that_was_cut_off_is_exported_as_far_as_it_goes() {
    let folder = folder();
    let whole = fs::read(folder.path("trace.gilscope")).unwrap();
    fs::write(folder.path("cut.gilscope"), &whole[..whole.len() / 2]).unwrap();
    let output = folder.export(&["cut.gilscope", "--format", "csv"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("cut off inside a batch"), "{said}");
    let text = fs::read_to_string(folder.path("cut.csv")).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() > 10);
}

#[test]
fn what_is_not_a_trace_leaves_no_file() {
    let folder = folder();
    fs::write(folder.path("note.txt"), "hello, this is some text that is no trace at all").unwrap();
    let said = error(folder.export(&["note.txt", "--format", "csv"]));
    assert!(said.contains("not a gilscope trace"), "{said}");
    assert!(error(folder.export(&["missing", "--format", "csv"])).contains("missing"));
    assert_eq!(fs::read_dir(folder.root()).unwrap().count(), 2);
}

#[test]
fn impossible_times_and_numbers_do_no_harm() {
    let rows: Vec<Row> = [
        (i64::MIN, Kind::Wait, 1),
        (i64::MIN + 5, Kind::Acquire, 2),
        (0, Kind::SyscallEnter, 2),
        (1, Kind::Release, 2),
        (2, Kind::Acquire, -1),
        (i64::MAX - 1, Kind::Wait, 2),
        (i64::MAX - 1, Kind::Sample, 2),
        (i64::MAX, Kind::Release, -1),
        (i64::MAX, Kind::Acquire, 1),
    ]
    .map(|(time, kind, tid)| {
        (Event::new(time, kind, -7, tid).of_gil(u64::MAX).of_syscall(i16::MAX, i32::MAX), None)
    })
    .into();
    let header = Header { start_time: i64::MIN, utc_offset: i64::MAX, ..Header::default() };
    let folder = Folder::with(&header, &rows);
    for format in ["perfetto", "chrome", "firefox", "parquet", "csv", "collapsed", "speedscope"] {
        folder.exported(format);
        let range = ["trace.gilscope", "--format", format, "--from", "1s", "--to", "100m", "-o", "/dev/null"];
        assert!(folder.export(&range).status.success(), "{format}");
    }
}
