//! Traces to export, gilscope, and Python with its packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use gilscope_analysis::{Engine, Model, State, drawn::Drawing};
use gilscope_trace::{Detail, Event, Header, Kind, Writer, detail};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub(crate) type Row = (Event, Option<Detail>);

/// A folder for a trace and what becomes of it.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// With `trace.gilscope` of these rows.
    pub(crate) fn with(header: &Header, rows: &[Row]) -> Folder {
        let folder = Folder(TempDir::new().unwrap());
        let mut writer = Writer::new(Vec::new(), header).unwrap();
        for (place, (event, detail)) in rows.iter().enumerate() {
            match detail {
                Some(detail) => writer.push_detail(*event, detail).unwrap(),
                None => writer.push(*event).unwrap(),
            }
            // Several batches, so that things reach from one into the next.
            if place % 100 == 99 {
                writer.flush().unwrap();
            }
        }
        fs::write(folder.path("trace.gilscope"), writer.finish().unwrap()).unwrap();
        folder
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Without anything in it.
    pub(crate) fn empty() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    /// `gilscope export` with these words, in the folder.
    pub(crate) fn export(&self, words: &[&str]) -> Output {
        self.gilscope().arg("export").args(words).output().unwrap()
    }

    /// Exports `trace.gilscope` and gives the file's name.
    pub(crate) fn exported(&self, format: &str) -> PathBuf {
        let path = self.path(&format!("out.{format}"));
        let output =
            self.export(&["trace.gilscope", "--format", format, "--force", "-o", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    pub(crate) fn gilscope(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
        command.current_dir(self.0.path()).env("NO_COLOR", "1");
        command
    }
}

/// Two processes: a convoy with system calls and stacks, a holder that is preempted, lost records, open ends.
pub(crate) fn lively() -> (Header, Vec<Row>) {
    //  h hold, s system call, . off the GIL, w wait, d preempted while holding, x not alive
    let drawing = Drawing::new(
        "event-loop  hhsswwwwwhs.wwwwwhhh....\n\
         spinner     .hhhhhhhhhddhhhhhwwwhhhh\n\
         late        xxxxxxxxhh....wwwwwwwxxx\n\
         other/2     hh..hh..hh..hh..hh..hhhh\n\
         lost:1                          !!  ",
    )
    .repeated(12);
    let (header, mut rows) = (drawing.header(), drawing.events());
    let stack = |id, frames: &[(&str, &str, i32)]| {
        let frame = |&(function, file, line): &(&str, &str, i32)| detail::Frame {
            function: function.into(),
            file: file.into(),
            line,
            library: false,
        };
        let detail = detail::Stack { id, frames: frames.iter().map(frame).collect() };
        (Event::new(header.start_time, Kind::Stack, 0, 0), Some(detail.into()))
    };
    let first = rows[0].0;
    let descriptor = detail::Descriptor {
        kind: "tcp".into(),
        local: Some("127.0.0.1:8000".into()),
        peer: Some("127.0.0.1:40000".into()),
        ..Default::default()
    };
    let of_descriptor = Event { fd: 5, ..Event::new(header.start_time, Kind::Descriptor, first.pid, 0) };
    rows.splice(
        0..0,
        [
            stack(7, &[("spin", "app.py", 10), ("<module>", "app.py", 3)]),
            stack(8, &[("spin", "app.py", 11), ("<module>", "app.py", 3)]),
            (of_descriptor, Some(descriptor.into())),
        ],
    );
    let end = rows.last().unwrap().0.time;
    let mut samples: Vec<Row> = (header.start_time..end)
        .step_by(3_700_000)
        .enumerate()
        .map(|(count, time)| {
            let event = Event::new(time, Kind::Sample, first.pid, first.tid + 1);
            (event.with_value(7 + i64::from(count % 4 == 0)), None)
        })
        .collect();
    rows.append(&mut samples);
    rows.sort_by_key(|(event, _)| event.time);
    (header, rows)
}

/// What the analysis makes of these rows.
pub(crate) fn model(header: &Header, rows: &[Row]) -> Model {
    let mut engine = Engine::new(header);
    for (event, detail) in rows {
        engine.push_event(event, detail.clone());
    }
    engine.finish()
}

/// The figures that every reader must find again: by thread ID the ns in each state, by GIL the ns held, the stalls and who is
/// blamed for how much.
///
/// Of a trace of [`lively`] readers also know names and stacks.
pub(crate) fn figures(model: &Model) -> Value {
    let (mut threads, mut gils, mut blame) = (Map::new(), Map::new(), Map::new());
    let mut stalls = 0;
    for thread in &model.threads {
        let states = threads.entry(thread.tid.to_string()).or_insert_with(|| json!({}));
        for interval in thread.lane.iter().filter(|interval| interval.start < interval.end) {
            let name = match interval.state {
                State::Unknown => "unknown",
                State::OffGil => "off_gil",
                State::Syscall => "syscall",
                State::Holding => "holding",
                State::Descheduled => "descheduled",
                State::Limbo => "limbo",
                State::Waiting => "waiting",
            };
            let sum = states[name].as_i64().unwrap_or(0) + interval.duration();
            states[name] = sum.into();
            if interval.state == State::Waiting {
                stalls += 1;
                for (holder, ns) in
                    model.blame(&model.stalls[interval.arg as usize], i64::MIN, i64::MAX).holders
                {
                    let holder = model.threads[holder as usize].tid.to_string();
                    let sum = blame.get(&holder).and_then(Value::as_i64).unwrap_or(0) + ns;
                    blame.insert(holder, sum.into());
                }
            }
        }
    }
    for (index, gil) in (0..).zip(&model.gils) {
        gils.insert(model.gil_name(index), gil.holds.iter().map(|hold| hold.duration()).sum::<i64>().into());
    }
    let samples: usize = model.threads.iter().map(|thread| thread.samples.all().len()).sum();
    json!({
        "drawn": model.header.host == "drawn",
        "threads": threads, "gils": gils, "stalls": stalls, "blame": blame, "samples": samples,
        "start": model.start, "end": model.end, "utc_offset": model.header.utc_offset,
        "names": model.threads.iter().map(|thread| thread.name()).collect::<Vec<_>>(),
    })
}

/// A Python that has these packages; says why not, unless this is CI, where there must be one.
pub(crate) fn python(packages: &[&str]) -> Option<PathBuf> {
    let reason = match std::env::var_os("GILSCOPE_TEST_PYTHON").map(PathBuf::from) {
        None => "GILSCOPE_TEST_PYTHON names no interpreter (./run test makes one)".into(),
        Some(python) => {
            let script = packages.iter().map(|name| format!("import {name}\n")).collect::<String>();
            match Command::new(&python).args(["-c", &script]).output() {
                Ok(output) if output.status.success() => return Some(python),
                Ok(output) => {
                    let text = String::from_utf8_lossy(&output.stderr).into_owned();
                    format!("{}: {}", python.display(), text.lines().last().unwrap_or(""))
                }
                Err(error) => format!("{}: {error}", python.display()),
            }
        }
    };
    assert!(std::env::var_os("CI").is_none(), "on CI this must run: {reason}");
    println!("skipped: {reason}");
    None
}

/// Runs a reader of `readers/` over a file; it gets the figures on its standard input and fails if they are not there.
pub(crate) fn read_back(packages: &[&str], reader: &str, file: &Path, figures: &Value) {
    let Some(python) = python(packages) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/readers").join(reader);
    let input = tempfile::NamedTempFile::new().unwrap();
    fs::write(input.path(), figures.to_string()).unwrap();
    let output = Command::new(python).arg(script).arg(file).arg(input.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reader} on {}:\n{said}", file.display());
}
