//! Each of the samples under gilscope: its trace must show what it is a sample of.
//!
//! Speed is no matter, and neither are the figures of one run: who stalls whom, and what does not happen, is.

mod experiments;
mod manners;

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use gilscope_analysis::{Report, report::Victim};
use serde_json::Value;
use tempfile::TempDir;

use super::harness::{
    self, Lines, Recording, Trace, any_python, ended, folder, gilscope, pythons, repository, skip,
};

/// A running sample. Ended, with its children, when dropped.
struct Sample {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<ChildStdout>,
    /// What it said of itself when it was ready.
    ready: Value,
    folder: TempDir,
}

/// What a sample did, as itself and as gilscope tell it.
struct Told {
    ready: Value,
    result: Value,
    report: Report,
    trace: Trace,
}

impl Sample {
    /// Starts a sample and waits until all its processes and threads are there; `None` if it lacks something, which it must name.
    #[track_caller]
    fn start(test: &str, python: &PathBuf, arguments: &[&str]) -> Option<Sample> {
        let mut command = Command::new(python);
        command
            .arg(repository("samples").join(arguments[0]))
            .args(&arguments[1..])
            .args(["--handshake", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let mut output = Lines::new(child.stdout.take().unwrap());
        let Some(line) = output.next() else {
            ended(&mut child);
            skip(test, &format!("{arguments:?} lacks something; it says what above"));
            return None;
        };
        let ready = serde_json::from_str(line.strip_prefix("ready ").unwrap()).unwrap();
        Some(Sample { child, input, output, ready, folder: folder() })
    }

    /// Records one round of it, by the processes that it names.
    #[track_caller]
    fn record(self, arguments: &[&str]) -> Told {
        let pids: Vec<String> = self.ready["pids"].as_array().unwrap().iter().map(Value::to_string).collect();
        let named: Vec<&str> = pids.iter().flat_map(|pid| ["-p", pid]).collect();
        self.record_with(&[&named, arguments].concat())
    }

    /// Records one round of it, with all arguments of `attach` given.
    #[track_caller]
    fn record_with(mut self, arguments: &[&str]) -> Told {
        let path = self.folder.path().join("trace.gilscope");
        let recording = Recording::start(gilscope().arg("attach").args(arguments).arg("-o").arg(&path));
        writeln!(self.input.as_ref().unwrap(), "go").unwrap();
        let result = self.output.next().expect("a result");
        assert_eq!(self.output.next().as_deref(), Some("done"));
        recording.stop().assert_success();
        let output = gilscope().args(["report", "--json"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let trace = Trace::read(&path);
        trace.assert_sound();
        Told {
            ready: self.ready.take(),
            result: serde_json::from_str(&result).unwrap(),
            report: serde_json::from_slice(&output.stdout).unwrap(),
            trace,
        }
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        // The end of its input ends it and its children.
        self.input = None;
        if std::thread::panicking() {
            let _ = self.child.kill();
        }
        ended(&mut self.child);
    }
}

impl Told {
    /// The thread of that name that stalled most.
    fn victim(&self, name: &str) -> Option<&Victim> {
        self.report.victims.iter().find(|victim| victim.victim.name == name)
    }

    /// That `victim` stalled in convoys, most of the time behind `culprit`, and that a verdict says so.
    #[track_caller]
    fn assert_convoy(&self, victim: &str, culprit: &str) -> &Victim {
        let found = self.victim(victim);
        let found = found.unwrap_or_else(|| panic!("{victim} is no victim: {:?}", self.kinds()));
        let worst = &found.culprits[0];
        assert_eq!(worst.name, culprit, "{:?}", found.culprits);
        assert!(worst.share > 0.5, "{:?}", found.culprits);
        let verdicts = &self.report.verdicts;
        let says_so = |title: &str| title.contains(victim) && title.contains(culprit);
        assert!(verdicts.iter().any(|it| it.kind == "convoy" && says_so(&it.title)), "{:?}", self.kinds());
        found
    }

    /// That there was no convoy, and nobody waited long for the GIL.
    #[track_caller]
    fn assert_calm(&self) {
        assert!(self.report.victims.is_empty(), "{:?}", self.report.victims);
        assert!(self.kinds().iter().any(|(kind, _)| *kind == "ok"), "{:?}", self.kinds());
    }

    /// The verdicts, in short.
    fn kinds(&self) -> Vec<(&str, &str)> {
        self.report.verdicts.iter().map(|it| (it.kind.as_str(), it.title.as_str())).collect()
    }
}

/// The interpreter with the packages that samples need, if `./run test` or the environment gave one; else one that may lack them.
fn python() -> PathBuf {
    std::env::var_os("GILSCOPE_TEST_PYTHON").map_or_else(|| any_python().path.clone(), PathBuf::from)
}

/// An interpreter with own GILs for sub-interpreters.
fn python_with_own_gils() -> Option<PathBuf> {
    pythons().iter().find(|python| python.minor >= 13).map(|python| python.path.clone())
}
