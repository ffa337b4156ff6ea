//! Each format, read back: the figures are those of the analysis, whatever they are.

use serde_json::Value;

use crate::support::{Folder, figures, lively, model, read_back};

fn check(format: &str, packages: &[&str], reader: &str) {
    let (header, rows) = lively();
    let folder = Folder::with(&header, &rows);
    let figures = figures(&model(&header, &rows));
    assert!(figures["stalls"].as_i64() > Some(20) && figures["samples"].as_i64() > Some(20));
    read_back(packages, reader, &folder.exported(format), &figures);
}

#[test]
fn perfettos_own_protos_read_the_trace() {
    check("perfetto", &["perfetto.protos.perfetto.trace.perfetto_trace_pb2"], "read_perfetto.py");
}

#[test]
fn the_chrome_trace_fits_its_schema() {
    check("chrome", &["jsonschema"], "read_chrome.py");
}

#[test]
fn the_firefox_profile_holds_together() {
    check("firefox", &["json"], "read_firefox.py");
}

#[test]
fn pyarrow_and_pandas_read_the_parquet_table() {
    check("parquet", &["pandas", "pyarrow.parquet"], "read_table.py");
}

#[test]
fn pandas_reads_the_csv_table() {
    check("csv", &["pandas"], "read_table.py");
}

#[test]
fn the_speedscope_profile_fits_its_schema() {
    check("speedscope", &["jsonschema"], "read_speedscope.py");
}

#[test]
fn collapsed_stacks_add_up_to_the_time_that_holders_stalled_others() {
    let (header, rows) = lively();
    let folder = Folder::with(&header, &rows);
    let text = std::fs::read_to_string(folder.exported("collapsed")).unwrap();
    let lines: Vec<(&str, i64)> = text
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(stack, ns)| (stack, ns.parse().unwrap()))
        .collect();
    let blame = figures(&model(&header, &rows))["blame"].clone();
    let blamed: i64 = blame.as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert_eq!(lines.iter().map(|(_, ns)| ns).sum::<i64>(), blamed);
    // Outermost first, below the holder.
    assert!(
        lines.iter().any(|(stack, _)| *stack == "spinner;<module> (app.py:3);spin (app.py:10)"),
        "{text}"
    );
}

#[test]
fn a_range_is_cut_out_to_the_nanosecond() {
    let (header, rows) = lively();
    let folder = Folder::with(&header, &rows);
    let output =
        folder.export(&["trace.gilscope", "--format", "csv", "--from", "10ms", "--to", "0.0215", "-o", "-"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut threads = std::collections::BTreeMap::new();
    for line in text.lines().skip(1).filter(|line| !line.contains("syscall_while_holding")) {
        let cells: Vec<&str> = line.split(',').collect();
        let (start, end): (i64, i64) = (cells[3].parse().unwrap(), cells[4].parse().unwrap());
        let at = threads.entry(cells[1].to_owned()).or_insert(start);
        assert_eq!(*at, start, "no gap: {line}");
        *at = end;
        assert!(start >= header.start_time + 10_000_000);
    }
    assert!(!threads.is_empty());
    for (thread, end) in threads {
        assert!(end <= header.start_time + 21_500_000, "thread {thread}");
    }
}

#[test]
fn a_range_outside_the_trace_is_an_error_that_says_how_long_the_trace_is() {
    let (header, rows) = lively();
    let folder = Folder::with(&header, &rows);
    let output = folder.export(&["trace.gilscope", "--format", "csv", "--from", "1h"]);
    assert!(!output.status.success());
    let output = folder.export(&["trace.gilscope", "--format", "csv", "--from", "60m"]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nothing to export from 3600 s on"), "{said}");
    assert!(!folder.path("trace.csv").exists());
}
