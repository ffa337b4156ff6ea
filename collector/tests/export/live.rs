//! A trace of a real interpreter, in every format.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use gilscope_analysis::{Engine, Model};
use gilscope_trace::{Next, Reader};

use crate::support::{Folder, figures, python, read_back};

fn model(path: &Path) -> Model {
    let mut reader = Reader::open(path).unwrap();
    let mut engine = Engine::new(reader.header());
    while let Next::Batch(batch) = reader.next_batch().unwrap() {
        engine.push(&batch);
    }
    engine.finish()
}

/// Attaches to the sample before it works, and lets it work for half a second.
fn record(folder: &Folder, python: &Path) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/a_asyncio.py");
    let mut server = Command::new(python)
        .arg(sample)
        .args(["--threads", "1", "--seconds", "0.5", "--handshake"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut orders, said) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
    let mut said = BufReader::new(said).lines().map(Result::unwrap);
    let ready = said.find(|line| line.starts_with("ready ")).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready["ready ".len()..]).unwrap();
    let pid = ready["roles"]["server"].to_string();
    let mut collector = folder
        .gilscope()
        .args(["attach", "-p", &pid, "-o", "trace.gilscope"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(collector.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.any(|line| line.starts_with("recording ")), "the probes are in place");
    orders.write_all(b"go\n").unwrap();
    assert!(said.any(|line| line == "done"));
    orders.write_all(b"exit\n").unwrap();
    server.wait().unwrap();
    let told: Vec<String> = told.collect();
    assert!(collector.wait().unwrap().success(), "{told:?}");
}

#[test]
fn a_recorded_server_beside_a_spinner_reads_alike_in_every_format() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "on CI this must run: recording needs root");
        println!("skipped: recording needs root");
        return;
    }
    let Some(python) = python(&["asyncio"]) else { return };
    let folder = Folder::empty();
    record(&folder, &python);
    let model = model(&folder.path("trace.gilscope"));
    assert!(model.gil_events > 0);
    let figures = figures(&model);
    for (format, packages, reader) in [
        ("perfetto", &["perfetto.protos.perfetto.trace.perfetto_trace_pb2"][..], "read_perfetto.py"),
        ("chrome", &["jsonschema"], "read_chrome.py"),
        ("firefox", &["json"], "read_firefox.py"),
        ("parquet", &["pandas", "pyarrow.parquet"], "read_table.py"),
        ("csv", &["pandas"], "read_table.py"),
        ("speedscope", &["jsonschema"], "read_speedscope.py"),
    ] {
        read_back(packages, reader, &folder.exported(format), &figures);
    }
}
