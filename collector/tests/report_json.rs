//! `docs/report-json.md` lists every field of the JSON with its type: this holds the list against what is printed.

use std::{collections::BTreeMap, process::Command};

use gilscope_analysis::{
    compare::{Change, Comparison, ThreadChange},
    report,
};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../docs/report-json.md");

/// The lists of the document, in order: of the report and of the comparison.
fn documented() -> Vec<BTreeMap<String, String>> {
    let blocks = DOCUMENT.split("```text\n").skip(1).map(|block| block.split("```").next().unwrap());
    let line = |line: &str| {
        let (path, kind) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}` has no type"));
        (path.to_owned(), kind.trim().to_owned())
    };
    blocks.map(|block| block.lines().map(line).collect()).collect()
}

/// Every field below `value` with what stands there: `gils[].held_ns` is `[0, 3, …]`.
fn fields(path: &str, value: &Value, found: &mut BTreeMap<String, Vec<Value>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                fields(&format!("{path}{dot}{key}"), value, found);
            }
        }
        Value::Array(all) => {
            // Simple values in a list are a field of their own.
            all.iter().for_each(|value| fields(&format!("{path}[]"), value, found));
        }
        simple => found.entry(path.to_owned()).or_default().push(simple.clone()),
    }
}

/// A report with one of everything, in which what may be null is null.
fn one_of_everything() -> Value {
    let code = || vec![report::Code::default()];
    let culprits = || vec![report::Share::default()];
    let text = || vec![String::new()];
    let mut report = json!(report::Report {
        processes: vec![report::Process { gils: text(), threads: vec![0], ..Default::default() }],
        gils: vec![report::Gil::default()],
        threads: vec![report::Thread {
            wait_histogram: vec![report::Bucket::default()],
            syscalls: vec![report::Syscall::default()],
            ..Default::default()
        }],
        blame: vec![report::Blame::default()],
        stalls: vec![report::Stall { holders: vec![report::Held::default()], ..Default::default() }],
        victims: vec![report::Victim {
            culprits: culprits(),
            code: code(),
            victim_code: code(),
            ..Default::default()
        }],
        convoys: vec![report::Convoy {
            culprits: culprits(),
            code: code(),
            victim_code: code(),
            ..Default::default()
        }],
        code: code(),
        long_holds: vec![report::LongHold::default()],
        sampling: Some(report::Sampling::default()),
        verdicts: vec![report::Verdict::default()],
        notes: text(),
        ..Default::default()
    });
    report["version"] = json!(report::REPORT_VERSION);
    report
}

fn printed(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/traces"));
    serde_json::from_slice(&command.args(arguments).arg("--json").output().unwrap().stdout).unwrap()
}

/// Whether a value is of a documented type.
fn is(value: &Value, kind: &str) -> bool {
    let (kind, may_be_null) = match kind.strip_suffix(" or null") {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    match kind {
        _ if value.is_null() => may_be_null,
        "text" => value.is_string(),
        "yes or no" => value.is_boolean(),
        "ns" | "number" => value.is_i64(),
        "count" | "µs" => value.is_u64(),
        "share" => value.as_f64().is_some_and(|share| (-1e-9..=1.0 + 1e-9).contains(&share)),
        "per second" | "hz" | "figure" => value.is_number(),
        _ => panic!("`{kind}` is none of the document's types"),
    }
}

fn hold_against(documented: &BTreeMap<String, String>, everything: &Value, printed: &[Value]) {
    let mut promised = BTreeMap::new();
    fields("", everything, &mut promised);
    let listed: Vec<&String> = documented.keys().collect();
    assert_eq!(listed, promised.keys().collect::<Vec<_>>(), "the list and the fields that there are");
    for (path, values) in &promised {
        let kind = &documented[path];
        assert_eq!(values[0].is_null(), kind.ends_with(" or null"), "{path} is listed as `{kind}`");
        let unit = ["_ns", "_us", "_per_second"].into_iter().find(|unit| path.ends_with(unit));
        let expected = match unit {
            Some("_ns") => "ns",
            Some("_us") => "µs",
            Some(_) => "per second",
            None => continue,
        };
        assert_eq!(kind.trim_end_matches(" or null"), expected, "{path}");
    }
    let mut found = BTreeMap::new();
    printed.iter().for_each(|value| fields("", value, &mut found));
    for (path, values) in found {
        if values.iter().all(Value::is_null) && !documented.contains_key(&path) {
            // An absent object.
            assert!(documented.keys().any(|listed| listed.starts_with(&format!("{path}."))), "{path}");
            continue;
        }
        let kind = documented.get(&path).unwrap_or_else(|| panic!("{path} is printed but not listed"));
        for value in values {
            assert!(is(&value, kind), "{path} is listed as `{kind}` and printed as {value}");
        }
    }
}

#[test]
fn the_report_has_exactly_the_fields_that_are_listed_with_their_types() {
    let traces = ["a-convoy", "a-idle", "b-eventloop", "c-ensure", "d-subinterpreters", "f-cluster"];
    let reports = traces.map(|trace| printed(&["report", &format!("{trace}.gilscope")]));
    hold_against(&documented()[0], &one_of_everything(), &reports);
}

#[test]
fn the_comparison_has_exactly_the_fields_that_are_listed_with_their_types() {
    let change = || vec![Change::default()];
    let everything = Comparison {
        sentences: vec![String::new()],
        totals: change(),
        threads: vec![ThreadChange { changes: change(), ..Default::default() }],
        ..Default::default()
    };
    let printed = printed(&["compare", "a-convoy.gilscope", "a-idle.gilscope"]);
    hold_against(&documented()[1], &json!(everything), &[printed]);
}
