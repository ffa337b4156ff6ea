//! `gilscope report` and `gilscope compare` over drawn traces and over files that are not as they should be.

use std::{fs, path::PathBuf, process::Output};

use assert_cmd::Command;
use gilscope_analysis::drawn::Drawing;
use gilscope_trace::{Detail, Event, Header, Kind, Writer, detail};
use tempfile::TempDir;

const CONVOY: &str = "
    event-loop  hhswwwww
    spinner     wwhhhhhh
";
const ALONE: &str = "
    event-loop  hhs.hhs.
";

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn drawn(&self, name: &str, text: &str, count: usize) {
        let drawing = Drawing::new(text).repeated(count);
        self.rows(name, &drawing.header(), drawing.events());
    }

    fn rows(&self, name: &str, header: &Header, rows: Vec<(Event, Option<Detail>)>) {
        let mut writer = Writer::new(Vec::new(), header).unwrap();
        for (event, detail) in rows {
            match detail {
                Some(detail) => writer.push_detail(event, &detail).unwrap(),
                None => writer.push(event).unwrap(),
            }
        }
        fs::write(self.path(name), writer.finish().unwrap()).unwrap();
    }

    /// Runs gilscope in the folder.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::cargo_bin("gilscope").unwrap().current_dir(self.0.path()).args(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_report_of_a_convoy_reads_so() {
    let folder = Folder::new();
    folder.drawn("convoy.gilscope", CONVOY, 100);
    let output = folder.run(&["report", "convoy.gilscope", "--top", "3"]);
    assert!(output.status.success());
    let text = text(&output.stdout);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "fits a terminal");
    insta::assert_snapshot!(text);
}

#[test]
fn the_report_of_a_healthy_trace_reads_so() {
    let folder = Folder::new();
    folder.drawn("alone.gilscope", ALONE, 100);
    let output = folder.run(&["report", "alone.gilscope"]);
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn the_readme_shows_what_is_printed_for_the_small_trace() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let trace = root.join("samples/traces/a-convoy.gilscope");
    let report = Command::cargo_bin("gilscope").unwrap().arg("report").arg(trace).output().unwrap();
    let report = text(&report.stdout);
    let verdict = report.split("\n\n").find(|part| part.starts_with("problem ")).expect("a problem");
    let proof = report.lines().find(|line| line.contains("unpaired")).expect("the pairing check");
    let proof = proof.split(", ").take(2).collect::<Vec<_>>().join(", ");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(verdict), "put this into README.md:\n{verdict}");
    assert!(readme.contains(&proof), "put this into README.md: {proof}");
}

#[test]
fn a_dask_worker_is_advised_to_have_more_processes_with_fewer_threads() {
    let trace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../samples/traces/f-cluster.gilscope");
    let report = Command::cargo_bin("gilscope").unwrap().arg("report").arg(trace).output().unwrap();
    let report = text(&report.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(report.contains("In the dask worker at tcp://127.0.0.1:"), "{report}");
    assert!(report.contains(", whose event loop it runs,"), "{report}");
    assert!(report.contains("dask worker --nworkers 8 --nthreads 1"), "{report}");
}

#[test]
fn the_comparison_of_the_two_reads_so() {
    let folder = Folder::new();
    folder.drawn("before.gilscope", CONVOY, 100);
    folder.drawn("after.gilscope", ALONE, 100);
    let output = folder.run(&["compare", "before.gilscope", "after.gilscope"]);
    assert!(output.status.success());
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn the_json_has_the_fields_that_are_promised() {
    let folder = Folder::new();
    folder.drawn("convoy.gilscope", CONVOY, 100);
    let output = folder.run(&["report", "convoy.gilscope", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let promised = [
        ("/trace", "path duration_ns events lost"),
        ("/pairing", "acquisitions unpaired"),
        ("/processes/0", "pid command python gils threads"),
        ("/gils/0", "id switch_interval_us held_ns contended_ns handovers forced voluntary"),
        (
            "/threads/0",
            "tid name foreign held_ns waiting_ns syscall_ns offgil_ns descheduled_holding_ns acquisitions contended \
             forced_releases voluntary_releases wait_ns syscalls",
        ),
        ("/threads/0/wait_ns", "p50 p90 p99 max"),
        ("/threads/0/syscalls/0", "name calls kernel_ns reacquire_ns"),
        ("/blame/0", "waiter_tid holder_tid ns"),
        (
            "/convoys/0",
            "gil start_ns end_ns victim culprits stalls releases stalled_ns io_ns calls_per_second code",
        ),
        ("/convoys/0/victim", "tid name"),
        ("/convoys/0/culprits/0", "tid name share"),
        ("/verdicts/0", "severity title text advice"),
    ];
    for (place, fields) in promised {
        let object = json.pointer(place).unwrap_or_else(|| panic!("no {place}"));
        for field in fields.split_whitespace() {
            assert!(object.get(field).is_some(), "{place} has no {field}");
        }
    }
    let documented = include_str!("../../docs/report-json.md");
    let mut keys = Vec::new();
    collect_keys(&json, &mut keys);
    for key in keys {
        assert!(documented.contains(&key), "docs/report-json.md does not mention `{key}`");
    }
}

fn collect_keys(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            keys.push(key.clone());
            collect_keys(value, keys);
        }),
        serde_json::Value::Array(all) => all.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn names_of_a_stranger_reach_neither_the_terminal_nor_the_json_as_control_characters() {
    let folder = Folder::new();
    let drawing = Drawing::new(CONVOY).repeated(20);
    let mut rows = drawing.events();
    let evil = "evil\x1b[2J\x07\u{202e}\n";
    for (_, detail) in &mut rows {
        match detail {
            Some(Detail::Thread(thread)) => thread.name = Some(evil.into()),
            Some(Detail::Process(process)) => process.command = vec![evil.into()],
            Some(Detail::End(end)) => end.reason = evil.into(),
            _ => {}
        }
    }
    rows.push((
        Event::new(rows.last().unwrap().0.time, Kind::Note, 0, 0),
        Some(detail::Note { text: evil.into() }.into()),
    ));
    let header = Header { host: evil.into(), arch: evil.into(), ..drawing.header() };
    folder.rows("evil.gilscope", &header, rows);
    for arguments in [&["report", "evil.gilscope"][..], &["report", "evil.gilscope", "--json"]] {
        let output = folder.run(arguments);
        assert!(output.status.success());
        for stream in [text(&output.stdout), text(&output.stderr)] {
            assert!(stream.chars().all(|c| c == '\n' || !c.is_control()), "{arguments:?}: {stream}");
            assert!(!stream.contains("\u{202e}") && !stream.contains("\\u001b"));
        }
    }
}

#[test]
fn a_trace_that_was_cut_off_is_reported_on_with_a_word_of_warning() {
    let folder = Folder::new();
    folder.drawn("whole.gilscope", CONVOY, 100);
    let bytes = fs::read(folder.path("whole.gilscope")).unwrap();
    fs::write(folder.path("no-end.gilscope"), &bytes[..bytes.len() - 8]).unwrap();
    let output = folder.run(&["report", "no-end.gilscope"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("no end mark"));
    assert!(text(&output.stdout).contains("convoy"));

    fs::write(folder.path("cut.gilscope"), &bytes[..bytes.len() - 100]).unwrap();
    let output = folder.run(&["report", "cut.gilscope"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("was cut off inside a batch"), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_read_fails_with_a_sentence() {
    let folder = Folder::new();
    fs::write(folder.path("empty.gilscope"), "").unwrap();
    fs::write(folder.path("other.gilscope"), "#!/bin/sh\necho hello, I am no trace at all\n").unwrap();
    let sentences = [
        ("empty.gilscope", "ends after 0 bytes"),
        ("other.gilscope", "not a gilscope trace"),
        ("missing.gilscope", "No such file"),
    ];
    for (file, sentence) in sentences {
        let output = folder.run(&["report", file]);
        assert!(!output.status.success(), "{file}");
        let error = text(&output.stderr);
        assert!(error.contains(sentence) && error.contains(file), "{file}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_newer_format_is_refused_and_an_older_one_is_read() {
    let folder = Folder::new();
    folder.drawn("now.gilscope", CONVOY, 20);
    let bytes = fs::read(folder.path("now.gilscope")).unwrap();
    // The version is a text of its own in the metadata of the schema: its length, the text, a zero byte.
    let version = gilscope_trace::FormatVersion::CURRENT.to_string().into_bytes();
    let stored = [&(version.len() as u32).to_le_bytes(), version.as_slice(), &[0]].concat();
    let place = bytes.windows(stored.len()).position(|window| window == stored).unwrap() + 4;
    for (file, major, reads) in [("newer.gilscope", b'9', false), ("older.gilscope", b'0', true)] {
        let mut other = bytes.clone();
        other[place] = major;
        fs::write(folder.path(file), other).unwrap();
        let output = folder.run(&["report", file]);
        assert_eq!(output.status.success(), reads, "{file}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr).contains("update gilscope"), !reads, "{}", text(&output.stderr));
    }
}

#[test]
fn a_trace_of_another_kind_of_machine_shows_its_calls_by_number() {
    let folder = Folder::new();
    let drawing = Drawing::new(CONVOY).repeated(20);
    let header = Header { arch: "aarch64".into(), host: "elsewhere".into(), ..drawing.header() };
    folder.rows("arm.gilscope", &header, drawing.events());
    let output = folder.run(&["report", "arm.gilscope"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("recorded on aarch64, whose system calls are shown by number"));
    assert!(text(&output.stdout).contains("elsewhere") && text(&output.stdout).contains("syscall 44"));
}

#[test]
fn a_trace_without_gil_events_says_so_and_succeeds() {
    let folder = Folder::new();
    folder.drawn("quiet.gilscope", "main  .ss.\n", 10);
    let output = folder.run(&["report", "quiet.gilscope"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("No GIL was used"), "{}", text(&output.stdout));
}

#[test]
fn a_range_outside_the_trace_a_stranger_or_an_unknown_thread_fail_with_a_sentence() {
    let folder = Folder::new();
    folder.drawn("convoy.gilscope", CONVOY, 100);
    let cases: [(&[&str], &str); 5] = [
        (&["--from", "2"], "the trace is 0.8 s long"),
        (&["--from", "500ms", "--to", "0.2s"], "not before"),
        (&["--pid", "4"], "process 4 is not in the trace: it has 100"),
        (&["--thread", "nobody"], "no thread in the trace"),
        (&["--from", "yesterday"], "units"),
    ];
    for (arguments, sentence) in cases {
        let output = folder.run(&[&["report", "convoy.gilscope"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text(&output.stderr).contains(sentence), "{arguments:?}: {}", text(&output.stderr));
    }
    let output = folder.run(&[
        "report",
        "convoy.gilscope",
        "--from",
        "200ms",
        "--to",
        "0.4s",
        "--thread",
        "event-loop",
    ]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("200 ms"));
}

#[test]
fn impossible_times_and_numbers_do_no_harm() {
    let folder = Folder::new();
    let kinds =
        [Kind::Wait, Kind::Acquire, Kind::Release, Kind::SyscallEnter, Kind::SyscallExit, Kind::Sample];
    let times = [i64::MIN, i64::MIN + 5, -1, 0, 1, i64::MAX - 1, i64::MAX];
    // Every kind at every time, for several threads; with times that ascend, and that do not.
    for (name, descending) in [("ascending.gilscope", false), ("descending.gilscope", true)] {
        let mut rows = Vec::new();
        for time in times {
            for tid in [i32::MIN, -1, 0, 1, 2, i32::MAX] {
                for kind in kinds {
                    let event =
                        Event::new(time, kind, -7, tid).of_gil(u64::MAX).of_syscall(i16::MIN, i32::MIN);
                    rows.push((event.with_value(i64::MIN), None));
                }
            }
            let gil = detail::Gil { interpreter: Some(i64::MIN), interval_us: Some(u64::MAX) };
            rows.push((Event::new(time, Kind::Gil, -7, 0).of_gil(u64::MAX), Some(gil.into())));
            let lost = detail::Lost { from: i64::MIN, until: time, cpu: None, records: u64::MAX };
            rows.push((Event::new(time, Kind::Lost, 0, 0), Some(lost.into())));
        }
        if descending {
            rows.reverse();
        }
        for start_time in [i64::MIN, 0, i64::MAX] {
            let header = Header { start_time, utc_offset: i64::MAX, cpus: u32::MAX, ..Header::default() };
            folder.rows(name, &header, rows.clone());
            for arguments in [
                &["report", name][..],
                &["report", name, "--json", "--from", "1s", "--to", "100m"],
                &["report", name, "--html", "-"],
                &["compare", name, name],
            ] {
                let output = folder.run(arguments);
                assert!(
                    output.status.code().is_some_and(|code| code < 2),
                    "{arguments:?} from {start_time}: {}",
                    text(&output.stderr)
                );
            }
        }
    }
}
